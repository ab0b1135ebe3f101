# expect: error

# METADATA
# title: builtin division
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if 1 / (count(input.record.last_name) - count(input.record.last_name)) == 1
