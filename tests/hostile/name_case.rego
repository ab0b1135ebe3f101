# expect: refused no rule that decides anything

# METADATA
# title: name case
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

Deny contains "x" if true
