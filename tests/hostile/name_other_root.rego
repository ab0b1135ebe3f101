# expect: refused is not a policy package
package other.log

mask contains "/input"
