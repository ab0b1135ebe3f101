# expect: error goes beyond its bound

# METADATA
# title: builtin encode again
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

a0 := sprintf("%9999d", [1])
a1 := hex.encode(a0)
a2 := hex.encode(a1)
a3 := hex.encode(a2)
a4 := hex.encode(a3)
a5 := hex.encode(a4)
a6 := hex.encode(a5)
a7 := hex.encode(a6)
a8 := hex.encode(a7)
a9 := hex.encode(a8)
a10 := hex.encode(a9)
a11 := hex.encode(a10)
a12 := hex.encode(a11)
a13 := hex.encode(a12)
a14 := hex.encode(a13)
a15 := hex.encode(a14)
a16 := hex.encode(a15)
a17 := hex.encode(a16)
a18 := hex.encode(a17)
a19 := hex.encode(a18)
a20 := hex.encode(a19)
a21 := hex.encode(a20)
a22 := hex.encode(a21)
a23 := hex.encode(a22)
a24 := hex.encode(a23)
a25 := hex.encode(a24)
a26 := hex.encode(a25)
a27 := hex.encode(a26)
a28 := hex.encode(a27)
a29 := hex.encode(a28)
a30 := hex.encode(a29)
deny contains "x" if count(a30) == 1
