# expect: slow

# METADATA
# title: time set difference
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

a := {x | some x in numbers.range(1, 9999)}
deny contains "x" if { some x in a; some y in a; count(a - {x, y}) == 0 }
