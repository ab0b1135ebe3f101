# expect: refused the file is not read

# METADATA
# title: data unknown file
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if false
