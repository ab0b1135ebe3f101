# expect: refused 8 is reserved

# METADATA
# title: name deny is a value
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny := []
