# expect: error `lower`

# METADATA
# title: builtin type error
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if lower({"a": [1, 2, 3]}) == ""
