package lib.spare # finds unused_file

one(text) := lower(text)
