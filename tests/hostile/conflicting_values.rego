# expect: error

# METADATA
# title: conflicting values
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if a == 1
a := 1 if input.record.last_name
a := 2 if input.record.last_name
