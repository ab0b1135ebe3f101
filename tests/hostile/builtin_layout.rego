# expect: error `time.format` goes beyond its bound

# METADATA
# title: builtin layout
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if time.format([0, "UTC", sprintf("%9999d", [1])]) == ""
