# expect: error `net.cidr_expand` goes beyond its bound

# METADATA
# title: builtin hosts v6
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if count(net.cidr_expand("2001:db8::/32")) == 1
