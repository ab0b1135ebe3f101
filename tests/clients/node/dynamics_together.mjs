// dynamics-web-api: batches and change sets.

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

// Runs requests as one batch. Their own promises are not looked at: the batch has the answers. A
// batch that fails throws one error, or one for each request.
async function batch(requests, options) {
  api.startBatch();
  requests();
  try {
    return await api.executeBatch(options);
  } catch (error) {
    return { refused: [error].flat(2).map((one) => ({ status: one.status, ...one.error })) };
  }
}
const names = async (name) => (await api.retrieveMultiple({
  collection: "contacts", select: ["lastname"], filter: `lastname eq '${name}'` })).value.length;

const made = await log.step("change set", () => batch(() => {
  api.create({ collection: "accounts", data: { name: "Set" }, contentId: "1" });
  api.create({ collection: "contacts", data: { lastname: "Set", "parentcustomerid_account@odata.bind": "$1" }, contentId: "2" });
  api.update({ collection: "$1", data: { "primarycontactid@odata.bind": "$2" } });
}));
await log.step("made", async () => {
  const account = await api.retrieve({ collection: "accounts", key: made[0], select: ["name"],
    expand: [{ property: "primarycontactid", select: ["lastname"] }] });
  return [account.name, account.primarycontactid.lastname];
});
await log.step("change set refused", () => batch(() => {
  api.create({ collection: "contacts", data: { lastname: "Never" } });
  api.create({ collection: "contacts", data: { lastname: "Never", colour: "red" } });
}));
await log.step("undone", () => names("Never"));
await log.step("single requests", () => batch(() => {
  api.create({ collection: "contacts", data: { lastname: "Single" }, inChangeSet: false });
  api.update({ collection: "contacts", key: made[1], data: { jobtitle: "Buyer" }, inChangeSet: false });
  api.retrieve({ collection: "contacts", key: made[1], select: ["jobtitle"] });
  api.deleteRecord({ collection: "contacts", key: made[1], inChangeSet: false });
}));
await log.step("goes on after an error", () => batch(() => {
  api.create({ collection: "contacts", data: { lastname: "Single" }, inChangeSet: false });
  api.create({ collection: "contacts", data: { lastname: "Single", colour: "red" }, inChangeSet: false });
  api.create({ collection: "contacts", data: { lastname: "Single" }, inChangeSet: false });
}, { continueOnError: true }));
await log.step("single", () => names("Single"));
await log.step("bulk", () => api.callAction({ collection: "contacts", actionName: "Microsoft.Dynamics.CRM.CreateMultiple",
  action: { Targets: ["a", "b"].map((name) => ({ "@odata.type": "Microsoft.Dynamics.CRM.contact", lastname: name })) } })
  .then((answer) => answer.Ids.length));
log.write();
