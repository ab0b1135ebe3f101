# expect: refused 8 is reserved

# METADATA
# title: name deny is a function
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny(x) := 1 if x
