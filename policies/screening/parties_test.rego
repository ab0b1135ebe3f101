package screening_test

import data.lib.names

test_every_entry_is_found_by_its_own_name if {
	every key, entries in data.screening.parties {
		every entry in entries {
			spelled := names.key(names.words(entry.name))
			some found in data.screening.parties[spelled]
			found.reference == entry.reference
			key == names.key(split(key, " "))
		}
	}
}
