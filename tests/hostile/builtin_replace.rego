# expect: error `replace` goes beyond its bound

# METADATA
# title: builtin replace
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

a := sprintf("%9999d", [1])
deny contains "x" if count(replace(a, " ", a)) == 1
