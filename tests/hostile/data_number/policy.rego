# expect: allow

# METADATA
# title: data number
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if is_number(data.a)
