# expect: refused 8 unsafe

# METADATA
# title: unsafe variable
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if not y
