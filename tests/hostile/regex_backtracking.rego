# expect: allow

# METADATA
# title: regex backtracking
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if regex.match(`^(a+)+$`, concat("", [c | some _ in numbers.range(1, 5000); c := "a"]) ) == false
