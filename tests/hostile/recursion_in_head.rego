# expect: refused may not use themselves

# METADATA
# title: recursion in head
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains f(1)
f(x) := {"message": f(x)}
