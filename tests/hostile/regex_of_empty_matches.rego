# expect: error

# METADATA
# title: regex of empty matches
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

big := concat("", ["aaaaaaaaaa" | some i in numbers.range(1, 5000)])
deny contains "x" if count(regex.replace(big, "", big)) > 1
