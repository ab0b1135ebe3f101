# expect: refused may not use themselves

# METADATA
# title: recursion by data
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if f(1)
f(x) := data.crm.hostile.policy.f(x)
