"""PowerPlatform-Dataverse-Client: create, read, update, upsert, query, delete."""

import json
import sys
import time
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken
from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.models.upsert import UpsertItem

from transcript import Transcript


class Given:
    """A credential that has its token already."""

    def __init__(self, token):
        self.token = token

    def get_token(self, *_scopes, **_options):
        return AccessToken(self.token, int(time.time()) + 3000)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        config = json.load(file)
    url = config["url"]
    log = Transcript([url, urlsplit(url).netloc])
    columns = ["firstname", "lastname", "emailaddress1", "jobtitle"]
    with DataverseClient(url, Given(config["access_token"])) as client:
        contact = {"firstname": "Ada", "lastname": "Lindqvist", "emailaddress1": "ada.lindqvist@example.com"}
        key = log.step("create", lambda: client.records.create("contact", contact))
        key = key or "00000000-0000-0000-0000-000000000001"
        pick = lambda row: {name: row[name] for name in columns}
        log.step("read", lambda: pick(client.records.retrieve("contact", key, select=columns)))
        log.step("update", lambda: client.records.update("contact", key, {"jobtitle": "Head of Research"}))
        log.step("read again", lambda: pick(client.records.retrieve("contact", key, select=columns)))
        item = UpsertItem(alternate_key={"cg_extid": config["external_id"]}, record={"lastname": "Okafor"})
        log.step("upsert new", lambda: client.records.upsert("contact", [item]))
        item = UpsertItem(alternate_key={"cg_extid": config["external_id"]}, record={"jobtitle": "Buyer"})
        log.step("upsert known", lambda: client.records.upsert("contact", [item]))
        log.step("query", lambda: [pick(row) for row in client.records.list(
            "contact", filter=f"contactid eq {key}", select=columns)])
        log.step("pages", lambda: sum(len(page) for page in client.records.list_pages(
            "contact", select=["lastname"], page_size=5)) > 5)
        log.step("unknown field", lambda: client.records.create("contact", {"lastname": "X", "colour": "red"}))
        log.step("missing record", lambda: client.records.update(
            "contact", "00000000-0000-0000-0000-00000000dead", {"jobtitle": "x"}))
        log.step("tables", lambda: client.tables.get("contact") is not None)
        log.step("delete", lambda: client.records.delete("contact", key))
        log.step("deleted", lambda: client.records.retrieve("contact", key, select=columns))
        for name, change in config.get("extra", []):
            log.step(name, lambda change=change: client.records.create(change["object"], change["record"]))
    log.write()


if __name__ == "__main__":
    main()
