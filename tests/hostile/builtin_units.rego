# expect: error `units.parse_bytes` goes beyond its bound

# METADATA
# title: builtin units
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if units.parse_bytes("1e999999999MB") > 1
