# METADATA
# title: A title
# custom:
#   owner: team
#   objects: [contact]
#   operations: [create]
#   points: [gateway]
package crm.team.request_at_the_gateway

deny contains "x" if input.request.method == "PATCH"

deny contains "y" if input.request.metod == "PATCH" # finds unknown_input
