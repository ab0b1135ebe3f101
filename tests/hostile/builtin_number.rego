# expect: error `to_number` goes beyond its bound

# METADATA
# title: builtin number
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if to_number("1e999999999") > 1
