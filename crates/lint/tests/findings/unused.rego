# METADATA
# title: A title
# custom:
#   owner: team
#   objects: [contact]
#   operations: [create]
package crm.team.unused

import data.lib.other # finds unused_import
import input.record as rec

deny contains "variable" if {
	address := input.record.email # finds unused_variable
	name := rec.last_name
	name == "x"
}

deny contains "some" if {
	some role, group in input.actor.roles # finds unused_variable
	group == "x"
}

deny contains "some, kept quiet" if {
	some _, group in input.actor.roles
	group == "x"
}

shorter(text, most) if count(text) < 10 # finds unused_variable, count_text

deny contains "argument" if shorter("x", 3)

longer(text, 0) if text != ""

longer(text, least) if count(text) > least # finds count_text

deny contains "clauses share a head" if longer("x", 3)

limit := 3

deny contains "used" if count(input.actor.roles) > limit

deny contains "assigned for compared" if {
	limit := input.object # finds unused_variable, shadowed
}

deny contains "hidden" if over(input.actor.roles)

over(limit) if count(limit) > 1 # finds shadowed
