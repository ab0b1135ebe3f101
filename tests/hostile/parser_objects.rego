# expect: refused 8 brackets nest deeper

# METADATA
# title: parser objects
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

x := {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": 1}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}
deny contains "x" if x == 1
