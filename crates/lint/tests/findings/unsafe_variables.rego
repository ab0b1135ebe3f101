# METADATA
# title: A title
# custom: {owner: team, objects: [contact], operations: [create]}
package crm.team.unsafe_variables

deny contains "compared before it has a value" if {
	x == 5 # finds unsafe
}
