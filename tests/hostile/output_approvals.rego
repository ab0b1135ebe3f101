# expect: error two members have one `code`

# METADATA
# title: output approvals
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

require_approval contains {"code": "c", "reason": sprintf("r%d", [i]), "approvers": {"users": ["u"]}} if some i in numbers.range(1, 10)
