# expect: refused 8

# METADATA
# title: parser string open
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x if true
