# METADATA
# title: A title
# custom:
#   owner: team a
#   objects: [contact]
#   operations: [create]
package crm.own.x

import data.lib.used

deny contains "x" if used.folded("X") == "x"

deny contains "y" if input.record.emial == "x" # finds unknown_field
