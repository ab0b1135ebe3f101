# expect: error

# METADATA
# title: builtin indent
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if count(json.marshal_with_options([[i] | some i in numbers.range(1, 9999)], {"pretty": true, "indent": concat("", ["          " | some i in numbers.range(1, 9000)])})) > 9
