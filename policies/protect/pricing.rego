# METADATA
# title: Prices are written by who may
# description: Products and their list prices are written with the right OAuth scope only.
# custom:
#   owner: revenue-operations
#   objects: [product]
#   operations: [create, update, delete]
#   severity: high
#   remediation: Give the integration one of the scopes, or leave products to the pricing team.
package crm.protect.pricing

allow_scopes contains scope if some scope in data.params.protect.pricing.scopes
