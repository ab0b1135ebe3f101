# expect: slow

# METADATA
# title: time not
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if not a
a if { some x in numbers.range(1, 9999); some y in numbers.range(1, 9999); x + y < 0 }
