# METADATA
# title: A title
# custom:
#   owner: team
#   objects: [contact]
#   operations: [create]
package crm.team.data_refs

deny contains "no such country" if "49" in data.lists.codes.dee # finds unknown_data

deny contains "not in what may be missing" if not "49" in data.lists.codes[input.record.country] # finds not_in_missing

deny contains "by a name" if {
	codes := data.lists.codes[input.record.country]
	not "49" in codes
}

deny contains "not in what is there" if not "49" in data.lists.codes.de
