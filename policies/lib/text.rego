package lib.text

# Whether a value is a text with more than blanks and invisible marks.
filled(value) if {
	is_string(value)
	regex.match(`[^\x{0}-\x{20}\x{7f}-\x{a0}\x{ad}\x{115f}\x{1160}\x{1680}\x{180e}\x{2000}-\x{200f}\x{2028}-\x{202f}\x{205f}-\x{206f}\x{2800}\x{3000}\x{3164}\x{feff}\x{ffa0}]`, value)
}
