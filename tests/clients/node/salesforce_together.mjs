// jsforce: many records in one call, and several requests in one.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import { Transcript } from "./transcript.mjs";

const require = createRequire(`${process.env.CLIENT_MODULES}/`);
const jsforce = require("jsforce");
const config = JSON.parse(readFileSync(process.argv[2], "utf8"));
const log = new Transcript([config.url, new URL(config.url).host]);
const connection = new jsforce.Connection({
  instanceUrl: config.url, accessToken: config.access_token, version: config.api_version,
});
const contacts = connection.sobject("Contact");
const base = `/services/data/v${config.api_version}`;
const told = (results) => results.map((one) => (one.success ? "ok" : one.errors[0].statusCode));

const made = await log.step("create", () => contacts.create([
  { LastName: "Many A", Ext_Id__c: "many-1" }, { FirstName: "Nobody" }, { LastName: "Many B" }]));
await log.step("told", async () => told(made));
await log.step("all or none", async () => told(await contacts.create(
  [{ LastName: "None A" }, { LastName: "None B", Email: "no address" }], { allOrNone: true })));
const ids = [made?.[0]?.id, made?.[2]?.id];
await log.step("update", async () => told(await contacts.update(ids.map((Id) => ({ Id, Title: "Buyer" })))));
await log.step("retrieve", async () => (await contacts.retrieve(ids)).map((row) => row.Title));
await log.step("upsert", async () => (await contacts.upsert(
  [{ Ext_Id__c: "many-1", LastName: "Many C" }, { Ext_Id__c: "many-2", LastName: "Many D" }], "Ext_Id__c"))
  .map((one) => one.created));
await log.step("more than one call", async () => told(await contacts.create(
  Array.from({ length: 201 }, (_, n) => ({ LastName: `Row ${n}` })), { allowRecursive: true }))
  .filter((word) => word === "ok").length);
await log.step("destroy", async () => told(await contacts.destroy([...ids, ids[0]])));
await log.step("left", async () => (await connection.query("SELECT LastName FROM Contact WHERE LastName LIKE 'Many%'"))
  .records.map((row) => row.LastName));
await log.step("composite", async () => (await connection.requestPost(`${base}/composite`, { allOrNone: true, compositeRequest: [
  { method: "POST", url: `${base}/sobjects/Account`, referenceId: "acc", body: { Name: "Comp" } },
  { method: "POST", url: `${base}/sobjects/Contact`, referenceId: "con", body: { LastName: "Of", AccountId: "@{acc.id}" } }] }))
  .compositeResponse.map((one) => one.httpStatusCode));
await log.step("tree refused", () => connection.requestPost(`${base}/composite/tree/Account`, { records: [
  { attributes: { type: "Account", referenceId: "a" }, Name: "Tree", Contacts: { records: [
    { attributes: { type: "Contact", referenceId: "c" }, FirstName: "Nobody" }] } }] }));
await log.step("usage", async () => connection.limitInfo.apiUsage);
log.write();
