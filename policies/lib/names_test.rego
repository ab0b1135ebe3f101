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
		["Meridian Gulf", "Meri\u200bdian\u00a0Gu\u00adlf"],
		["Société Générale", "Socie\u0301te\u0301 Ge\u0301ne\u0301rale"],
		["Müller", "Mu\u0308ller"],
		["Meridian 7", "ＭＥＲＩＤＩＡＮ　７"],
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

test_names_that_cannot_be_compared_as_a_whole if {
	every name in ["株式会社メリディアン", "شركة الخليج", "Қазақ", concat(" ", ["a b c d e f g h i j k l m"])] {
		names.beyond(name)
	}
	every name in ["Виктор Золотарёв", "Παπαδόπουλος", "Société “Générale” – S.A. №1 ®", "Ångström", "ＡＢ"] {
		not names.beyond(name)
	}
}
