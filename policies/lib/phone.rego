package lib.phone

# The number in E.164 form (`+4930123456`), however it was written; undefined when that can't be
# told. `plan` says how numbers are written where no country code is given:
# {"code": "49", "trunk": "0", "min": 6, "max": 11}, lengths without the trunk prefix.
e164(text, _) := compact(text) if international(compact(text))

e164(text, _) := number if {
	written := compact(text)
	startswith(written, "00")
	number := concat("", ["+", substring(written, 2, -1)])
	international(number)
}

e164(text, plan) := concat("", ["+", plan.code, national]) if {
	written := compact(text)
	regex.match(`^[0-9]{3,15}$`, written)
	not startswith(written, "00")
	national := trim_prefix(written, plan.trunk)
	count(national) >= plan.min
	count(national) <= plan.max
}

# Without blanks, the marks that people put between digits, and the invisible ones that come along
# when a number is copied. The zero of `+49 (0)30` and `+49 (030)` is dialled inside the
# country only; Italy's and San Marino's is part of the number.
compact(text) := regex.replace(trunkless, `[ \t().\-/\x{a0}\x{200b}-\x{200f}\x{2010}-\x{2015}\x{202a}-\x{202f}\x{2066}-\x{2069}\x{feff}]`, "") if {
	trunkless := regex.replace(text, `^([^0-9+]*(\+|00) ?([124-9][0-9]{0,2}|3[0-68][0-9]?|37[0-79]) ?)\(0([0-9]*)\)`, "${1}${4}")
}

international(text) if regex.match(`^\+[1-9][0-9]{6,14}$`, text)
