# expect: allow

# METADATA
# title: undefined everywhere
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains {"message": input.nothing.at.all} if input.nothing
