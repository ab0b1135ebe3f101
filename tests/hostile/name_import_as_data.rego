# expect: refused 8 taken

# METADATA
# title: name import as data
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

import input.record as data

deny contains "x" if data.last_name == "No"
