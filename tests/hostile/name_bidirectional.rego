# expect: refused 8 U+202E

# METADATA
# title: name bidirectional
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if {‮ false }
