# expect: refused 8 may not be called

# METADATA
# title: name random
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if rand.intn("a", 2) == 1
