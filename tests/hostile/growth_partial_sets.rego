# expect: slow

# METADATA
# title: growth partial sets
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

s0 contains x if some x in ["a", "b", "c", "d"]
s1 contains x if { some a in s0; some b in s0; x := concat("", [a, b]) }
s2 contains x if { some a in s1; some b in s1; x := concat("", [a, b]) }
s3 contains x if { some a in s2; some b in s2; x := concat("", [a, b]) }
s4 contains x if { some a in s3; some b in s3; x := concat("", [a, b]) }
s5 contains x if { some a in s4; some b in s4; x := concat("", [a, b]) }
s6 contains x if { some a in s5; some b in s5; x := concat("", [a, b]) }
s7 contains x if { some a in s6; some b in s6; x := concat("", [a, b]) }
s8 contains x if { some a in s7; some b in s7; x := concat("", [a, b]) }
deny contains "x" if count(s8) == 1
