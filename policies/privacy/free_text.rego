# METADATA
# title: No personal numbers in free text
# description: >-
#   Finds payment card numbers, IBANs and national identification numbers in descriptions, subjects
#   and the like: where nobody looks for them, no field-level security covers them, and every export
#   takes them along. Looks at what a write changes; a scan looks at what is stored. The number
#   itself is never repeated.
# custom:
#   owner: privacy
#   objects: [account, contact, lead, opportunity, case, task]
#   operations: [create, update]
#   severity: high
#   remediation: Take the number out, and keep it in the system that is made for it.
package crm.privacy.free_text

import data.lib.check_digits
import data.lib.national_ids

settings := data.params.privacy.free_text

# Texts with so many digits that there may be a number in them.
texts[field] := text if {
	some field in ["description", "subject", "next_step", "title"]
	text := input.record[field]
	is_string(text)
	regex.match(`[0-9][^0-9]?[0-9]`, text)
	looked_at(field)
}

looked_at(field) if input.changes[field]

looked_at(_) if input.operation.point == "scan"

found contains {"kind": "cards", "field": field} if {
	settings.cards != "off"
	some field, text in texts
	holds_card(text)
}

found contains {"kind": "ibans", "field": field} if {
	settings.ibans != "off"
	some field, text in texts
	regex.match(`[A-Za-z]{2}[0-9]{2}[^A-Za-z0-9]?[A-Za-z0-9]{4}`, text)
	holds_iban(regex.split(`[^A-Za-z0-9]+`, text))
}

found contains {"kind": "national_ids", "field": field} if {
	settings.national_ids != "off"
	some field, text in texts
	some pattern in id_patterns
	holds_national_id({upper(replace(word, " ", "")) | some word in regex.find_n(pattern, text, -1)})
}

# Without separators.
holds_card(text) if {
	some number in {digits | some digits in regex.find_n(`[0-9]{14,}`, text, -1)}
	check_digits.card(number)
}

holds_card(text) if {
	some run in regex.find_n(`[0-9]+([ ._/\-\x{a0}\x{2009}-\x{2015}\x{202f}\x{3000}\x{ff0d}]{1,3}[0-9]+){2,}`, text, -1)
	some number in grouped(regex.split(`[^0-9]+`, run))
	check_digits.card(number)
}

# In the groups that are printed on cards: 4-4-4-4, or 4-6-4 and 4-6-5.
grouped(groups) := {number |
	some at, first in groups
	count(first) == 4
	many := {4: 4, 6: 3}[count(groups[at + 1])]
	number := concat("", array.slice(groups, at, at + many))
}

holds_iban(words) if {
	some at, word in words
	regex.match(`^[A-Za-z]{2}[0-9]{2}`, word)
	length := check_digits.iban_lengths[upper(substring(word, 0, 2))]
	check_digits.iban(iban(words, at, length))
}

# What may be an IBAN that begins with a word: the word alone, or it and those behind it, which are
# of four characters but the last.
iban(words, at, _) := upper(words[at]) if count(words[at]) > 4

iban(words, at, length) := upper(concat("", groups)) if {
	count(words[at]) == 4
	groups := array.slice(words, at, at + ceil(length / 4))
	every group in array.slice(groups, 0, count(groups) - 1) {
		count(group) == 4
	}
}

# Words that begin like a number, and the numbers that are written with blanks: British, French.
id_patterns := [
	`[A-Za-z]{0,6}[0-9][0-9A-Za-z.+-]{6,18}[0-9A-Za-z]`,
	`[A-Za-z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-Da-d]`,
	`[12] [0-9]{2} [0-9]{2} [0-9][0-9ABab] [0-9]{3} [0-9]{3} [0-9]{2}`,
]

holds_national_id(numbers) if {
	some number in numbers
	some country in settings.countries
	national_ids.valid(country, number)
}

# What is said of each kind of number.
codes := {"cards": "card_number", "ibans": "iban", "national_ids": "national_id"}

whats := {"cards": "a payment card number", "ibans": "an IBAN", "national_ids": "a national identification number"}

finding(kind, field) := {
	"code": codes[kind],
	"message": sprintf("`%s` seems to hold %s", [field, whats[kind]]),
	"fields": [field],
}

deny contains finding(one.kind, one.field) if {
	some one in found
	settings[one.kind] == "deny"
}

warn contains finding(one.kind, one.field) if {
	some one in found
	settings[one.kind] == "warn"
}
