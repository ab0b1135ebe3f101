# expect: error `strings.replace_n` goes beyond its bound

# METADATA
# title: builtin replace n
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

p := {"a": "bbbbbbbbbbbbbbbb", "b": "cccccccccccccccc", "c": "dddddddddddddddd", "d": "eeeeeeeeeeeeeeee", "e": "ffffffffffffffff", "f": "gggggggggggggggg"}
deny contains "x" if count(strings.replace_n(p, "a")) == 1
