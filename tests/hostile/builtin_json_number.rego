# expect: error `json.unmarshal` goes beyond its bound

# METADATA
# title: builtin json number
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if json.unmarshal("[1e999999999]")[0] > 1
