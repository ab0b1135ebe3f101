# METADATA
# title: A title
# custom:
#   owner: team
#   objects: [contact]
#   operations: [create]
package crm.team.unknown_rule

deny contains "x" if denied

denied if input.record.email == "x"

dney contains "never looked at" if input.record.email == "x" # finds unknown_rule

requires_approval contains {"reason": "x"} if input.record.email == "x" # finds unknown_rule

helper if input.record.email == "y" # finds unused_rule
