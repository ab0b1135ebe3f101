# expect: slow

# METADATA
# title: time object of objects
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if count({a: b | some a in numbers.range(1, 9999); b := {c: a | some c in numbers.range(1, 9999)}}) == 1
