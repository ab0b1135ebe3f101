# METADATA
# title: A title
# custom:
#   owner: team c
#   objects: [lead]
#   operations: [create]
package crm.b.three

patch contains {"op": "set", "field": "title", "value": "Dr"}

deny contains {"code": "bad_title", "message": "y"} if input.record.title == "x"

allow_scopes contains scope if some scope in data.params.b.three.scopes # finds no_scopes
