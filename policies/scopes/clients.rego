# METADATA
# title: Integrations keep to what they are for
# description: >-
#   A client program that is named here writes only the objects, and does only the operations, that
#   it is for, and needs one of its OAuth scopes. Programs that are not named are not looked at,
#   unless that is set.
# custom:
#   owner: security
#   objects: [account, contact, lead, opportunity, product]
#   operations: [create, update, delete]
#   severity: high
#   remediation: Give the integration what it lacks in `params.yaml`, or a token with its scope.
package crm.scopes.clients

settings := data.params.scopes.clients

client := settings.clients[input.actor.client]

deny contains {
	"code": "client_object",
	"message": sprintf("`%s` does not %s `%s`", [input.actor.client, input.operation.kind, input.object]),
	"fields": [],
} if {
	client
	not its_object
}

its_object if input.operation.kind in client.objects[input.object]

has_scope if {
	is_array(input.actor.scopes)
	some scope in input.actor.scopes
	scope in client.scopes
}

deny contains {
	"code": "client_scope",
	"message": sprintf("`%s` needs one of the OAuth scopes %s", [input.actor.client, concat(", ", client.scopes)]),
	"fields": [],
} if {
	count(client.scopes) > 0
	not has_scope
}

deny contains {
	"code": "client_unknown",
	"message": "this client program is not known here",
	"fields": [],
} if {
	settings.others == "deny"
	not client
}
