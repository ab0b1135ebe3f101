package lib.national_ids_test

import data.lib.national_ids

# Numbers that are published as examples, or made up with the right check digits.
right := {
	"be": ["85.07.30-033.28", "17.07.30-033.84"],
	"br": ["529.982.247-25", "111.444.777-35"],
	"ch": ["756.9217.0769.85", "7569217076985"],
	"de": ["86095742719", "65929970489"],
	"es": ["12345678Z", "X1234567L", "12345678-Z"],
	"fi": ["131052-308T"],
	"fr": ["255081416802538", "180012A12345620"],
	"gb": ["AB123456C"],
	"it": ["RSSMRA85T10A562S"],
	"pl": ["44051401359"],
	"se": ["811218-9876", "19811218-9876"],
	"us": ["219-09-9999"],
}

wrong := {
	"be": ["85.07.30-033.29", "85073003328"],
	"br": ["529.982.247-26", "111.111.111-11", "52998224725"],
	"ch": ["756.9217.0769.86", "757.9217.0769.85"],
	"de": ["86095742718", "12345678901", "06095742719"],
	"es": ["12345678A", "1234567Z"],
	"fi": ["131052-308U", "131052 308T"],
	"fr": ["255081416802539", "355081416802538"],
	"gb": ["GB123456C", "AB123456E", "DA123456C"],
	"it": ["RSSMRA85T10A562T", "RSSMRA85T10A562"],
	"pl": ["44051401358", "44131401359"],
	"se": ["811218-9875", "811318-9876"],
	"us": ["000-12-3456", "666-12-3456", "900-12-3456", "219-00-9999", "219-09-0000", "219099999"],
}

test_right_numbers if {
	every country, texts in right {
		every text in texts {
			national_ids.valid(country, text)
		}
	}
}

test_wrong_numbers if {
	every country, texts in wrong {
		every text in texts {
			not national_ids.valid(country, text)
		}
	}
}
