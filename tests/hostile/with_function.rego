# expect: refused 8 `with` replaces the function

# METADATA
# title: with function
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if f(1) with f as count
f(x) if x == 2
