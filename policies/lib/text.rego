package lib.text

# Whether a value is a text with more than blanks.
filled(value) if {
	is_string(value)
	trim_space(value) != ""
}
