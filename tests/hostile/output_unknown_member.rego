# expect: error is not expected here

# METADATA
# title: output unknown member
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains {"code": "x", "message": "m", "severity": "low"}
