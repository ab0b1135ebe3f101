# expect: refused 8 may not be called

# METADATA
# title: name uuid
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if uuid.rfc4122("a") == ""
