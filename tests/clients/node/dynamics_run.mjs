// dynamics-web-api: create, read, update, upsert, query, delete.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import { Transcript } from "./transcript.mjs";

const require = createRequire(`${process.env.CLIENT_MODULES}/`);
const { DynamicsWebApi } = require("dynamics-web-api");
const config = JSON.parse(readFileSync(process.argv[2], "utf8"));
const log = new Transcript([config.url, new URL(config.url).host]);
const api = new DynamicsWebApi({
  serverUrl: config.url,
  dataApi: { version: "9.2" },
  onTokenRefresh: async () => config.access_token,
});
const select = ["firstname", "lastname", "emailaddress1", "jobtitle"];
const pick = (row) => Object.fromEntries(select.map((name) => [name, row[name]]));

await log.step("who am I", async () => Object.keys(await api.callFunction("WhoAmI")).sort());
const id = (await log.step("create", () =>
  api.create({ collection: "contacts", data: { firstname: "Ada", lastname: "Lindqvist", emailaddress1: "ada@example.com" } })))
  ?? "00000000-0000-0000-0000-000000000001";
await log.step("read", async () => pick(await api.retrieve({ collection: "contacts", key: id, select })));
await log.step("update", () => api.update({ collection: "contacts", key: id, data: { jobtitle: "Head of Research" } }));
await log.step("one property", () =>
  api.updateSingleProperty({ collection: "contacts", key: id, fieldValuePair: { jobtitle: "Director" } }));
await log.step("read again", async () => pick(await api.retrieve({ collection: "contacts", key: id, select })));
await log.step("create and read", async () => pick(await api.create({
  collection: "contacts", data: { lastname: "Söderström" }, returnRepresentation: true, select })));
await log.step("upsert", async () => {
  await api.upsert({ collection: "contacts", key: `cg_extid='${config.external_id}'`, data: { lastname: "Okafor" } });
  await api.upsert({ collection: "contacts", key: `cg_extid='${config.external_id}'`, data: { jobtitle: "Buyer" } });
  return pick(await api.retrieve({ collection: "contacts", key: `cg_extid='${config.external_id}'`, select }));
});
await log.step("query", async () =>
  (await api.retrieveMultiple({ collection: "contacts", select, filter: `contactid eq ${id}` })).value.map(pick));
await log.step("pages", async () => {
  const all = await api.retrieveAll({ collection: "contacts", select: ["lastname"], maxPageSize: 5 });
  return all.value.length > 5;
});
await log.step("unknown field", () => api.create({ collection: "contacts", data: { lastname: "X", colour: "red" } }));
await log.step("delete", () => api.deleteRecord({ collection: "contacts", key: id }));
await log.step("deleted", () => api.retrieve({ collection: "contacts", key: id, select }));
for (const [name, change] of config.extra ?? []) {
  await log.step(name, () => api.create({ collection: change.collection, data: change.record }));
}
log.write();
