# expect: error goes beyond its bound

# METADATA
# title: builtin concat
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

a := sprintf("%9999d", [1])
b := concat("", [a | some _ in numbers.range(1, 90)])
c := concat("", [b | some _ in numbers.range(1, 90)])
deny contains "x" if count(c) == 1
