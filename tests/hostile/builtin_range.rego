# expect: error `numbers.range` goes beyond its bound

# METADATA
# title: builtin range
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if count(numbers.range(1, 300000000)) == 1
