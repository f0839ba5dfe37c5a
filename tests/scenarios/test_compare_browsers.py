"""The compare page in the browsers of Debian: it measures, and tells all."""

import os

import test_third_party
from gateway import main

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


class Compare(test_third_party.Browsers):
    conf = f"""
demo = yes
web-root = "{os.path.join(ROOT, 'web')}"
channel "compare-*" {{ send = publish }}
channel "report" {{ send = publish }}
"""
    page = "compare/#run=1&rate=50&burst=5&poll=300&seconds=3&report=report"

    def report(self, command):
        """What the page says of its run, when that is over."""
        data = self.reported(command)
        self.assertEqual([l for l in data["log"] if "error" in l["text"]], [])
        return data

    def follow(self, command):
        data = self.report(command)
        self.assertEqual([p["transport"] for p in data["panes"]],
                         ["ws", "sse", "long", "short", "auto"])
        self.assertGreater(data["published"], 10)
        # On a busy machine another one may win for a while.
        self.assertIn("used", [rung["state"] for rung in
                               data["panes"][4]["rungs"].values()])
        for pane in data["panes"]:
            name = pane["transport"]
            self.assertEqual(pane["received"], data["published"], name)
            for what in "missing", "duplicates", "late", "gaps":
                self.assertEqual(pane[what], 0, (name, what))
            # As the gateway counted it: 128 bytes of payload in each event.
            self.assertEqual(pane["bytes"]["payload"],
                             128 * data["published"], name)
            self.assertEqual(pane["latencyMs"]["count"], data["published"])
        by_name = {p["transport"]: p for p in data["panes"]}
        self.assertEqual(by_name["ws"]["requests"], 1)
        self.assertEqual(by_name["sse"]["requests"], 1)
        self.assertGreater(by_name["long"]["requests"], 1)
        self.assertGreater(by_name["long"]["bytes"]["request_headers"],
                           by_name["sse"]["bytes"]["request_headers"])


class Controls(test_third_party.Browsers):
    """Enter changes what it was pressed in; Stop can be pressed twice."""

    page = "compare/#run=1&rate=20&poll=300"

    def setUp(self):
        web = self.web_with("controls.js", "compare")
        self.conf = Compare.conf.replace(os.path.join(ROOT, "web"), web)
        super().setUp()

    def follow(self, command):
        said = self.reported(command)
        self.assertEqual(said, {
            "entered": "Stop", "stopping": "Stop",
            "stopped": "Stopped before all had arrived.",
            "limited": "Start", "forPhones": True, "again": [50, "50"]})


class Lesson(Compare):
    """Upgrades are stripped, and then the WebSockets are cut."""

    page = "compare/#lesson=strip&pace=0.15&report=report"

    def follow(self, command):
        data = self.report(command)
        by_name = {p["transport"]: p for p in data["panes"]}
        said = [l["text"] for l in data["log"] if l["who"] == "auto"]
        self.assertTrue(any(t.startswith("ws failed") for t in said), said)
        self.assertTrue(any(t in ("uses sse", "uses long") for t in said),
                        said)
        # It is tried again, and in the end nobody has missed anything.
        self.assertGreater(by_name["ws"]["requests"], 1)
        for pane in data["panes"]:
            name = pane["transport"]
            self.assertEqual(pane["received"], data["published"], name)
            for what in "missing", "duplicates", "late", "gaps":
                self.assertEqual(pane[what], 0, (name, what))
        for name in "ws", "auto":
            self.assertGreater(by_name[name]["caughtUp"], 0, name)


if __name__ == "__main__":
    main()
