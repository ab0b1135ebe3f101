# METADATA
# title: E-mail addresses can be written to
# description: >-
#   Refuses what can't be an address, and addresses of domains on a list and those below them. Looks
#   at what a write changes; a scan looks at what is stored.
# custom:
#   owner: data-stewards
#   objects: [contact, lead]
#   operations: [create, update]
#   severity: medium
#   remediation: Check the address with the person, or leave the field empty.
package crm.quality.email

import data.lib.text

address := lower(trim_space(input.record.email)) if {
	looked_at
	text.filled(input.record.email)
}

looked_at if input.changes.email

looked_at if input.operation.point == "scan"

well_formed if {
	count(address) <= 254
	regex.match(`^[a-z0-9.!#$%&'*+/=?^_{|}~-]+@[a-z0-9-]+(\.[a-z0-9-]+)+$`, address)
	not contains(address, "..")
}

deny contains {
	"code": "email_form",
	"message": sprintf("`%s` is not an e-mail address", [input.record.email]),
	"fields": ["email"],
} if {
	address
	not well_formed
}

deny contains {
	"code": "email_domain",
	"message": sprintf("addresses at %s are not accepted", [domain]),
	"fields": ["email"],
} if {
	well_formed
	domain := split(address, "@")[1]
	some blocked in data.params.quality.email.blocked_domains
	endswith(concat("", [".", domain]), concat("", [".", lower(blocked)]))
}
