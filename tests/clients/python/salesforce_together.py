"""simple-salesforce: many records in one call, and several requests in one."""

import json
import sys
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce

from transcript import Transcript


class Plain(HTTPAdapter):
    """The library speaks https only; the simulator is asked without."""

    def __init__(self, target):
        super().__init__()
        self.target = urlsplit(target)

    def send(self, request, **options):
        parts = urlsplit(request.url)
        request.url = parts._replace(scheme=self.target.scheme, netloc=self.target.netloc).geturl()
        return super().send(request, **options)


def contact(**fields):
    return {"attributes": {"type": "Contact"}, **fields}


def told(results):
    return ["ok" if one["success"] else one["errors"][0]["statusCode"] for one in results]


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        config = json.load(file)
    url = config["url"]
    log = Transcript([url, urlsplit(url).netloc])
    session = requests.Session()
    session.mount("https://org.example", Plain(url))
    version = config["api_version"]
    sf = Salesforce(
        session_id=config["access_token"], instance_url="https://org.example", session=session, version=version
    )
    base = f"/services/data/v{version}"

    def send(path, method, body=None, **params):
        data = json.dumps(body) if body is not None else None
        return sf.restful(path, method=method, params=params or None, data=data)

    rows = [contact(LastName="Py A"), contact(FirstName="Nobody"), contact(LastName="Py B")]
    made = log.step("create", lambda: send("composite/sobjects", "POST", {"allOrNone": False, "records": rows}))
    log.step("told", lambda: told(made))
    log.step("all or none", lambda: told(send("composite/sobjects", "POST", {"allOrNone": True, "records": rows})))
    ids = [made[0]["id"], made[2]["id"]]
    log.step("delete", lambda: told(send("composite/sobjects", "DELETE", ids=",".join(ids), allOrNone="true")))
    log.step(
        "batch",
        lambda: [
            one["statusCode"]
            for one in send(
                "composite/batch",
                "POST",
                {
                    "batchRequests": [
                        {"method": "POST", "url": f"v{version}/sobjects/Account", "richInput": {"Name": "Batch"}},
                        {"method": "GET", "url": f"v{version}/sobjects/Account/001000000000999AAA"},
                    ]
                },
            )["results"]
        ],
    )
    tree = {"records": [{"attributes": {"type": "Account", "referenceId": "a"}, "Name": "Tree"}]}
    log.step("tree", lambda: send("composite/tree/Account", "POST", tree)["hasErrors"])
    composite = {
        "compositeRequest": [
            {"method": "GET", "url": f"{base}/query?q=SELECT+Id+FROM+Account+WHERE+Name='Tree'", "referenceId": "q"},
            {"method": "DELETE", "url": f"{base}/sobjects/Account/@{{q.records[0].Id}}", "referenceId": "d"},
        ]
    }
    log.step("composite", lambda: [one["httpStatusCode"] for one in send("composite", "POST", composite)["compositeResponse"]])
    log.step("too many", lambda: send("composite/sobjects", "POST", {"records": [contact(LastName="N")] * 201}))
    log.step("usage", lambda: list(sf.api_usage["api-usage"]))
    log.write()


if __name__ == "__main__":
    main()
