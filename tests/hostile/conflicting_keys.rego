# expect: error

# METADATA
# title: conflicting keys
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if count({k: v | some v in [1, 2]; k := "a"}) == 1
