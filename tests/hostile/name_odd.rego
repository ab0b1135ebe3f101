# expect: refused is not a policy package
package crm.a["b c"]

deny contains "x"
