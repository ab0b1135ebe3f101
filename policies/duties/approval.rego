# METADATA
# title: Nobody approves what is their own
# description: >-
#   An opportunity's approval, as the CRM records it, is given by somebody who neither made nor owns
#   the opportunity, and not together with it.
# custom:
#   owner: revenue-operations
#   objects: [opportunity]
#   operations: [create, update]
#   severity: high
#   remediation: Have somebody else approve it.
package crm.duties.approval

settings := data.params.duties.approval

approving if {
	input.changes.approval_status.to == "approved"
	input.changes.approval_status.from != "approved"
}

approving if {
	is_string(input.changes.approved_by.to.id)
	input.changes.approved_by.to != input.changes.approved_by.from
}

# Whoever has a hand in the opportunity.
parties contains input.record.owner.id

parties contains input.record.created_by.id

parties contains input.before.owner.id

# Whoever approves: the one who writes it, and the one who is named.
approvers contains input.actor.id if not delegated

approvers contains input.record.approved_by.id

# Programs that record the approvals of others.
delegated if input.actor.client in settings.clients

deny contains {
	"code": "self_approval",
	"message": "an opportunity is not approved by who made or owns it",
	"fields": ["approval_status", "approved_by"],
} if {
	approving
	some approver in approvers
	approver in parties
}

deny contains {
	"code": "approved_from_the_start",
	"message": "an opportunity is approved after it was made, by somebody else",
	"fields": ["approval_status", "approved_by"],
} if {
	input.operation.kind == "create"
	approving
}
