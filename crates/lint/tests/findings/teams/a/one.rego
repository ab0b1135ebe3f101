# METADATA
# title: A title
# custom:
#   owner: team a
#   objects: [contact, product]
#   operations: [create]
package crm.a.one

patch contains {"op": "set", "field": "title", "value": "Mr"} if input.record.department == "x" # finds patch_conflict

patch contains {"op": "set", "field": "department", "value": "sales"} if input.record.department == "a"

patch contains {"op": "set", "field": "country", "value": "DE"} # finds patch_refused

patch contains {"op": "set", "field": "city", "value": "Berlin"}

deny contains {"code": "bad_title", "message": "x"} if input.record.title == "y" # finds same_code

deny contains {"code": "patch_conflict", "message": "x"} if input.record.title == "z" # finds reserved_code

deny contains "the same" if input.record.email == "x" # finds duplicate_rule

allow_scopes contains "crm.write" # finds scopes_refused
