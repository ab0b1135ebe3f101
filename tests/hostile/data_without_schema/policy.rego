# expect: refused there is no `params.schema.json`

# METADATA
# title: data without schema
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if false
