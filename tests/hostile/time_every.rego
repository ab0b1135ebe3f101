# expect: slow

# METADATA
# title: time every
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if { every a in numbers.range(1, 9999) { every b in numbers.range(1, 9999) { a + b > 0 } } }
