# expect: refused may not use themselves

# METADATA
# title: recursion in comprehension
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if a == []
a := [y | some y in a]
