# expect: refused

# METADATA
# title: parser raw string open
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains `x if true

more
