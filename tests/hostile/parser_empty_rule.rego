# expect: refused 8

# METADATA
# title: parser empty rule
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains if true
