# expect: deny 5

# METADATA
# title: output scopes
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

allow_scopes contains sprintf("s%d", [i]) if some i in numbers.range(1, 1500)
