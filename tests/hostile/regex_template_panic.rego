# expect: error the engine broke off

# METADATA
# title: regex template panic
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if regex.template_match("urn:very:long:prefix:{.*}", "u", "{", "}")
