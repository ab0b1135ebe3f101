# expect: refused product of more than 64 numbers

# METADATA
# title: growth bigint functions
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

f(x) := x * x
g(x) := f(f(f(f(x))))
deny contains "x" if g(g(count(input.record.last_name) + 99999999)) > 1
