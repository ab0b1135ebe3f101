# expect: refused 8 `with` replaces the function

# METADATA
# title: with builtin
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if input.id == "x" with time.now_ns as 1
