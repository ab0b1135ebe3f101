"""PowerPlatform-Dataverse-Client: several records in one call, batches, change sets."""

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


def seen(result):
    """What came of each request of a batch."""
    return [
        {"status": one.status_code, "content_id": one.content_id, "made": one.entity_id is not None,
         "code": one.error_code, "data": (one.data or {}).get("jobtitle")}
        for one in result.responses
    ]


def single_requests(client, key):
    batch = client.batch.new()
    batch.records.create("contact", {"lastname": "Alone"})
    batch.records.update("contact", key, {"jobtitle": "Head"})
    batch.records.retrieve("contact", key, select=["jobtitle"])
    return seen(batch.execute())


def with_an_error(client, go_on):
    batch = client.batch.new()
    batch.records.create("contact", {"lastname": "Before"})
    batch.records.create("contact", {"lastname": "Wrong", "colour": "red"})
    batch.records.create("contact", {"lastname": "After"})
    return seen(batch.execute(continue_on_error=go_on))


def change_set(client, *, fails):
    batch = client.batch.new()
    with batch.changeset() as changes:
        account = changes.records.create("account", {"name": "Set"})
        person = changes.records.create(
            "contact", {"lastname": "Set", "parentcustomerid_account@odata.bind": account})
        changes.records.update("account", account, {"primarycontactid@odata.bind": person})
        if fails:
            changes.records.create("contact", {"lastname": "Set", "colour": "red"})
    return seen(batch.execute())


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        config = json.load(file)
    url = config["url"]
    log = Transcript([url, urlsplit(url).netloc])
    with DataverseClient(url, Given(config["access_token"])) as client:
        rows = [{"lastname": f"Bulk {number}"} for number in range(3)]
        keys = log.step("bulk create", lambda: client.records.create("contact", rows))
        log.step("bulk update", lambda: client.records.update("contact", keys, {"jobtitle": "Buyer"}))
        log.step("updated", lambda: [client.records.retrieve("contact", key, select=["jobtitle"])["jobtitle"]
                                     for key in keys])
        items = [UpsertItem(alternate_key={"cg_extid": f"bulk-{number}"}, record={"lastname": "Upserted"})
                 for number in range(2)]
        log.step("bulk upsert", lambda: client.records.upsert("contact", items))
        log.step("bulk refused", lambda: client.records.create(
            "contact", [{"lastname": "Good"}, {"lastname": "Wrong", "colour": "red"}]))
        log.step("batch", lambda: single_requests(client, keys[0]))
        log.step("ends at the first error", lambda: with_an_error(client, False))
        log.step("goes on after an error", lambda: with_an_error(client, True))
        log.step("change set", lambda: change_set(client, fails=False))
        log.step("change set refused", lambda: change_set(client, fails=True))
        log.step("left", lambda: sorted(
            row["lastname"] for page in client.records.list_pages(
                "contact", select=["lastname"], filter=(
                    "lastname eq 'Set' or lastname eq 'Before' or lastname eq 'After' or lastname eq 'Good'"
                    " or lastname eq 'Upserted' or lastname eq 'Alone'"))
            for row in page))
    log.write()


if __name__ == "__main__":
    main()
