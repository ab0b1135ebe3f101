# National identification numbers of people. Only forms that are told from other numbers by check
# digits or by an unmistakable spelling.
package lib.national_ids

import data.lib.check_digits

# Whether a text, letters in capitals, is a number of the country's form.
valid("be", text) if {
	regex.match(`^[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}\.[0-9]{2}$`, text)
	written := regex.replace(text, `[.\-]`, "")
	check := check_digits.whole(substring(written, 9, -1))

	# Who was born since 2000 has a 2 before the number.
	some century in ["", "2"]
	check == 97 - check_digits.mod97(concat("", [century, substring(written, 0, 9)]))
}

valid("br", text) if {
	regex.match(`^[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}$`, text)
	digits := check_digits.digits(text)
	count({digit | some digit in digits}) > 1
	digits[9] == cpf_check(array.slice(digits, 0, 9))
	digits[10] == cpf_check(array.slice(digits, 0, 10))
}

valid("ch", text) if {
	regex.match(`^756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}$|^756[0-9]{10}$`, text)
	weighted(check_digits.digits(text), [1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]) % 10 == 0
}

valid("de", text) if {
	regex.match(`^[1-9][0-9]{10}$`, text)
	digits := check_digits.digits(text)
	german_repeats(array.slice(digits, 0, 10))
	product := german(german(german(german(german(10, digits[0]), digits[1]), digits[2]), digits[3]), digits[4])
	last := german(german(german(german(german(product, digits[5]), digits[6]), digits[7]), digits[8]), digits[9])
	digits[10] == (11 - last) % 10
}

valid("es", text) if {
	regex.match(`^[0-9XYZ][0-9]{7}-?[A-Z]$`, text)
	number := strings.replace_n({"X": "0", "Y": "1", "Z": "2"}, substring(text, 0, 8))
	at := check_digits.whole(number) % 23
	substring("TRWAGMYFPDXBNJZSQVHLCKE", at, 1) == substring(text, count(text) - 1, 1)
}

valid("fi", text) if {
	regex.match(`^[0-3][0-9][01][0-9]{3}[+\-A-FU-Y][0-9]{3}[0-9A-FHJ-NPR-Y]$`, text)
	at := check_digits.whole(concat("", [substring(text, 0, 6), substring(text, 7, 3)])) % 31
	substring("0123456789ABCDEFHJKLMNPRSTUVWXY", at, 1) == substring(text, 10, 1)
}

valid("fr", text) if {
	regex.match(`^[12][0-9]{2}(0[1-9]|1[0-2]|[2-9][0-9])([0-9]{2}|2[AB])[0-9]{8}$`, text)

	# Corsica's two departments count as 19 and 18.
	number := strings.replace_n({"A": "9", "B": "8"}, corsica(substring(text, 0, 13)))
	check_digits.whole(substring(text, 13, 2)) == 97 - check_digits.mod97(number)
}

valid("gb", text) if {
	regex.match(`^[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][0-9]{6}[A-D]$`, text)
	not substring(text, 0, 2) in {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}
}

valid("it", text) if {
	regex.match(`^[A-Z]{6}[0-9]{2}[A-EHLMPRST][0-9]{2}[A-Z][0-9]{3}[A-Z]$`, text)
	characters := regex.find_n(`[A-Z0-9]`, substring(text, 0, 15), -1)
	values := [value |
		some at, character in characters
		value := italian(at % 2, character)
	]
	substring(letters, sum(values) % 26, 1) == substring(text, 15, 1)
}

valid("pl", text) if {
	# The month also tells the century.
	regex.match(`^[0-9]{2}[02468][1-9][0-3][0-9]{6}$|^[0-9]{2}[13579][0-2][0-3][0-9]{6}$`, text)
	weighted(check_digits.digits(text), [1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]) % 10 == 0
}

valid("se", text) if {
	regex.match(`^([0-9]{2})?[0-9]{2}(0[1-9]|1[0-2])[0-3][0-9][+\-][0-9]{4}$`, text)
	written := regex.replace(text, `[+\-]`, "")
	check_digits.luhn(substring(written, count(written) - 10, -1))
}

valid("us", text) if {
	regex.match(`^[0-9]{3}-[0-9]{2}-[0-9]{4}$`, text)
	not regex.match(`^(000|666|9[0-9]{2})-|-00-|-0000$`, text)
}

weighted(digits, weights) := sum(parts) if {
	parts := [part |
		some at, digit in digits
		part := digit * weights[at]
	]
}

# The check digit behind so many digits of a Brazilian number.
cpf_check(digits) := ((sum(parts) * 10) % 11) % 10 if {
	parts := [part |
		some at, digit in digits
		part := digit * ((count(digits) + 1) - at)
	]
}

# One step of the German check digit (ISO 7064, MOD 11,10): twice the sum, by 11, which is where the
# sum's last digit stands in the text.
german(product, digit) := indexof("-6172839405", format_int((digit + product) % 10, 10))

# Of the first ten digits one stands there twice or three times, and no other more than once.
german_repeats(digits) if count({digit | some digit in digits}) == 9

german_repeats(digits) if {
	count({digit | some digit in digits}) == 8
	some digit in digits
	count([same | some same in digits; same == digit]) == 3
}

corsica(text) := text if not regex.match(`[AB]`, text)

corsica(text) := concat("", [substring(text, 0, 5), "1", substring(text, 6, -1)]) if regex.match(`[AB]`, text)

letters := "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

# Italy's values, of characters in odd places (the first is one) and in even ones.
italian(0, character) := italian_odd[italian_at(character)]

italian(1, character) := italian_at(character)

italian_at(character) := to_number(character) if regex.match(`^[0-9]$`, character)

italian_at(character) := indexof(letters, character) if regex.match(`^[A-Z]$`, character)

italian_odd := [
	1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
]
