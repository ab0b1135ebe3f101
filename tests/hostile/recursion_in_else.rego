# expect: refused may not use themselves

# METADATA
# title: recursion in else
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if f(1)
f(x) := 1 if x == 0
else := f(x - 1)
