# METADATA
# title: A title
# custom:
#   owner: team
#   objects: [contact]
#   operations: [create]
package crm.team.deprecated

deny contains "x" if any([input.record.email == "x"]) # finds deprecated

deny contains "y" if re_match("a", "b") # finds deprecated

deny contains "z" if regex.match("a", "b")
