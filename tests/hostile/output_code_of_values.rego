# expect: error `code` is no name

# METADATA
# title: output code of values
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains {"code": concat("", [input.record.last_name, "@example.com"]), "message": "m"}
