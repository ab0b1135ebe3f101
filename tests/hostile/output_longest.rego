# expect: deny 1

# METADATA
# title: output longest
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains {"code": replace(sprintf("%9999d", [1]), " ", "x"), "message": concat("", [t | some _ in numbers.range(1, 90); t := sprintf("%9999d", [1])]), "fields": [f | some i in numbers.range(1, 1000); f := sprintf("f%d", [i])]}
