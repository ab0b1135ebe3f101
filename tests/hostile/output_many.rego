# expect: deny 101

# METADATA
# title: output many
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains sprintf("reason %d", [i]) if some i in numbers.range(1, 1000)
