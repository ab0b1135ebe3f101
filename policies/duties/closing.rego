# METADATA
# title: Four eyes on large deals
# description: >-
#   Who made an opportunity does not set it to won alone when it is large. A dry run, so that one
#   sees how often it happens.
# custom:
#   owner: revenue-operations
#   objects: [opportunity]
#   operations: [update]
#   enforcement: dryrun
#   severity: high
#   remediation: Have a colleague close it.
package crm.duties.closing

settings := data.params.duties.closing

winning if {
	input.changes.stage.to == "closed_won"
	input.changes.stage.from != "closed_won"
}

exempt if {
	some role in input.actor.roles
	role in settings.roles
}

deny contains {
	"code": "closed_by_creator",
	"message": sprintf("an opportunity of %v and more is closed by somebody who did not make it", [settings.amount_from]),
	"fields": ["stage", "created_by"],
} if {
	winning
	is_number(input.record.amount)
	input.record.amount >= settings.amount_from
	input.record.created_by.id == input.actor.id
	not exempt
}
