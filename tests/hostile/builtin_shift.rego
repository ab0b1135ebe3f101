# expect: error `bits.lsh` goes beyond its bound

# METADATA
# title: builtin shift
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if bits.lsh(1, 9999999999) > 1
