# METADATA
# title: Names that are none
# description: >-
#   Records last names, companies and account names that somebody typed to get past a required
#   field: `test`, `n/a`, `xxx`. A dry run.
# custom:
#   owner: data-stewards
#   objects: [account, contact, lead]
#   operations: [create, update]
#   enforcement: dryrun
#   severity: low
#   remediation: Write the real name, or do not make the record yet.
package crm.quality.placeholders

deny contains {
	"code": "placeholder",
	"message": sprintf("what stands in `%s` is no name", [field]),
	"fields": [field],
} if {
	some field in ["last_name", "company", "name"]
	value := input.record[field]
	is_string(value)
	count(value) < 20
	placeholder(lower(trim_space(value)))
}

placeholder(value) if value in data.params.quality.placeholders.words

# One letter or mark, however often.
placeholder(value) if {
	regex.match(`^(aa+|xx+|yy+|zz+|\.+|-+|_+|\?+|0+)$`, value)
}
