# expect: slow

# METADATA
# title: time in allow
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

allow if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < 0 }
