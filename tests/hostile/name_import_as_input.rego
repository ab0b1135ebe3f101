# expect: refused 8 taken

# METADATA
# title: name import as input
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

import data.lib.text as input

deny contains "x" if input.record.last_name == "No"
