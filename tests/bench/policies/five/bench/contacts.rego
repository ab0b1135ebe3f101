# METADATA
# title: Contacts under load
# description: 5 fixed rules, so that runs compare.
# scope: package
# custom:
#   owner: bench
#   objects: [contact]
#   operations: [create, update]
package crm.bench.contacts

params := data.params.bench.contacts

deny contains {"code": "no_last_name", "message": "a contact needs a last name", "fields": []} if {
	object.get(input.record, "last_name", "") == ""
}

deny contains {"code": "email_form", "message": "`email` is not an address", "fields": []} if {
	email := input.record.email
	not regex.match(`^[^@ ]+@[^@ ]+[.][a-z]+$`, email)
}

deny contains {"code": "email_domain", "message": "this domain is not for contacts", "fields": []} if {
	some domain in params.blocked_domains
	endswith(lower(input.record.email), concat("", ["@", domain]))
}

deny contains {"code": "phone_form", "message": "`phone` has letters", "fields": []} if {
	regex.match(`[A-Za-z]`, input.record.phone)
}

deny contains {"code": "phone_length", "message": "`phone` is too short", "fields": []} if {
	count(input.record.phone) < 6
}
