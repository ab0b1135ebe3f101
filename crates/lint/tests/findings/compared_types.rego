# METADATA
# title: A title
# custom:
#   owner: team
#   objects: [contact, opportunity]
#   operations: [create]
package crm.team.compared_types

deny contains "number with text" if "5" > 10 # finds compared_types

deny contains "choice with number" if input.record.stage == 10 # finds compared_types

deny contains "choice in order" if input.record.stage > "closed" # finds compared_order

deny contains "text with number" if input.record.probability >= "50" # finds compared_types

deny contains "array with set" if input.actor.roles == {"a"} # finds compared_types

deny contains "array with array" if input.actor.roles == ["a"]

deny contains "in a text" if "x" in input.record.next_step # finds compared_types

deny contains "number in texts" if input.record.probability in ["a", "b"] # finds compared_types

deny contains "dates" if input.record.close_date < "2026-01-01"

deny contains "null" if input.record.probability == null

deny contains "numbers" if input.record.probability > 10.5

deny contains "unknown" if input.native.Amount == "5"

deny contains "any one differs" if input.actor.roles[_] != "admin" # finds some_not_equal

deny contains "none is" if not "admin" in input.actor.roles

deny contains "operators on sets" if count(input.actor.roles & {"a"}) > 0 # finds argument_type
