# expect: refused 8

# METADATA
# title: parser template string
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains $"x {input.id}"
