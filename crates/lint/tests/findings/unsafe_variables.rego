# METADATA
# title: A title
# custom: {owner: team, objects: [contact], operations: [create]}
package crm.team.unsafe_variables

deny contains "compared before it has a value" if {
	x == 5 # finds unsafe
}

deny contains "negated" if {
	not input.record.email == wanted # finds unsafe
}

wanted_email := "x"

deny contains "a slip" if input.record.email == wanted_emial # finds unsafe

deny contains "right" if input.record.email == wanted_email

deny contains "an index binds" if {
	input.actor.roles[i] == "x"
	i > 3
}

deny contains "unified" if {
	name = input.record.last_name
	name == "x"
}
