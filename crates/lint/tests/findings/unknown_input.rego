# METADATA
# title: A title
# custom:
#   owner: team
#   objects: [contact]
#   operations: [create]
package crm.team.unknown_input

deny contains "acter" if input.acter.id == "x" # finds unknown_input

deny contains "deep" if input.actor.user_name == "x" # finds unknown_input

deny contains "of a change" if input.changes.email.too == "x" # finds unknown_input

deny contains "of a lookup" if input.record.account.name == "x" # finds unknown_input

deny contains "the lookup" if input.record.account.id == "x"

deny contains "right" if input.actor.username == "x"

deny contains "arguments are free" if input.operation.arguments.anything == "x"
