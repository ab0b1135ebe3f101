# METADATA
# title: Contacts under load
# description: 20 fixed rules, so that runs compare.
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

deny contains {"code": "title_length", "message": "`title` is too long", "fields": []} if {
	count(input.record.title) > 80
}

deny contains {"code": "first_name_digits", "message": "`first_name` has digits", "fields": []} if {
	regex.match(`[0-9]`, input.record.first_name)
}

deny contains {"code": "last_name_digits", "message": "`last_name` has digits", "fields": []} if {
	regex.match(`[0-9]`, input.record.last_name)
}

deny contains {"code": "country_blocked", "message": "no contacts in this country", "fields": []} if {
	input.record.country in params.blocked_countries
}

deny contains {"code": "score_range", "message": "`score` is from 0 to 100", "fields": []} if {
	input.record.score > 100
}

deny contains {"code": "score_negative", "message": "`score` is from 0 to 100", "fields": []} if {
	input.record.score < 0
}

deny contains {"code": "department", "message": "this department does not exist", "fields": []} if {
	not input.record.department in params.departments
}

deny contains {"code": "consent", "message": "an opt-in needs consent", "fields": []} if {
	input.record.marketing_consent == false
	input.record.email_opt_out == false
}

deny contains {"code": "postal_code", "message": "`postal_code` is not one", "fields": []} if {
	not regex.match(`^[A-Z0-9 -]+$`, input.record.postal_code)
}

deny contains {"code": "test_names", "message": "test data stays out", "fields": []} if {
	lower(input.record.last_name) in {"test", "dummy", "foo", "bar"}
}

deny contains {"code": "secret_text", "message": "no card numbers in text", "fields": []} if {
	regex.match(`[0-9]{4} ?[0-9]{4} ?[0-9]{4} ?[0-9]{4}`, input.record.description)
}

deny contains {"code": "street", "message": "`street` is too long", "fields": []} if {
	count(input.record.street) > 120
}

deny contains {"code": "city_digits", "message": "`city` has digits", "fields": []} if {
	regex.match(`[0-9]`, input.record.city)
}

deny contains {"code": "shouting", "message": "names are not shouted", "fields": []} if {
	input.record.last_name == upper(input.record.last_name)
	count(input.record.last_name) > 4
}

deny contains {"code": "many_changes", "message": "too much at once", "fields": []} if {
	count([field | some field, change in input.changes; change.to != null]) > 60
}
