# expect: error larger than any field

# METADATA
# title: output large patch
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

patch contains {"op": "set", "field": "last_name", "value": v} if v := numbers.range(1, 20000)
