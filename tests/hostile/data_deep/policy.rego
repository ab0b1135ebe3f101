# expect: refused data.json

# METADATA
# title: data deep
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if false
