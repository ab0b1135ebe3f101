# expect: slow

# METADATA
# title: time cartesian
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if count([1 | some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a * b < 0]) > 0
