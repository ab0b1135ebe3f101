# expect: refused 9 may not use themselves

# METADATA
# title: recursion mutual
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if f(1)
f(x) := g(x)
g(x) := f(x)
