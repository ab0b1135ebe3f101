# expect: refused is not a policy package
package data

x := 1
