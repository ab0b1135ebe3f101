# expect: refused may not use themselves

# METADATA
# title: recursion by index
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if data.crm.hostile.policy[input.record.last_name]
