# METADATA
# title: A title
# custom:
#   owner: team
#   objects: [contact]
#   operations: [create]
package crm.team.patterns

deny contains "digits" if regex.match(`^\d+$`, "1") # finds regex_unicode

deny contains "words" if regex.match("^\\w+$", "1") # finds regex_unicode

deny contains "a backslash" if regex.match(`^\\d$`, "1")

deny contains "ascii" if regex.match(`^[0-9]+$`, "1")

deny contains "over the cap" if regex.match(`^\d{1,20}$`, "1") # finds regex, regex_unicode
