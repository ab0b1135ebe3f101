# expect: refused 8 can't be used

# METADATA
# title: glob broken
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if glob.match("[a", [], input.id)
