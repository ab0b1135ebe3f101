# expect: refused 8 brackets nest deeper

# METADATA
# title: parser arrays
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

x := [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]
deny contains "x" if x == 1
