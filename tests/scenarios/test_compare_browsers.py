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
        self.assertEqual([l for l in data["log"] if "error" in l["text"] or
                          l["who"] == "page" and "refused" in l["text"]], [])
        return data

    def said(self, data, who):
        return [l["text"] for l in data["log"] if l["who"] == who]

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
            self.assertEqual(pane["events"], data["published"])
        self.assertEqual(data["measuredFrom"], 0)
        self.assertEqual(data["verdict"],
                         f"Stopped after {data['published']} events.")
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
            "clients": [True, False, False, False, True],
            "limited": "Start", "forPhones": True, "costs": True,
            "again": [50, "50"]})


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


class Antivirus(Compare):
    """Streams are held up, and WebSockets refused: a poll is left."""

    page = "compare/#lesson=antivirus&pace=0.15&report=report"

    def follow(self, command):
        data = self.report(command)
        by_name = {p["transport"]: p for p in data["panes"]}
        said = self.said(data, "auto")
        # Cut off, and on its way down.
        self.assertTrue(any(t.startswith("ws failed") for t in said), said)
        self.assertTrue(any(t in ("uses long", "uses short") for t in said),
                        said)
        self.assertGreater(by_name["sse"]["reconnects"], 0)
        for pane in data["panes"]:
            self.assertEqual(pane["received"], data["published"],
                             pane["transport"])
        self.assertEqual(data["verdict"],
                         f"Stopped after {data['published']} events.")


class Token(Compare):
    """Who has nobody to ask is refused, and it is said what that costs."""

    page = "compare/#lesson=token&pace=0.15&report=report"

    def follow(self, command):
        data = self.report(command)
        lacks = []
        for pane in data["panes"]:
            name = pane["transport"]
            short = data["published"] - pane["received"]
            refused = any(t.startswith("was refused")
                          for t in self.said(data, name))
            # A long poll that was just being answered is not told.
            if name != "long":
                self.assertEqual(refused, name == "ws")
            self.assertEqual(short > 0, refused, name)
            if short > 0:
                lacks.append(f", {name} lacks {short}")
        self.assertEqual(data["verdict"], f"Stopped after {data['published']}"
                         f" events{''.join(lacks)}.")
        said = self.said(data, "auto")
        self.assertIn("asked for a new token", said)
        # It was the token that failed.
        self.assertFalse(any(t.startswith("ws failed") for t in said), said)


class Settings(Compare):
    """What an event costs is measured anew when it is another."""

    page = "compare/#lesson=header-tax&pace=0.1&report=report"

    def follow(self, command):
        data = self.report(command)
        self.assertGreater(data["measuredFrom"], 0)
        for pane in data["panes"]:
            name = pane["transport"]
            self.assertEqual(pane["received"], data["published"], name)
            self.assertLess(pane["events"], pane["received"], name)
            self.assertEqual(pane["latencyMs"]["count"], pane["events"])
            # Those of 4 kB came before. Some were on their way meanwhile.
            self.assertLess(pane["bytes"]["payload"], 150 * pane["events"])
            self.assertEqual(pane["bytes"]["handshake"], 0, name)


class Restarted(Compare):
    """A gateway that was killed counts from nothing: so does the page."""

    page = "compare/#run=1&rate=50&poll=300&seconds=12&report=report"

    def follow(self, command):
        g = self.gateway
        browser = self.browse(command)

        def published():
            return any(c["depth"] > 100 for c in g.api(
                "GET", "/v1/channels?prefix=compare-")[1]["channels"])
        g.until(published, "a hundred events")
        g.kill9()
        g.start()

        def told():
            self.assertIsNone(browser.poll(), "the browser has ended")
            return g.poll("report", after="start")["events"]
        data = g.until(told, "the page's report")[0]["data"]
        self.assertGreater(data["measuredFrom"], 0)
        for pane in data["panes"]:
            self.assertLess(pane["events"], pane["received"])
            # What was on its way meanwhile may be counted on one side alone.
            self.assertGreater(pane["bytes"]["payload"], 64 * pane["events"])
            self.assertLess(pane["bytes"]["payload"], 256 * pane["events"])


if __name__ == "__main__":
    main()
