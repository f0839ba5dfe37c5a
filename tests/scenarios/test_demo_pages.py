"""The chat and the dashboard in the browsers of Debian."""

import test_third_party
from gateway import main

EVIL = '<img src=x onerror="window.evil = true">'


class DemoPages(test_third_party.Browsers):
    """A page as it is, and behind it a script that looks at it."""

    demo = "chat"

    def setUp(self):
        web = self.web_with("inspect.js", f"demo/{self.demo}")
        self.page = f"demo/{self.demo}/"
        self.conf = f"""
web-root = "{web}"
channel "demo*" {{ send = publish }}
channel "report" {{ send = publish }}
"""
        super().setUp()

    def report(self, command):
        data = self.reported(command)
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


class SevenTabs(test_third_party.Browsers):
    """A browser has six connections for all of them."""

    def setUp(self):
        web = self.web_with("seven.js", ".")
        self.conf = f"""
web-root = "{web}"
channel "demo" {{ send = publish }}
channel "report" {{ send = publish }}
"""
        super().setUp()

    def reports(self, browser, count):
        def told():
            self.assertIsNone(browser.poll(), "the browser has ended")
            return len(self.gateway.poll("report", after="start")
                       ["events"]) == count
        self.gateway.until(told, f"{count} tabs that are loaded")

    def follow(self, command):
        g = self.gateway
        if command[0] == "chromium":
            browser = self.browse(command, [""])
            self.reports(browser, 1)
            self.more_tabs(browser, [""] * 6)
        else:
            browser = self.browse(command, [""] * 7)
        self.reports(browser, 7)
        # Two have all four, the others what costs none of the six.
        g.until_metric(2, "subscribers", '{transport="sse"}')
        g.until_metric(7, "subscribers", '{transport="ws"}')


if __name__ == "__main__":
    main()
