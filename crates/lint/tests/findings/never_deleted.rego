# METADATA
# title: A title
# custom:
#   owner: team
#   objects: [contact]
#   operations: [delete]
package crm.team.never_deleted

deny contains "gone" if input.record.email == "x" # finds never

deny contains "stored" if input.before.email == "x"
