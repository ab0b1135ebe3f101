# METADATA
# title: A title
# custom:
#   owner: team
#   objects: "*"
#   operations: [create]
package crm.team.all_objects

deny contains "a slip" if input.object == "contcat" # finds unknown_object

deny contains "native" if input.object == "Product2" # finds unknown_object

deny contains "right" if input.object == "contact"

deny contains "custom" if input.object == "quote__c"

deny contains "a field of one of them" if input.record.probability == 1

deny contains "a field of none" if input.record.probabilty == 1 # finds unknown_field

deny contains "may be of another object" if input.record.shoe_size == 1 # finds unknown_field
