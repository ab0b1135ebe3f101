# METADATA
# title: Writing needs a scope
# description: >-
#   Which OAuth scopes may write an object. A dry run: first see which tokens would be refused, and
#   which callers' scopes are not known.
# custom:
#   owner: security
#   objects: [account, contact, lead, opportunity]
#   operations: [create, update, delete]
#   enforcement: dryrun
#   severity: high
#   remediation: Ask for a token with one of the scopes.
package crm.scopes.writes

allow_scopes contains scope if some scope in data.params.scopes.writes.any

allow_scopes contains scope if some scope in data.params.scopes.writes[input.object]
