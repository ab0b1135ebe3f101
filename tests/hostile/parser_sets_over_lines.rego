# expect: refused

# METADATA
# title: parser sets over lines
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

x := {
{
{
{
{
{
{
{
{
{
{
{
{
{
{
{
{
{
{
{
{
{
{
{
{
{
{
{
{
{
1
}
}
}
}
}
}
}
}
}
}
}
}
}
}
}
}
}
}
}
}
}
}
}
}
}
}
}
}
}
}
deny contains "x" if x == 1
