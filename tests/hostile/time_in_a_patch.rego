# expect: slow

# METADATA
# title: time in a patch
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

patch contains {"op": "set", "field": "last_name", "value": v} if { v := count([1 | some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a * b < 0]) }
