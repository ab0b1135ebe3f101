# METADATA
# title: What was approved stays as it was approved
# description: >-
#   What an opportunity's approval was given for does not change afterwards, unless the approval
#   is taken back with it.
# custom:
#   owner: revenue-operations
#   objects: [opportunity]
#   operations: [update]
#   severity: high
#   remediation: Ask for the approval again.
package crm.duties.approved

settings := data.params.duties.approval

deny contains {
	"code": "changed_after_approval",
	"message": sprintf("`%s` was approved and changes: the approval has to be asked for again", [field]),
	"fields": [field, "approval_status"],
} if {
	input.before.approval_status == "approved"
	input.record.approval_status == "approved"
	some field in ["amount", "discount_percent", "currency", "account"]
	field in settings.covers
	input.changes[field].to != input.changes[field].from
}
