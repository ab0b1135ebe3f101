# expect: refused is not a policy package
package crm.a.b.c.d

deny contains "x"
