# METADATA
# title: A title
# custom:
#   owner: team
#   objects: [contact]
#   operations: [create, update]
package crm.team.traps

deny contains "scan and time" if time.now_ns() > 3 # finds time_in_scan

warn contains "with changes" if {
	input.changes.email
	time.now_ns() > 3
}

patch contains {"op": "set", "field": "title", "value": "x"} if input.before.title == "y" # finds before_in_scan

deny contains "every" if every letter in input.record.title { letter == "b" } # finds every_undefined

deny contains "every role" if every role in input.actor.roles { role == "b" }

deny contains {"code": "quoted", "message": sprintf("%s is wrong", [input.record.email])} if input.record.email == "x" # finds personal_message

deny contains {"code": "plain", "message": sprintf("%s is wrong", [input.record.title])} if input.record.title == "x"

deny contains "of one system" if input.record.score == 1 # finds one_system
