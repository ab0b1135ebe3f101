# expect: error `message` is missing

# METADATA
# title: output no message
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains {"code": "x"}
