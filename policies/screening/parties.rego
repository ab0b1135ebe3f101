# METADATA
# title: Names are screened against lists
# description: >-
#   Compares the names of accounts, people and their companies with lists of sanctioned or
#   otherwise unwanted parties, whatever the spelling, the order of words, the legal form or the
#   script. A hit waits for compliance, or is refused. Screens what a write changes; a scan screens
#   what is stored. Nothing is screened until a list is named.
# custom:
#   owner: compliance
#   objects: [account, contact, lead]
#   operations: [create, update]
#   severity: critical
#   remediation: Ask compliance to look at the name; tell the customer nothing meanwhile.
package crm.screening.parties

import data.lib.names
import data.lib.text

settings := data.params.screening.parties

# The names that a record bears, by the field that is shown.
written["name"] := name if {
	input.object == "account"
	name := input.record.name
}

written["company"] := name if {
	input.object == "lead"
	name := input.record.company
}

written["last_name"] := concat(" ", [first_name, last_name]) if input.object in {"contact", "lead"}

default first_name := ""

first_name := input.record.first_name if is_string(input.record.first_name)

default last_name := ""

last_name := input.record.last_name if is_string(input.record.last_name)

screened(_) if input.operation.point == "scan"

screened("name") if input.changes.name

screened("company") if input.changes.company

screened("last_name") if input.changes.last_name

screened("last_name") if input.changes.first_name

# A list's entry is hit by all words of a name, or by so many of them that stand side by side; one
# word alone hits only as the whole name.
hits contains {"field": field, "entry": entry} if {
	count(settings.lists) > 0
	some field, name in written
	text.filled(name)
	screened(field)
	words := names.words(name)
	some from, _ in words
	some to in numbers.range(from + 1, count(words))
	to - from > min([1, count(words) - 1])
	some entry in data.screening.parties[names.key(array.slice(words, from, to))]
	entry.list in settings.lists
}

# The same name may be on several lists.
told[field] := concat(", ", sort({entry |
	some hit in hits
	hit.field == field
	entry := sprintf("%s of `%s`", [hit.entry.reference, hit.entry.list])
})) if {
	some field in {hit.field | some hit in hits}
}

require_approval contains {
	"code": sprintf("party_listed_%s", [field]),
	"reason": sprintf("the name in `%s` is on a list: %s", [field, entries]),
	"approvers": {"groups": settings.approvers},
	"reject_needs_reason": true,
} if {
	settings.on_hit == "approval"
	some field, entries in told
}

deny contains {
	"code": "party_listed",
	"message": sprintf("the name in `%s` is on a list: %s", [field, entries]),
	"fields": [field],
} if {
	refused
	some field, entries in told
}

refused if settings.on_hit == "deny"

# A scan can't wait for anybody: there a hit is a finding.
refused if input.operation.point == "scan"
