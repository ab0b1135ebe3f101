# expect: refused is not a policy package
package crmgate.entry

out := {}
