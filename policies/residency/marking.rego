# METADATA
# title: The residency mark goes with the country
# description: >-
#   An account that is marked with a region bears the region of its country. Corrects nothing: the
#   mark may be a contract's.
# custom:
#   owner: privacy
#   objects: [account]
#   operations: [create, update]
#   severity: medium
#   remediation: Correct the country or the mark; where a contract says otherwise, ask privacy.
package crm.residency.marking

import data.lib.places

settings := data.params.residency.marking

mark := input.record.data_residency

region := data.reference.regions[places.code(input.record.country)] if settings.mismatch != "off"

finding := {
	"code": "residency_mark",
	"message": sprintf("the account is marked `%s`, and its country is of the region `%s`", [mark, region]),
	"fields": ["data_residency", "country"],
} if {
	is_string(mark)
	region != mark
	not accepted
}

accepted if mark in settings.also[region]

deny contains finding if settings.mismatch == "deny"

warn contains finding if settings.mismatch == "warn"
