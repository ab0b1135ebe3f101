// jsforce: login, describe, create, read, update, upsert, query, delete.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import { Transcript } from "./transcript.mjs";

const require = createRequire(`${process.env.CLIENT_MODULES}/`);
const jsforce = require("jsforce");
const config = JSON.parse(readFileSync(process.argv[2], "utf8"));
const log = new Transcript([config.url, new URL(config.url).host]);
const connection = new jsforce.Connection({ loginUrl: config.url, version: config.api_version });

await log.step("login", async () => {
  const user = await connection.login(config.username, config.password + config.security_token);
  return { user, stays: connection.instanceUrl === config.url };
});
await log.step("identity", async () => (await connection.identity()).username);
await log.step("describe", async () => (await connection.describe("Contact")).fields.map((f) => f.name).sort());
const contacts = connection.sobject("Contact");
const made = await log.step("create", () =>
  contacts.create({ FirstName: "Ada", LastName: "Lindqvist", Email: "ada.lindqvist@example.com" }));
const id = made?.id ?? "003000000000000AAA";
await log.step("read", async () => {
  const { FirstName, LastName, Email } = await contacts.retrieve(id);
  return { FirstName, LastName, Email };
});
await log.step("update", () => contacts.update({ Id: id, Title: "Head of Research" }));
await log.step("upsert new", () => contacts.upsert({ Ext_Id__c: config.external_id, LastName: "Okafor" }, "Ext_Id__c"));
await log.step("upsert known", () => contacts.upsert({ Ext_Id__c: config.external_id, Title: "Buyer" }, "Ext_Id__c"));
await log.step("query", async () => (await connection.query(`SELECT Id, Title FROM Contact WHERE Id = '${id}'`)).records);
await log.step("pages", async () => {
  const rows = await connection.query("SELECT Id FROM Contact").run({ autoFetch: true, maxFetch: 1000 });
  return rows.length > 5;
});
await log.step("missing field", () => contacts.create({ FirstName: "Nobody" }));
await log.step("missing record", () => contacts.update({ Id: "003000000000999AAA", Title: "x" }));
await log.step("delete", () => contacts.destroy(id));
await log.step("deleted", () => contacts.retrieve(id));
for (const [name, change] of config.extra ?? []) {
  await log.step(name, () => connection.sobject(change.object).create(change.record));
}
log.write();
