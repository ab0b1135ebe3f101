# expect: slow

# METADATA
# title: time many rules
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x0" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < 0 }
deny contains "x1" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -1 }
deny contains "x2" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -2 }
deny contains "x3" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -3 }
deny contains "x4" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -4 }
deny contains "x5" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -5 }
deny contains "x6" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -6 }
deny contains "x7" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -7 }
deny contains "x8" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -8 }
deny contains "x9" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -9 }
deny contains "x10" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -10 }
deny contains "x11" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -11 }
deny contains "x12" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -12 }
deny contains "x13" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -13 }
deny contains "x14" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -14 }
deny contains "x15" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -15 }
deny contains "x16" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -16 }
deny contains "x17" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -17 }
deny contains "x18" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -18 }
deny contains "x19" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -19 }
deny contains "x20" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -20 }
deny contains "x21" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -21 }
deny contains "x22" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -22 }
deny contains "x23" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -23 }
deny contains "x24" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -24 }
deny contains "x25" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -25 }
deny contains "x26" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -26 }
deny contains "x27" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -27 }
deny contains "x28" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -28 }
deny contains "x29" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -29 }
deny contains "x30" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -30 }
deny contains "x31" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -31 }
deny contains "x32" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -32 }
deny contains "x33" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -33 }
deny contains "x34" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -34 }
deny contains "x35" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -35 }
deny contains "x36" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -36 }
deny contains "x37" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -37 }
deny contains "x38" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -38 }
deny contains "x39" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -39 }
deny contains "x40" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -40 }
deny contains "x41" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -41 }
deny contains "x42" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -42 }
deny contains "x43" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -43 }
deny contains "x44" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -44 }
deny contains "x45" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -45 }
deny contains "x46" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -46 }
deny contains "x47" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -47 }
deny contains "x48" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -48 }
deny contains "x49" if { some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a + b < -49 }
