# expect: error `sprintf` goes beyond its bound

# METADATA
# title: builtin sprintf width
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains sprintf("%1000000000d", [1])
