# expect: refused

# METADATA
# title: name homoglyph
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

dеny contains "x" if true
