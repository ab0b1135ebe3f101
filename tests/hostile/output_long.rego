# expect: deny 1

# METADATA
# title: output long
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains sprintf("%9999d", [1])
