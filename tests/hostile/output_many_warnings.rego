# expect: allow

# METADATA
# title: output many warnings
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

warn contains sprintf("reason %d", [i]) if some i in numbers.range(1, 1000)
