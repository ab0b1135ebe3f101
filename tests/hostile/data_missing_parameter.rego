# expect: refused 8 there is no

# METADATA
# title: data missing parameter
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if input.record.amount > data.params.hostile.policy.limit
