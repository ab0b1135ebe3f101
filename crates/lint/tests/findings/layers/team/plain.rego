# METADATA
# title: A title
# custom:
#   owner: team a
#   objects: [contact]
#   operations: [create]
#   connections: [acme-fs] # finds unknown_connection
package crm.team.plain

deny contains "x" if input.record.last_name == "x"
