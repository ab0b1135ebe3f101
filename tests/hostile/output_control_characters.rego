# expect: error `code` is no name

# METADATA
# title: output control characters
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains {"code": "c\r\nX-Evil: 1", "message": "\u001b[2J"}
