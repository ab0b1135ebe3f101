# expect: refused 8 may not be called

# METADATA
# title: name network
# custom: {owner: t, objects: [contact], operations: [create]}
package crm.hostile.policy

deny contains "x" if http.send({"url": "http://127.0.0.1", "method": "get"}).status_code == 200
