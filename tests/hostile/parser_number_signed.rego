# expect: refused 8 more than 300 digits

# METADATA
# title: parser number signed
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if input.record.a > 1.5E+99999999
