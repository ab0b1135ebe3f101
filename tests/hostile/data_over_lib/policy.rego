# expect: refused belongs to rules and parameters

# METADATA
# title: data over lib
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if true
