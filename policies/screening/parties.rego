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
# word alone hits only as the whole name. The same name may be on several lists.
told[field] := entries if {
	count(settings.lists) > 0
	some field, name in written
	text.filled(name)
	screened(field)
	words := names.words(name)
	count(words) > 0
	entries := concat(", ", sort(hits(words)))
	entries != ""
}

hits(words) := {entries |
	some at in numbers.range(0, (count(words) * count(words)) - 1)
	entries := listed(words, floor(at / count(words)), (at % count(words)) + 1)
	entries != ""
}

# The entries of the name that stands from one word to another.
listed(words, from, to) := concat(", ", sort(entries)) if {
	to - from > min([1, count(words) - 1])
	on_lists := data.screening.parties[names.key(array.slice(words, from, to))]
	entries := {entry |
		some found in on_lists
		found.list in settings.lists
		entry := sprintf("%s of `%s`", [found.reference, found.list])
	}
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

warn contains {
	"code": "party_unscreened",
	"message": sprintf("the name in `%s` has letters or so many words that the lists could not be compared with it as a whole", [field]),
	"fields": [field],
} if {
	count(settings.lists) > 0
	some field, name in written
	text.filled(name)
	screened(field)
	names.beyond(name)
}

# A scan can't wait for anybody: there a hit is a finding.
refused if input.operation.point == "scan"
