# expect: error `sprintf` goes beyond its bound

# METADATA
# title: builtin sprintf digit
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains sprintf("%²d", [1])
