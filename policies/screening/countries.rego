# METADATA
# title: Countries under embargo or licence
# description: >-
#   Refuses business with countries under embargo, and holds what needs an export licence. Looks at
#   the record's own country. No country is listed until somebody lists it.
# custom:
#   owner: compliance
#   objects: [account, contact, lead]
#   operations: [create, update]
#   severity: critical
#   remediation: Ask export control; correct the country where it is wrong.
package crm.screening.countries

import data.lib.places

settings := data.params.screening.countries

country := places.code(input.record.country) if count(settings.embargoed) + count(settings.licensed) > 0

deny contains {
	"code": "country_embargoed",
	"message": sprintf("there is no business with %s", [upper(country)]),
	"fields": ["country"],
} if {
	country in settings.embargoed
}

# A country that is not understood could be any.
deny contains {
	"code": "country_unknown",
	"message": sprintf("`%s` is no country by code or name, so it can't be screened", [input.record.country]),
	"fields": ["country"],
} if {
	count(settings.embargoed) > 0
	is_string(input.record.country)
	trim_space(input.record.country) != ""
	not country
}

newly_there if input.operation.kind == "create"

newly_there if input.changes.country

require_approval contains {
	"code": "export_licence",
	"reason": sprintf("business with %s needs an export licence", [upper(country)]),
	"approvers": {"groups": settings.approvers},
	"reject_needs_reason": true,
} if {
	country in settings.licensed
	not country in settings.embargoed
	newly_there
}
