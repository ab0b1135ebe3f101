# expect: refused 8 is reserved

# METADATA
# title: name allow by default object
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

default allow := {}
allow if false
