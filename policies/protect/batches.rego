# METADATA
# title: Nothing is deleted by the hundreds
# description: >-
#   A batch that deletes more records than a person would look through is refused. A dry run, until
#   it is known which jobs clean up in earnest.
# custom:
#   owner: revenue-operations
#   objects: [account, contact, lead, opportunity]
#   operations: [delete]
#   enforcement: dryrun
#   severity: critical
#   remediation: Delete in smaller batches, or have the job added to the clients that may.
package crm.protect.batches

settings := data.params.protect.batches

may_clean_up if input.actor.client in settings.clients

deny contains {
	"code": "batch_too_large",
	"message": sprintf("a batch of %v deletes is over the limit of %v", [input.operation.batch.size, settings.largest]),
	"fields": [],
} if {
	input.operation.batch.size > settings.largest
	not may_clean_up
}
