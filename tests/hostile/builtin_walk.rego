# expect: error `walk` goes beyond its bound

# METADATA
# title: builtin walk
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

a := numbers.range(1, 9000)
b := [a | some _ in numbers.range(1, 200)]
deny contains "x" if { walk(b, [_, v]); v == "x" }
