# expect: deny 5

# METADATA
# title: output patch conflict
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

patch contains {"op": "set", "field": "last_name", "value": v} if some v in {"a", "b"}
