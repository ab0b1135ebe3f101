# expect: slow

# METADATA
# title: time regexes
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); regex.match(sprintf("^%d$", [a]), sprintf("%d.", [b])) }
