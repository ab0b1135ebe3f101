# METADATA
# title: A title
# custom:
#   owner: team
#   objects: [contact, account]
#   operations: [create]
package crm.team.arguments

deny contains "null" if lower(input.record.email) == "x" # finds null_argument

deny contains "checked" if {
	is_string(input.record.email)
	lower(input.record.email) == "x"
}

deny contains "not null" if {
	input.record.email != null
	lower(input.record.email) == "x"
}

deny contains "compared" if {
	input.record.email in {"A", "B"}
	lower(input.record.email) == "a"
}

has_email if is_string(input.record.email)

deny contains "checked by a rule" if {
	has_email
	lower(input.record.email) == "x"
}

deny contains "through a function" if folded(input.record.title) == "x"

folded(text) := lower(text) # finds null_argument

deny contains "number" if lower(input.record.employees) == "x" # finds argument_type

deny contains "plus null" if input.record.employees + 1 > 3 # finds null_argument

deny contains "plus" if {
	input.record.employees > 1
	input.record.employees + 1 > 3
}

deny contains "dates" if input.record.birth_date + 1 > 3 # finds argument_type

deny contains "a text of any form" if {
	is_string(input.record.title)
	to_number(input.record.title) > 3 # finds may_fail
}

deny contains "a text of a form" if {
	regex.match("^[0-9]{1,9}$", input.native.Level__c) # finds unknown_native
	to_number(input.native.Level__c) > 3 # finds unknown_native
}

deny contains "a time" if {
	is_string(input.record.created_at)
	time.parse_rfc3339_ns(input.record.created_at) > 3
}

deny contains "too many" if sprintf("%v and %v", [1]) == "x" # finds format

deny contains "percent" if sprintf("%v %%", [1]) == "x"

deny contains "whole" if {
	is_number(input.record.employees)
	sprintf("%d", [input.record.employees]) == "x"
}

deny contains "arity" if lower("a", "b", "c") == "x" # finds call

deny contains "own arity" if folded("a", "b") == "x" # finds call
