package lib.used

folded(text) := lower(text)

spare(text) := upper(text) # finds unused_rule
