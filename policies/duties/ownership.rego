# METADATA
# title: Records are handed over, not taken
# description: >-
#   The owner of a record is changed by its owner, by some roles and by some programs. A dry run,
#   until it is known who assigns records in earnest.
# custom:
#   owner: revenue-operations
#   objects: [account, contact, lead, opportunity]
#   operations: [update]
#   enforcement: dryrun
#   severity: medium
#   remediation: Ask the owner to hand the record over, or sales operations to assign it.
package crm.duties.ownership

settings := data.params.duties.ownership

changed if input.changes.owner.from.id != input.changes.owner.to.id

may_assign if input.changes.owner.from.id == input.actor.id

# A queue or a team is there to be taken from.
may_assign if input.changes.owner.from.type != "user"

may_assign if {
	some role in input.actor.roles
	role in settings.roles
}

may_assign if input.actor.client in settings.clients

deny contains {
	"code": "owner_taken",
	"message": "the owner of a record is changed by its owner or by who assigns records",
	"fields": ["owner"],
} if {
	changed
	not may_assign
}
