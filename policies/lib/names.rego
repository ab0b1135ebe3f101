# Names as screening compares them.
package lib.names

# The words of a name in their order, folded: letters of other scripts and with accents become
# Latin ones, marks go, words that only say what kind of company it is go, and what sounds alike is
# spelled alike. Words beyond the twelfth are left out.
words(name) := array.slice(folded_words, 0, 12) if {
	is_string(name)

	# `S.A.` and `O'Neill` are one word each.
	unmarked := regex.replace(lower(latin(name)), `['’.]`, "")
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
