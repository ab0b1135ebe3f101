# METADATA
# title: A title
# custom:
#   owner: team a
#   objects: [contact]
#   operations: [create]
package crm.team.a

patch contains {"op": "set", "field": "title", "value": "Mr"} # finds patch_conflict
