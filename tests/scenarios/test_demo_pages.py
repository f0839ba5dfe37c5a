"""The chat and the dashboard in the browsers of Debian."""

import os
import shutil
import tempfile

import test_third_party
from gateway import main

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
EVIL = '<img src=x onerror="window.evil = true">'


class DemoPages(test_third_party.Browsers):
    """A page as it is, and behind it a script that looks at it."""

    demo = "chat"

    def setUp(self):
        place = tempfile.mkdtemp(prefix="spillway-demo-")
        self.addCleanup(shutil.rmtree, place, ignore_errors=True)
        web = os.path.join(place, "web")
        shutil.copytree(os.path.join(ROOT, "web"), web)
        inside = os.path.join(web, "demo", self.demo)
        shutil.copy(os.path.join(ROOT, "tests", "web", "inspect.js"), inside)
        with open(os.path.join(inside, "index.html"), "r+",
                  encoding="utf-8") as f:
            page = f.read().replace(
                "</head>",
                '<script type="module" src="inspect.js"></script></head>')
            f.seek(0)
            f.write(page)
        self.page = f"demo/{self.demo}/"
        self.conf = f"""
web-root = "{web}"
channel "demo*" {{ send = publish }}
channel "report" {{ send = publish }}
"""
        super().setUp()

    def report(self, command):
        browser = self.browse(command)

        def reported():
            self.assertIsNone(browser.poll(), "the browser has ended")
            return self.gateway.poll("report", after="start")["events"]
        data = self.gateway.until(reported, "the page's report")[0]["data"]
        self.assertEqual(data["violations"], [])
        self.assertFalse(data["evil"])
        return data

    def follow(self, command):
        """What anybody writes, or publishes, is text."""
        g = self.gateway
        for data in ({"name": "<b>eve</b>", "text": EVIL, "key": "a"},
                     None, [], {"name": 1, "text": "x"}, {"name": "x"},
                     {"name": "bob", "text": "hello"}):
            g.publish("demo-chat", data)
        data = self.report(command)
        self.assertEqual(data["names"], ["<b>eve</b>", "bob"] +
                         ["<i>me</i>"] * 2)
        self.assertEqual(data["texts"], [EVIL, "hello", EVIL, "two"])
        self.assertEqual(data["foreign"], 0)
        self.assertIn("connected by ", data["state"])


class Dashboard(DemoPages):
    demo = "dashboard"

    def follow(self, command):
        """It has the last minutes at once, and no more of them."""
        g = self.gateway
        for n in range(130):
            g.publish("demo-vitals",
                      {"cpu": n % 100, "memory": 50.04, "load": 0.5})
        for data in (None, {"cpu": EVIL}, {"cpu": 99.5}):
            g.publish("demo-vitals", data)
        data = self.report(command)
        self.assertEqual(data["values"], ["99.5", "50.0", "0.5"])
        # Of the newest 120, three have no memory or load.
        self.assertEqual(data["points"], [118, 117, 117])
        self.assertIn("live by ", data["state"])


if __name__ == "__main__":
    main()
