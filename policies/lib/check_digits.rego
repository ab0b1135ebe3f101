# Numbers with check digits. Every function takes a text without blanks, letters in capitals, and
# is false for what is no such number.
package lib.check_digits

# The digits of a text, as numbers.
digits(text) := [to_number(digit) | some digit in regex.find_n(`[0-9]`, text, -1)]

# The number that up to nine digits are. `to_number` takes no leading zeros everywhere.
whole(text) := to_number(concat("", ["1", text])) - places[count(text)]

places := [1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000]

# Whether the last digit is right by Luhn's formula, as on payment cards.
luhn(text) if {
	regex.match(`^[0-9]{2,24}$`, text)
	all := digits(text)
	values := [value |
		some at, digit in all

		# Counted from the right, every other digit is doubled and the digits of the result added.
		weighted := digit * (2 - ((count(all) - at) % 2))
		value := floor(weighted / 10) + (weighted % 10)
	]
	sum(values) % 10 == 0
}

# A payment card: an issuer's first digits, a length that goes with them, and Luhn's formula.
card(text) if {
	regex.match(card_form, text)
	luhn(text)
}

card_form := concat("|", [
	# Visa, Mastercard, American Express, Diners Club,
	`^4[0-9]{15}([0-9]{3})?$`,
	`^(5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}$`,
	`^3[47][0-9]{13}$`,
	`^3(0[0-5]|[68][0-9])[0-9]{11}$`,
	# JCB, Discover, UnionPay.
	`^35(2[89]|[3-8][0-9])[0-9]{12}$`,
	`^6(011|5[0-9]{2}|4[4-9][0-9])[0-9]{12,15}$`,
	`^62[0-9]{14,17}$`,
])

# An IBAN: a country's length, and 1 left over by 97.
iban(text) if {
	count(text) == iban_lengths[substring(text, 0, 2)]
	regex.match(`^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$`, text)
	turned := concat("", [substring(text, 4, -1), substring(text, 0, 4)])
	mod97(strings.replace_n(letter_values, turned)) == 1
}

# What is left over by 97 of a number of up to 68 digits, which is more than numbers hold exactly.
mod97(text) := sum(parts) % 97 if {
	all := digits(text)
	parts := [part |
		some at, digit in all
		part := digit * powers[(count(all) - at) - 1]
	]
}

# Powers of ten, by 97.
powers := [
	1, 10, 3, 30, 9, 90, 27, 76, 81, 34, 49, 5, 50, 15, 53, 45, 62, 38, 89, 17, 73, 51, 25, 56,
	75, 71, 31, 19, 93, 57, 85, 74, 61, 28, 86, 84, 64, 58, 95, 77, 91, 37, 79, 14, 43, 42, 32,
	29, 96, 87, 94, 67, 88, 7, 70, 21, 16, 63, 48, 92, 47, 82, 44, 52, 35, 59, 8, 80, 24, 46,
]

letter_values := {
	"A": "10", "B": "11", "C": "12", "D": "13", "E": "14", "F": "15", "G": "16", "H": "17",
	"I": "18", "J": "19", "K": "20", "L": "21", "M": "22", "N": "23", "O": "24", "P": "25",
	"Q": "26", "R": "27", "S": "28", "T": "29", "U": "30", "V": "31", "W": "32", "X": "33",
	"Y": "34", "Z": "35",
}

iban_lengths := {
	"AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22,
	"BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28,
	"EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23,
	"GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26,
	"IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LI": 21, "LT": 20, "LU": 20, "LV": 21,
	"MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15,
	"PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SE": 24,
	"SI": 19, "SK": 24, "SM": 27, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}
