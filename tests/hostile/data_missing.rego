# expect: refused 8 there is no

# METADATA
# title: data missing
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if input.id in data.lists.blocked
