# expect: refused METADATA
package crm.hostile.policy

deny contains "x"
