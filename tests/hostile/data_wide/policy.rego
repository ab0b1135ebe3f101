# expect: allow

# METADATA
# title: data wide
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if data.wide.k9999 == 2
