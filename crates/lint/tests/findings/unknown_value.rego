# METADATA
# title: A title
# custom:
#   owner: team
#   objects: [opportunity]
#   operations: [create, update]
package crm.team.unknown_value

deny contains "a value" if input.record.stage == "close_won" # finds unknown_value

deny contains "one of some" if input.record.stage in {"closed_won", "lost"} # finds unknown_value

closed := {"closed_wom", "closed_lost"}

deny contains "by a name" if input.record.stage in closed # finds unknown_value

deny contains "native" if input.record.stage == "native:Parked"

deny contains "right" if input.record.stage == "closed_won"

deny contains "a kind" if input.operation.kind == "craete" # finds unknown_value

deny contains "free text" if input.record.next_step == "closed_wom"
