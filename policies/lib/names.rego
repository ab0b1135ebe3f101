# Names as screening compares them.
package lib.names

# The words of a name in their order, folded: letters of other scripts and with accents become
# Latin ones, marks go, words that only say what kind of company it is go, and what sounds alike is
# spelled alike. Words beyond the twelfth are left out.
words(name) := array.slice(every_word(name), 0, 12)

# Whether a name can't be compared as a whole: it has letters of a script that is not written in
# Latin letters here, or more words than count.
beyond(name) if regex.match(`[\x{aa}\x{b5}\x{ba}\x{c0}-\x{d6}\x{d8}-\x{f6}\x{f8}-\x{2af}\x{370}-\x{1fff}\x{2c00}-\x{2dff}\x{3005}-\x{3007}\x{3040}-\x{d7ff}\x{f900}-\x{fdff}\x{fe70}-\x{fefc}\x{ff21}-\x{ffdc}\x{10000}-\x{3ffff}]`, latin(name))

beyond(name) if count(every_word(name)) > 12

every_word(name) := folded_words if {
	is_string(name)

	# `S.A.` and `O'Neill` are one word each; accents that stand by themselves and invisible marks
	# part no word.
	unmarked := regex.replace(lower(latin(name)), `['’‘ʼ.\x{ad}\x{300}-\x{36f}\x{200b}-\x{200f}\x{202a}-\x{202e}\x{2060}-\x{2064}\x{feff}]`, "")
	folded_words := [folded(word) |
		some word in regex.find_n(`[0-9a-z]+`, unmarked, -1)
		not data.reference.legal_forms[word]
	]
}

# The one form of all spellings of a name.
key(folded_words) := concat(" ", sort(folded_words))

latin(name) := name if regex.match(`^[ -~]*$`, name)

# Greek writes two letters for the sound of `u`.
latin(name) := strings.replace_n(data.reference.letters, replace(replace(name, "ου", "u"), "ού", "u")) if not regex.match(`^[ -~]*$`, name)

# Without doubled letters, and with one spelling for `ph` and `f`, `ck` and `k`, `kh` and `h`, `oo`,
# `ou` and `u`, `ee` and `i`.
folded(word) := concat("", letters) if {
	alike := replace(replace(replace(replace(word, "ph", "f"), "ck", "k"), "kh", "h"), "ou", "u")
	every_letter := regex.find_n(`[0-9a-z]`, replace(replace(alike, "oo", "u"), "ee", "i"), -1)
	letters := [letter |
		some at, letter in every_letter
		not same(every_letter, at - 1, letter)
	]
}

same(letters, at, letter) if letters[at] == letter
