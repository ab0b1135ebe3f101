# METADATA
# title: A title
# custom:
#   owner: team
#   remediaton: ask # finds metadata
#   objects: [contact]
#   operations: [craete] # finds metadata
#   enforcement: dry-run # finds metadata
#   severity: hihg # finds metadata
package crm.team.metadata

deny contains "x" if input.record.last_name == "x"
