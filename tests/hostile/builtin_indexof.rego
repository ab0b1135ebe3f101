# expect: error `indexof` goes beyond its bound

# METADATA
# title: builtin indexof
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

a := concat("", [t | some _ in numbers.range(1, 90); t := sprintf("%9999d", [1])])
deny contains "x" if indexof(a, a) == 1
