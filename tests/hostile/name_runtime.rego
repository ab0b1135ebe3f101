# expect: refused 8 may not be called

# METADATA
# title: name runtime
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if opa.runtime().env.HOME
