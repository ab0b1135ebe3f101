# METADATA
# title: No marketing without consent
# description: >-
#   Nobody is opted in to marketing e-mail again without recorded consent, and addresses from
#   bought lists are pointed out.
# custom:
#   owner: privacy
#   objects: [contact, lead]
#   operations: [create, update]
#   severity: high
#   remediation: Ask the person, and record the consent first.
package crm.quality.consent

opted_in_again if {
	input.changes.email_opt_out.from == true
	input.changes.email_opt_out.to != true
}

consented if input.record.marketing_consent == true

finding := {
	"code": "consent_missing",
	"message": "the person opted out of e-mail, and no consent is recorded",
	"fields": ["email_opt_out", "marketing_consent"],
} if {
	opted_in_again
	not consented
}

deny contains finding if data.params.quality.consent.without == "deny"

warn contains finding if data.params.quality.consent.without == "warn"

warn contains {
	"code": "consent_unknown",
	"message": "the address is from a bought list, and no consent is recorded",
	"fields": ["source", "marketing_consent"],
} if {
	input.object == "lead"
	input.record.source == "purchased_list"
	not consented
}
