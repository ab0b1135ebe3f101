# METADATA
# title: Quotes are for somebody
# description: A custom object of this org, by its native names.
# custom:
#   owner: acme-sales
#   objects: [Quote__c]
#   operations: [create, update]
#   severity: medium
#   remediation: Name the opportunity that the quote is for.
package crm.acme.quotes

import data.lib.text

has_opportunity if text.filled(input.native.Opportunity__c)

deny contains {
	"code": "quote_without_opportunity",
	"message": "a quote is for an opportunity",
	"fields": ["native.Opportunity__c"],
} if {
	not has_opportunity
}

# Stricter than the catalogue: its discounts are looked at only where an opportunity has them.
require_approval contains {
	"code": "quote_discount",
	"reason": sprintf("a quote with a discount of %v %%", [input.native.Discount__c]),
	"approvers": {"groups": ["sales-managers"]},
} if {
	is_number(input.native.Discount__c)
	input.native.Discount__c > data.params.sales.discounts.approval_over
}
