# METADATA
# title: People have a last name
# description: Refuses contacts and leads without a last name.
# custom:
#   owner: data-stewards
#   objects: [contact, lead]
#   operations: [create, update]
#   severity: medium
#   remediation: Fill in the last name.
package crm.quality.names

import data.lib.text

has_last_name if text.filled(input.record.last_name)

deny contains {
	"code": "last_name_required",
	"message": "a last name is required",
	"fields": ["last_name"],
} if {
	not has_last_name
}
