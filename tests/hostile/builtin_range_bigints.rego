# expect: error `numbers.range` goes beyond its bound

# METADATA
# title: builtin range bigints
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if count(numbers.range(-99999999999999999999999999, 99999999999999999999999999)) == 1
