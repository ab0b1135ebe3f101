# expect: error expected true or false

# METADATA
# title: output allow text
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

allow := input.record.last_name
