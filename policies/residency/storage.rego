# METADATA
# title: Data of people stay where their law wants them
# description: >-
#   Keeps records of people in countries whose data may not be stored in this connection's org out
#   of it. Where each org stores its data, and what may be stored there, is set by name of the
#   connection; an org that is not named is not looked at.
# custom:
#   owner: privacy
#   objects: [account, contact, lead]
#   operations: [create, update]
#   severity: high
#   remediation: Write the record to the org of its region, or correct its country.
package crm.residency.storage

import data.lib.places

settings := data.params.residency.storage

# The region in which this org stores its data.
here := settings.stored_in[input.connection.name]

country := places.code(input.record.country) if here

# The region whose law holds the record; countries outside all regions have none.
region := data.reference.regions[country]

deny contains {
	"code": "residency",
	"message": sprintf("data of the region `%s` may not be stored in `%s`, where this org is", [region, here]),
	"fields": ["country"],
} if {
	region != here
	not accepted
}

accepted if region in settings.accepts[here]

finding := {
	"code": "residency_unknown",
	"message": "without a country that is known, nobody can tell where the record may be stored",
	"fields": ["country"],
} if {
	here
	not country
}

deny contains finding if settings.without_country == "deny"

warn contains finding if settings.without_country == "warn"
