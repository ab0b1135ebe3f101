# expect: error made in one evaluation

# METADATA
# title: builtin sprintf loop
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if count([s | some i in numbers.range(1, 90000); s := sprintf("%9999d", [i])]) == 1
