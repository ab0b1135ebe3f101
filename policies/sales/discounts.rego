# METADATA
# title: Large discounts are agreed to
# description: >-
#   A discount over one threshold waits for a sales manager, over another it is refused. Only a
#   change of the discount is looked at; a scan finds what is stored.
# custom:
#   owner: sales-operations
#   objects: [opportunity]
#   operations: [create, update]
#   severity: high
#   remediation: Lower the discount, or have it agreed to.
package crm.sales.discounts

limits := data.params.sales.discounts

discount := input.record.discount_percent if {
	looked_at
	is_number(input.record.discount_percent)
}

looked_at if input.changes.discount_percent

looked_at if input.operation.point == "scan"

asked := input.changes.discount_percent.to if is_number(input.changes.discount_percent.to)

deny contains {
	"code": "discount_too_high",
	"message": sprintf("a discount of %v %% is over the limit of %v %%", [discount, limits.deny_over]),
	"fields": ["discount_percent"],
} if {
	discount > limits.deny_over
}

require_approval contains {
	"code": "discount",
	"reason": sprintf("a discount of %v %% is over %v %%", [asked, limits.approval_over]),
	"approvers": {"groups": limits.approvers},
	"quorum": 1,
	"expires_in": "72h",
	"reject_needs_reason": true,
} if {
	asked > limits.approval_over
	asked <= limits.deny_over
}
