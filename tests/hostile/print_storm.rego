# expect: slow

# METADATA
# title: print storm
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); print(a, b, input); a + b < 0 }
