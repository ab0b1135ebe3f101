# expect: refused `final` only on global packages

# METADATA
# title: name final
# custom: {owner: t, objects: [contact], operations: [create], final: true}
package crm.hostile.policy

deny contains "x" if false
