# expect: error `net.cidr_expand` goes beyond its bound

# METADATA
# title: builtin hosts
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if count(net.cidr_expand("10.0.0.0/8")) == 1
