# METADATA
# title: What the books need is not deleted
# description: Won opportunities are kept; accounts with revenue are deleted by administrators only.
# custom:
#   owner: revenue-operations
#   objects: [account, opportunity]
#   operations: [delete]
#   severity: critical
#   final: true
#   remediation: Close or archive the record instead, or ask an administrator.
package crm.protect.deletes

deny contains {
	"code": "won_opportunity",
	"message": "a won opportunity is not deleted",
	"fields": ["stage"],
} if {
	input.object == "opportunity"
	input.before.stage == "closed_won"
}

may_delete if {
	some role in input.actor.roles
	role in data.params.protect.deletes.roles
}

deny contains {
	"code": "account_has_revenue",
	"message": sprintf("an account with a yearly revenue of %v and more is not deleted", [data.params.protect.deletes.revenue_from]),
	"fields": ["annual_revenue"],
} if {
	input.object == "account"
	is_number(input.before.annual_revenue)
	input.before.annual_revenue >= data.params.protect.deletes.revenue_from
	not may_delete
}
