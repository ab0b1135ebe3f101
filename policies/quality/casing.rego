# METADATA
# title: Names are written as people write them
# description: A dry run. Records names in capitals or small letters only, to see how many there are.
# custom:
#   owner: data-stewards
#   objects: [contact, lead]
#   operations: [create, update]
#   enforcement: dryrun
#   severity: low
#   remediation: Write the name as its owner does.
package crm.quality.casing

deny contains {
	"code": "name_casing",
	"message": sprintf("`%s` is written in one case only", [name]),
	"fields": [field],
} if {
	some field in ["first_name", "last_name"]
	name := input.record[field]
	is_string(name)
	count(name) > 2
	one_case(name)
}

one_case(name) if {
	name == upper(name)
	name != lower(name)
}

one_case(name) if {
	name == lower(name)
	name != upper(name)
}
