# expect: error exceeded size limit

# METADATA
# title: regex made at run time
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if regex.match(concat("", ["(", "\\w{200}", "){9}"]), input.record.last_name)
