# METADATA
# title: A title
# custom:
#   owner: team
#   objects: [contact, account]
#   operations: [create]
#   points: [gateway, queue]
package crm.team.never

deny contains "constant" if 1 == 2 # finds never

deny contains "false" if { false } # finds never

deny contains "both" if {
	input.record.title == "a"
	input.record.title == "b" # finds never
}

deny contains "either" if input.record.title == "a"

deny contains "either" if input.record.title == "b"

deny contains "before" if input.before.email == "x" # finds never

deny contains "not before" if not input.before.email

deny contains "object" if input.object == "lead" # finds never

deny contains "kind" if input.operation.kind == "update" # finds never

deny contains "point" if input.operation.point == "scan" # finds never

deny contains "governed" if {
	input.object == "contact"
	input.operation.kind == "create"
	input.operation.point == "queue"
}

level := 1 if {
	true
} else := 2 # finds unreachable

deny contains "level" if level == 2

grade := 1 if {
	input.record.employees == 1
} else := 2

deny contains "grade" if grade == 2

deny contains "no before" if input.before == null

deny contains "one of several" if input.object in {"contact", "lead"} # finds never

deny contains "in a helper" if regarding_people

regarding_people if input.object in {"contact", "account"}
