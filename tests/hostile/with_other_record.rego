# expect: allow

# METADATA
# title: with other record
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if a with input.record as {"last_name": "x"}
a if input.record.last_name == "y"
