# expect: error `field` is no name

# METADATA
# title: output field of values
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

redact contains {"field": concat("", [input.record.last_name, "@example.com"]), "mode": "drop"}
