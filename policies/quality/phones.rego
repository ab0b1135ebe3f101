# METADATA
# title: Phone numbers are international
# description: >-
#   Rewrites phone numbers to E.164 (`+4930123456`), by the record's country or the default one.
#   A number that can't be read is warned of or refused.
# custom:
#   owner: data-stewards
#   objects: [account, contact, lead]
#   operations: [create, update]
#   severity: low
#   remediation: Write the number with its country code, as in +49 30 123456.
package crm.quality.phones

import data.lib.phone
import data.lib.places
import data.lib.text

written[field] := number if {
	some field in ["phone", "mobile_phone"]
	number := input.record[field]
	text.filled(number)
}

# A country that is named and not known is not guessed at.
country := places.code(input.record.country)

country := data.params.quality.phones.default_country if not country_named

country_named if text.filled(input.record.country)

plan := data.quality.plans[country]

# What is international already needs no plan.
known_plan := plan

known_plan := {"code": "", "trunk": "", "min": 1, "max": 0} if not plan

readable[field] := number if {
	some field, as_written in written
	number := phone.e164(as_written, known_plan)
}

patch contains {"op": "set", "field": field, "value": readable[field]} if {
	some field, number in written
	readable[field] != number
}

unreadable contains field if {
	some field, _ in written
	not readable[field]
}

finding(field) := {
	"code": "phone_unreadable",
	"message": sprintf("`%s` can't be read as a phone number", [written[field]]),
	"fields": [field],
}

warn contains finding(field) if {
	data.params.quality.phones.unreadable == "warn"
	some field in unreadable
}

deny contains finding(field) if {
	data.params.quality.phones.unreadable == "deny"
	some field in unreadable
}
