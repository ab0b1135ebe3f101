# METADATA
# title: A title
# custom:
#   owner: team
#   objects: [contact, lead]
#   operations: [create, update]
package crm.team.unknown_field

deny contains "a typo" if input.record.emial == "x" # finds unknown_field

deny contains "near" if input.record.email == "x"

deny contains "of leads only" if input.record.company == "x"

deny contains "through a variable" if {
	r := input.record
	r.frist_name == "x" # finds unknown_field
	r.first_name == "x"
}

deny contains "by a list" if {
	some field in ["email", "phnoe"]
	input.record[field] == "x" # finds unknown_field
}

deny contains "of another object" if input.record.amount == 1 # finds unknown_field

deny contains "in what changes" if input.changes.emial # finds unknown_field

deny contains "in what changes, right" if input.changes.email.to == "x"

deny contains "before" if input.before.e_mail == "x" # finds unknown_field, before_in_scan

deny contains "asked for" if object.get(input.record, "emial", "") == "x" # finds unknown_field

deny contains "asked for, right" if object.get(input.record, ["owner", "id"], "") == "x"

deny contains "any field" if {
	some field, value in input.record
	value == "x"
	field != "email"
}

handed_over(record) if record.emall == "x" # finds unknown_field

deny contains "to a function" if handed_over(input.record)
