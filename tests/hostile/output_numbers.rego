# expect: error expected a string

# METADATA
# title: output numbers
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains i if some i in numbers.range(1, 500)
