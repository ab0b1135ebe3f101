# expect: slow

# METADATA
# title: time in function
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if f(1)
f(_) if { some x in numbers.range(1, 9999); some y in numbers.range(1, 9999); x + y < 0 }
