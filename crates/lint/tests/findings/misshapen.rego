# METADATA
# title: A title
# custom:
#   owner: team
#   objects: [contact]
#   operations: [create]
package crm.team.misshapen

deny contains {"cod": "x", "message": "m"} if input.record.email == "a" # finds misshapen

deny contains {"code": "x", "fields": ["email"]} if input.record.email == "b" # finds misshapen

deny contains {"code": "c", "message": 3} if input.record.email == "c" # finds misshapen

deny contains {"code": "d", "message": "m", "fields": "email"} if input.record.email == "d" # finds misshapen

warn contains {"code": "e", "message": "m", "fields": ["emial"]} if input.record.email == "e" # finds unknown_field

warn contains 3 if input.record.email == "e3" # finds misshapen

require_approval contains {"reason": "r", "approvers": {"group": ["a"]}} if input.record.email == "f" # finds misshapen

require_approval contains {"reason": "r", "expires_in": "3 days"} if input.record.email == "g" # finds misshapen

require_approval contains {"reason": "r", "quorum": 0} if input.record.email == "h" # finds misshapen

patch contains {"op": "put", "field": "email", "value": "x"} if input.record.email == "i" # finds misshapen

patch contains {"op": "set", "field": "emial", "value": "x"} if input.record.email == "j" # finds unknown_field

redact contains {"field": "email", "mode": "mask"} # finds misshapen

# What looks alike, and is none.

told := {"code": "k", "message": "m"}

deny contains told if input.record.email == "k"

deny contains {"code": "l", "message": sprintf("%v", [input.object]), "fields": [field]} if {
	some field in ["email", "phone"]
	input.record[field] == "l"
}

deny contains {"code": "m", "message": "m", "fields": ["native.Score__c", "score"]} if input.record.email == "m"

require_approval contains {"reason": "r", "approvers": {"groups": groups}, "quorum": count(groups)} if {
	groups := input.actor.groups
	input.record.email == "n"
}

patch contains {"op": op, "field": "email", "value": "o"} if {
	some op in ["set", "default"]
	input.record.email == "o"
}

patch contains {"op": "clear", "field": "phone"} if input.record.email == "p"
