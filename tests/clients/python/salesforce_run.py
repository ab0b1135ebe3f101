"""simple-salesforce: login, describe, create, read, update, upsert, query, delete."""

import json
import sys
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce

from transcript import Transcript


class SplitHorizon(HTTPAdapter):
    """The library's login host is fixed; a site points its name at the gate by DNS, this does it here."""

    def __init__(self, target):
        super().__init__()
        self.target = urlsplit(target)

    def send(self, request, **options):
        parts = urlsplit(request.url)
        request.url = parts._replace(scheme=self.target.scheme, netloc=self.target.netloc).geturl()
        return super().send(request, **options)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        config = json.load(file)
    url = config["url"]
    log = Transcript([url, urlsplit(url).netloc])
    session = requests.Session()
    session.verify = config["ca"]
    session.mount("https://test.salesforce.com", SplitHorizon(url))

    def login():
        return Salesforce(
            username=config["username"], password=config["password"], security_token=config["security_token"],
            domain="test", session=session, version=config["api_version"],
        )

    made = []
    log.step("login", lambda: bool(made.append(login()) or made))
    if made:
        sf = made[0]
    else:
        sf = Salesforce(session_id=config["access_token"], instance_url=url, session=session, version=config["api_version"])
    log.step("instance", lambda: sf.sf_instance == urlsplit(url).netloc)
    log.step("global describe", lambda: sorted(o["name"] for o in sf.describe()["sobjects"]))
    log.step("describe", lambda: sorted(f["name"] for f in sf.Contact.describe()["fields"]))
    log.step("limits", lambda: sorted(sf.limits()))
    contact = {"FirstName": "Ada", "LastName": "Lindqvist", "Email": "ada.lindqvist@example.com", "Phone": "+46 8 123 456 78"}
    created = log.step("create", lambda: sf.Contact.create(contact))
    key = created["id"] if created else "003000000000000AAA"
    log.step("read", lambda: {k: sf.Contact.get(key)[k] for k in ("FirstName", "LastName", "Email", "Phone")})
    log.step("update", lambda: sf.Contact.update(key, {"Title": "Head of Research"}))
    log.step("read again", lambda: sf.Contact.get(key)["Title"])
    log.step("upsert new", lambda: sf.Contact.upsert(f"Ext_Id__c/{config['external_id']}", {"LastName": "Okafor", "Email": "n.okafor@example.com"}))
    log.step("upsert known", lambda: sf.Contact.upsert(f"Ext_Id__c/{config['external_id']}", {"Title": "Buyer"}))
    log.step("by key", lambda: sf.Contact.get_by_custom_id("Ext_Id__c", config["external_id"])["Title"])
    log.step("query", lambda: sf.query(f"SELECT Id, LastName, Account.Name FROM Contact WHERE Id = '{key}'"))
    log.step("pages", lambda: sf.query_all("SELECT Id FROM Contact")["totalSize"] > 0)
    log.step("missing field", lambda: sf.Contact.create({"FirstName": "Nobody"}))
    log.step("unknown field", lambda: sf.Contact.create({"LastName": "X", "Colour__c": "red"}))
    log.step("missing record", lambda: sf.Contact.update("003000000000999AAA", {"Title": "x"}))
    log.step("bad query", lambda: sf.query("SELECT Nope FROM Contact"))
    log.step("delete", lambda: sf.Contact.delete(key))
    log.step("deleted", lambda: sf.Contact.get(key))
    for name, change in config.get("extra", []):
        log.step(name, lambda change=change: sf.__getattr__(change["object"]).create(change["record"]))
    log.write()


if __name__ == "__main__":
    main()
