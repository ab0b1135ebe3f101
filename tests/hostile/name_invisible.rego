# expect: refused 8 U+200B

# METADATA
# title: name invisible
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

de​ny contains "x"
