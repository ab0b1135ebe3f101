# expect: refused 8 there is no function

# METADATA
# title: name unknown function
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if strings.is_empty(input.id)
