# expect: error `graph.reachable_paths` goes beyond its bound

# METADATA
# title: builtin paths
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

g := {k: n | some k in numbers.range(1, 25); n := [m | some m in numbers.range(1, 25)]}
deny contains "x" if count(graph.reachable_paths(g, [1])) == 1
