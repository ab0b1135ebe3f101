# METADATA
# title: A title
# custom: {owner: team, objects: [contact], operations: [create]}
package crm.team.syntax

deny contains "one" if {
	input.record.email ==
} # finds syntax

deny contains "fine" if input.record.emial == "x" # finds unknown_field

deny contains "two" if {
	input.record.email = = "x" # finds syntax
}

deny contains "open" if {
	input.record.email == "x" # finds syntax

deny contains "three" if input.record.email == ) # finds syntax
