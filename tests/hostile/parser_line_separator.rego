# expect: refused 8 U+2028 makes the line look

# METADATA
# title: parser line separator
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

# hidden deny contains "x" if true
allow if true
