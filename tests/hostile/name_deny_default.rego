# expect: refused 8 is reserved

# METADATA
# title: name deny default
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

default deny := set()
deny contains "x" if false
