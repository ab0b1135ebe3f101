# METADATA
# title: What is won is complete, and stays as it was won
# description: >-
#   Fields that an opportunity needs to be won, beside amount and close date, and fields that do not
#   change any more afterwards. Both lists are empty until somebody fills them.
# custom:
#   owner: sales-operations
#   objects: [opportunity]
#   operations: [create, update]
#   severity: high
#   remediation: Fill the field in before closing; ask sales operations for corrections afterwards.
package crm.sales.won

settings := data.params.sales.won

won if input.record.stage == "closed_won"

missing contains field if {
	won
	some field in ["account", "contact", "currency", "kind", "next_step", "source"]
	field in settings.required
	not has[field]
}

has[field] := true if {
	some field in ["currency", "kind", "next_step", "source"]
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

may_correct if {
	some role in input.actor.roles
	role in settings.correction_roles
}

deny contains {
	"code": "locked_after_win",
	"message": sprintf("`%s` of a won opportunity does not change", [field]),
	"fields": [field],
} if {
	won
	input.before.stage == "closed_won"
	some field in ["account", "amount", "close_date", "currency", "discount_percent"]
	field in settings.locked
	input.changes[field].to != input.changes[field].from
	not may_correct
}
