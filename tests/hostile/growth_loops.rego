# expect: refused looked through here

# METADATA
# title: growth loops
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

a := numbers.range(1, 9999)
b := [a | some _ in a]
c := [b | some _ in a]
deny contains "x" if c == [c]
deny contains "y" if c == c
