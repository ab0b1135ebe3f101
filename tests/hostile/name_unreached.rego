# expect: refused 9 there is no function

# METADATA
# title: name unreached
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if false
x := crypto.sha256("a")
