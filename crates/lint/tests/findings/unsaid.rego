# METADATA
# title: A title
# custom:
#   owner: team
#   objects: [contact]
#   operations: [create]
package crm.team.unsaid

deny contains "the request" if input.request.method == "PATCH" # finds request_unsaid

deny contains "a relation" if input.related.account.name == "x" # finds need_unsaid
