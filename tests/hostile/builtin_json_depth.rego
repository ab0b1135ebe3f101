# expect: error json

# METADATA
# title: builtin json depth
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if json.unmarshal(concat("", [b | some _ in numbers.range(1, 5000); b := "["])) == 1
