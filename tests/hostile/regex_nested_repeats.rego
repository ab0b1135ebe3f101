# expect: refused 8 can't be used

# METADATA
# title: regex nested repeats
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if regex.match(`((((a{100}){100}){100}){100})`, input.id)
