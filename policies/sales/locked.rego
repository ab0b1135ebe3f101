# METADATA
# title: What is won stays as it was won
# description: >-
#   Fields that do not change any more once an opportunity is won. The list is empty until somebody
#   fills it.
# custom:
#   owner: sales-operations
#   objects: [opportunity]
#   operations: [update]
#   severity: high
#   remediation: Ask sales operations for the correction.
package crm.sales.locked

settings := data.params.sales.won

may_correct if {
	some role in input.actor.roles
	role in settings.correction_roles
}

deny contains {
	"code": "locked_after_win",
	"message": sprintf("`%s` of a won opportunity does not change", [field]),
	"fields": [field],
} if {
	input.record.stage == "closed_won"
	input.before.stage == "closed_won"
	some field in ["account", "amount", "close_date", "currency", "discount_percent"]
	field in settings.locked
	input.changes[field].to != input.changes[field].from
	not may_correct
}
