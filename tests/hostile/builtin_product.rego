# expect: error `product` goes beyond its bound

# METADATA
# title: builtin product
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if product([n | some n in numbers.range(2, 90000)]) > 1
