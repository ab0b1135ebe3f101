# expect: error `json.marshal` goes beyond its bound

# METADATA
# title: builtin marshal
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

a := numbers.range(1, 9000)
b := [a | some _ in numbers.range(1, 900)]
deny contains "x" if count(json.marshal(b)) == 1
