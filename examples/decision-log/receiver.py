#!/usr/bin/env python3
"""A service that takes OPA's decision logs, as small as it can be.

Prints one line per event. `POST /logs` and `POST /logs/<partition>` take a gzip-compressed JSON
array; anything but a 2xx makes the gate keep the events and come back.
"""

import gzip
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

seen = set()


class Logs(BaseHTTPRequestHandler):
    def do_POST(self):
        if not self.path.startswith("/logs"):
            return self.answer(404)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        for event in json.loads(body):
            # After a crash or a lost answer an event comes twice, under the same name.
            if event["decision_id"] in seen:
                continue
            seen.add(event["decision_id"])
            crm = event["crm"]
            what = crm.get("effect") or "outcome: " + event["result"]["outcome"]
            codes = ", ".join(crm.get("codes", []))
            print(event["timestamp"], crm.get("connection"), crm.get("object", ""), what, codes, flush=True)
        self.answer(200)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8181
    server = ThreadingHTTPServer(("127.0.0.1", port), Logs)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
