"""A transcript of what a client saw, the same for every run that saw the same."""

import json
import re
import sys
import traceback

ID = re.compile(
    r"\b(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?=[0-9A-Za-z]*[0-9])00[0-9A-Za-z]{13}(?:[0-9A-Za-z]{3})?)\b",
    re.IGNORECASE,
)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)")


class Transcript:
    """Steps and what came of them; ids and times are replaced by names in order of appearance."""

    def __init__(self, hosts):
        self.steps = []
        self.ids = {}
        self.hosts = hosts

    def step(self, name, call):
        """Runs one call; notes its value or the error as the client library shows it."""
        try:
            value = call()
            self.steps.append({"step": name, "value": self.plain(value)})
            return value
        except Exception as error:  # every way a library has to say no is an observation
            seen = {"type": type(error).__name__}
            for field in ("status", "status_code", "content", "subcode", "details", "message"):
                if hasattr(error, field):
                    seen[field] = self.plain(getattr(error, field))
            self.steps.append({"step": name, "error": seen})
            print(f"{name}: {error}", file=sys.stderr)
            traceback.print_exc(limit=3, file=sys.stderr)
            return None

    def plain(self, value):
        """JSON without what differs from run to run."""
        text = json.dumps(value, default=str, sort_keys=True)
        for host in self.hosts:
            text = text.replace(host, "HOST")
        text = TIME.sub("TIME", text)
        text = ID.sub(lambda m: self.ids.setdefault(m.group(0).lower()[:15], f"id-{len(self.ids) + 1}"), text)
        return json.loads(text)

    def write(self):
        """The transcript, to standard output."""
        json.dump(self.steps, sys.stdout, indent=1)
