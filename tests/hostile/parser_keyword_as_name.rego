# expect: refused 8

# METADATA
# title: parser keyword as name
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

some := 1
deny contains "x" if some == 1
