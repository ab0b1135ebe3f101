# expect: refused 8 is reserved

# METADATA
# title: name allow is a set
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

allow contains true
