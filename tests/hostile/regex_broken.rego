# expect: refused 8 can't be used

# METADATA
# title: regex broken
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if regex.match("(a", input.id)
