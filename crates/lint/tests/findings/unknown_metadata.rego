# METADATA
# title: A title
# custom:
#   owner: team
#   objects: [contact, contcat, Account, Quote__c]  # finds unknown_object
#   operations: [create]
#   needs: [related.acount, related.owner] # finds unknown_relation
package crm.team.unknown_metadata

deny contains "x" if input.related.acount.name == "x" # finds unknown_relation

deny contains "y" if input.related.owner.id == "x"
