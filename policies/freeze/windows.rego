# METADATA
# title: No changes while the books are closed
# description: >-
#   Refuses writes during windows of a calendar: a span of dates, the last days of some months, or
#   hours of some weekdays. Every window has a time zone of its own and is compared with the clock
#   on the wall there, so it begins and ends at the same hour in summer and in winter. The calendar
#   is empty until somebody fills it.
# custom:
#   owner: revenue-operations
#   objects: [account, contact, lead, opportunity, product]
#   operations: [create, update, delete]
#   severity: medium
#   remediation: Wait until the window ends, or ask somebody with one of its roles.
package crm.freeze.windows

calendar := data.params.freeze.windows.calendar

# Windows that are about this object, operation and actor.
mine contains window if {
	some window in calendar
	input.object in window.objects
	input.operation.kind in window.operations
	not exempt(window)
}

exempt(window) if {
	some role in input.actor.roles
	role in window.except_roles
}

now := time.parse_rfc3339_ns(input.operation.at) if count(mine) > 0

# The wall clock in a zone: `2026-03-31` and `14:30`.
day(zone) := sprintf("%04d-%02d-%02d", time.date([now, zone]))

hour(zone) := concat(":", array.slice(split(sprintf("%02d:%02d:%02d", time.clock([now, zone])), ":"), 0, 2))

# From one date and hour to another: `2026-12-18 18:00`, the end not included.
open contains window.name if {
	some window in mine
	wall := sprintf("%s %s", [day(window.zone), hour(window.zone)])
	wall >= window.from
	wall < window.to
}

# The last days of some months.
open contains window.name if {
	some window in mine
	[year, month, today] := time.date([now, window.zone])
	month in window.months
	today > days_in(year, month) - window.last_days
}

# Hours of some weekdays, the end not included.
open contains window.name if {
	some window in mine
	time.weekday([now, window.zone]) in window.weekdays
	wall := hour(window.zone)
	wall >= window.from_hour
	wall < window.to_hour
}

days_in(_, month) := [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] if month != 2

days_in(year, 2) := 29 if leap(year)

days_in(year, 2) := 28 if not leap(year)

leap(year) if {
	year % 4 == 0
	year % 100 != 0
}

leap(year) if year % 400 == 0

deny contains {
	"code": "frozen",
	"message": sprintf("there are no changes of this kind during: %s", [concat(", ", sort(open))]),
	"fields": [],
} if {
	count(open) > 0
}
