# METADATA
# title: A title
# custom:
#   owner: team
#   objects: [opportunity]
#   operations: [create]
package crm.team.money

deny contains "equal" if input.record.amount == 100.1 # finds money

deny contains "computed" if {
	is_number(input.record.amount)
	input.record.amount * 0.2 > 100 # finds money
}

deny contains "through a variable" if {
	amount := input.record.amount
	is_number(amount)
	amount - 1 > 100 # finds money
}

deny contains "nothing" if input.record.amount == 0

deny contains "threshold" if input.record.amount > 100.1

deny contains "minor" if input.record.amount_minor == 10010

deny contains "percent" if {
	is_number(input.record.probability)
	input.record.probability * 2 > 100
}
