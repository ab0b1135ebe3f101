package lib.names_test

import data.lib.names

same(one, other) if names.key(names.words(one)) == names.key(names.words(other))

test_spellings_of_one_name if {
	every pair in [
		["Meridian Gulf Shipping LLC", "GULF-MERIDIAN SHIPING, L.L.C."],
		["Müller & Söhne GmbH", "MUELLER SOEHNE"],
		["Société Générale S.A.", "Societe Generale"],
		["Виктор Золотарёв", "Zolotarev, Viktor"],
		["Παπαδόπουλος", "Papadopoulos"],
		["O'Neill", "ONeil"],
		["Philip Black", "Filip Blak"],
	] {
		same(pair[0], pair[1])
	}
}

test_other_names if {
	every pair in [
		["Meridian Gulf Shipping", "Meridian Shipping"],
		["Anna Berg", "Anne Berg"],
		["Ltd", "Alpha Ltd"],
		["Söhne", "Sohne"],
	] {
		not same(pair[0], pair[1])
	}
}

test_names_without_words if {
	every name in ["", " - ", "LLC", "我"] {
		names.words(name) == []
	}
}

test_long_names_end if {
	count(names.words(concat(" ", ["a b c d e f g h i j k l m n o p"]))) == 12
}
