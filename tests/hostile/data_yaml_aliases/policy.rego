# expect: refused data.yaml

# METADATA
# title: data yaml aliases
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if data.k == []
