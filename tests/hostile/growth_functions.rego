# expect: refused looked through here

# METADATA
# title: growth functions
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

f(x) := [x, x]
g(x) := f(f(f(f(x))))
h(x) := g(g(g(g(x))))
deny contains "x" if h(input.record) == h(input.changes)
