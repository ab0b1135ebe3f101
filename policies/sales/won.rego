# METADATA
# title: What is won is complete
# description: >-
#   Fields that an opportunity needs to be won, beside amount and close date. The list is empty
#   until somebody fills it.
# custom:
#   owner: sales-operations
#   objects: [opportunity]
#   operations: [create, update]
#   severity: high
#   remediation: Fill the field in before closing.
package crm.sales.won

settings := data.params.sales.won

won if input.record.stage == "closed_won"

missing contains field if {
	won
	some field in ["account", "contact", "kind", "next_step", "source"]
	field in settings.required
	not has[field]
}

has[field] := true if {
	some field in ["kind", "next_step", "source"]
	is_string(input.record[field])
	trim_space(input.record[field]) != ""
}

has[field] := true if {
	some field in ["account", "contact"]
	is_string(input.record[field].id)
}

deny contains {
	"code": "required_to_win",
	"message": sprintf("a won opportunity has its `%s`", [field]),
	"fields": [field],
} if {
	some field in missing
}
