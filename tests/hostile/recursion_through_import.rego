# expect: refused may not use themselves

# METADATA
# title: recursion through import
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

import data.crm.hostile.policy as me

deny contains "x" if me.deny
