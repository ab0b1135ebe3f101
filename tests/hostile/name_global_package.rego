# expect: refused is a package of the global layer

# METADATA
# title: takes the place of a global one
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.tests.global

allow if true
