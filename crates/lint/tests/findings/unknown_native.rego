# METADATA
# title: A title
# custom:
#   owner: team
#   objects: [contact]
#   operations: [create]
package crm.team.unknown_native

deny contains "a custom field" if input.native.Score_Band__c == 1 # finds unknown_native

deny contains "case" if input.native.email == "x" # finds unknown_native

deny contains "a slip" if input.native.FristName == "x" # finds unknown_native

deny contains "right" if input.native.FirstName == "x"
