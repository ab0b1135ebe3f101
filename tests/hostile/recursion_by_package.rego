# expect: refused may not use themselves

# METADATA
# title: recursion by package
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if count(data.crm.hostile) > 1
