# expect: refused 8 exceeded size limit

# METADATA
# title: regex too large
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if regex.match(`^\w{1,200}$`, input.id)
