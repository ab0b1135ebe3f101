# expect: error bytes of the text

# METADATA
# title: regex long text
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if regex.match("a*b", concat("", [t | some _ in numbers.range(1, 90); t := sprintf("%9999d", [1])]))
