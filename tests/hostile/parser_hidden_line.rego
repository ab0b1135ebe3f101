# expect: refused 8 U+000D makes the line look

# METADATA
# title: parser hidden line
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

# hiddendeny contains "x" if true
allow if true
