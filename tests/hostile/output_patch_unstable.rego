# expect: deny 5

# METADATA
# title: output patch unstable
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

patch contains {"op": "set", "field": "last_name", "value": sprintf("%sx", [input.record.last_name])}
