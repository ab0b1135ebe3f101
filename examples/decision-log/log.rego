# What of a decision may be remembered, beside the defaults: put it into a pack of its own,
# `policies/log/log.rego`. OPA reads it as it is.
package system.log

# A field of our own that no mapping knows to be about people.
mask contains "/input/native/Loyalty_Number__c"

mask contains {"op": "upsert", "path": "/input/record/description", "value": "withheld"} if {
	input.input.object == "case"
}

# The nightly job's own successes are noise; what was refused is not.
drop if {
	input.input.actor.client == "night-run"
	input.result.effect == "allow"
}
