# METADATA
# title: Opportunities go through their stages
# description: >-
#   What is closed stays closed, an opportunity is won from a late stage only, and a win has an
#   amount and a close date. What was won without them before is found by a scan, and does not stop
#   other changes.
# custom:
#   owner: sales-operations
#   objects: [opportunity]
#   operations: [create, update]
#   severity: high
#   remediation: Move the opportunity through its stages, or ask sales operations.
package crm.sales.stages

closed := {"closed_won", "closed_lost"}

may_reopen if {
	some role in input.actor.roles
	role in data.params.sales.stages.reopen_roles
}

deny contains {
	"code": "reopened",
	"message": sprintf("a closed opportunity stays closed: it was %s", [input.changes.stage.from]),
	"fields": ["stage"],
} if {
	input.changes.stage.from in closed
	input.changes.stage.to != input.changes.stage.from
	not may_reopen
}

won if input.record.stage == "closed_won"

winning if {
	won
	input.changes.stage.to == "closed_won"
}

# The stage it comes from; a new opportunity comes from nowhere.
late if input.changes.stage.from in data.params.sales.stages.winnable_from

late if input.changes.stage.from in closed

deny contains {
	"code": "stage_skipped",
	"message": sprintf("an opportunity is won from %s only", [concat(" or ", data.params.sales.stages.winnable_from)]),
	"fields": ["stage"],
} if {
	winning
	not late
}

looked_at(_) if winning

looked_at(field) if input.changes[field]

looked_at(_) if input.operation.point == "scan"

has_amount if {
	is_number(input.record.amount)
	input.record.amount > 0
}

deny contains {
	"code": "amount_required",
	"message": "a won opportunity has an amount",
	"fields": ["amount"],
} if {
	won
	looked_at("amount")
	not has_amount
}

has_close_date if is_string(input.record.close_date)

deny contains {
	"code": "close_date_required",
	"message": "a won opportunity has a close date",
	"fields": ["close_date"],
} if {
	won
	looked_at("close_date")
	not has_close_date
}
