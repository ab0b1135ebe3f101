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

# Without blanks and the marks that people put between digits.
compact(text) := regex.replace(text, `[ \t\x{a0}().\-/]`, "")

international(text) if regex.match(`^\+[1-9][0-9]{6,14}$`, text)
