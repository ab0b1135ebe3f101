# expect: refused 8

# METADATA
# title: parser bad escape
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "\q" if true
