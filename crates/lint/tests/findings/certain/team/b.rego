# METADATA
# title: A title
# custom:
#   owner: team b
#   objects: [contact]
#   operations: [create]
package crm.team.b

patch contains {"op": "set", "field": "title", "value": "Ms"}
