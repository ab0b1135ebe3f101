# expect: refused 9 may not use themselves

# METADATA
# title: recursion rule
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if a
a if b
b if a
