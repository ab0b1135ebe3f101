package lib.places

import data.lib.text

# The ISO 3166-1 code, in small letters, of the country that a record names: by code or by name.
# Undefined for what is no country's name.
code(country) := data.reference.countries[lower(trim_space(country))] if text.filled(country)
