# expect: error at most 1000 are read

# METADATA
# title: output many patches
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

patch contains {"op": "set", "field": sprintf("f%d", [i]), "value": 1} if some i in numbers.range(1, 1500)
