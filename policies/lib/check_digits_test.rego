package lib.check_digits_test

import data.lib.check_digits

test_luhn_is_right if {
	check_digits.luhn("79927398713")
	check_digits.luhn("18")
	check_digits.luhn("0000000000000000")
}

test_luhn_is_wrong if {
	every text in ["79927398710", "", "1", "18 ", "1a8", "4111111111111112"] {
		not check_digits.luhn(text)
	}
}

test_luhn_finds_every_single_wrong_digit if {
	every at in numbers.range(0, 15) {
		every digit in numbers.range(0, 9) {
			right := substring("4111111111111111", at, 1) == sprintf("%d", [digit])
			text := concat("", [
				substring("4111111111111111", 0, at),
				sprintf("%d", [digit]),
				substring("4111111111111111", at + 1, -1),
			])
			right == is_luhn(text)
		}
	}
}

is_luhn(text) if check_digits.luhn(text)

else := false

test_cards if {
	every text in [
		"4111111111111111", "5555555555554444", "2223003122003222", "378282246310005",
		"30569309025904", "3530111333300000", "6011111111111117", "6200000000000005",
	] {
		check_digits.card(text)
	}
}

# An IMEI, an article's number, a card of no issuer, one digit too few, a wrong digit.
test_no_cards if {
	every text in ["356938035643809", "4006381333931", "9111111111111111", "411111111111111", "4111111111111112", ""] {
		not check_digits.card(text)
	}
}

test_ibans if {
	every text in [
		"DE89370400440532013000", "GB82WEST12345698765432", "FR1420041010050500013M02606",
		"NO9386011117947", "MT84MALT011000012345MTLCAST001S", "CH9300762011623852957",
	] {
		check_digits.iban(text)
	}
}

# A wrong digit, two digits that changed places, another country's length, small letters, none.
test_no_ibans if {
	every text in [
		"DE89370400440532013001", "DE89370400440532010300", "DE8937040044053201300",
		"de89370400440532013000", "ZZ89370400440532013000", "",
	] {
		not check_digits.iban(text)
	}
}

test_mod97_of_long_numbers if {
	check_digits.mod97("98") == 1
	check_digits.mod97("3214282912345698765432161182") == 1
	check_digits.mod97("") == 0
}

test_whole_numbers_with_leading_zeros if {
	check_digits.whole("007") == 7
	check_digits.whole("0") == 0
	check_digits.whole("") == 0
	check_digits.whole("999999999") == 999999999
}
