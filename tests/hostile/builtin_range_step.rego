# expect: error `numbers.range_step` goes beyond its bound

# METADATA
# title: builtin range step
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if count(numbers.range_step(1, 3000000000, 2)) == 1
