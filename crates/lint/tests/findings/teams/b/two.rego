# METADATA
# title: A title
# custom:
#   owner: team b
#   objects: [Contact]
#   operations: [create, update]
package crm.b.two

patch contains {"op": "set", "field": "title", "value": "Ms"}

patch contains {"op": "set", "field": "department", "value": "other"} if input.record.department == "b"

deny contains {"code": "country", "message": "x"} if {
	input.record.country in ["DE", "FR"]
	input.record.last_name == "x"
}

deny contains {"code": "city", "message": "x"} if {
	input.record.city == "Paris"
}

deny contains {"code": "bad_title", "message": "y"} if input.record.title == "x"

deny contains "the same" if input.record.email == "x"

deny contains {"code": "scope", "message": "x"} if "crm.write" in input.actor.scopes
