"""Seven tabs with one connection between them, in the browsers of Debian."""

import test_third_party
from gateway import main


class Tabs(test_third_party.Browsers):
    how = "lock"

    def setUp(self):
        place = self.web_root("web/spillway-tabs.js", "tests/web/tab.html",
                              "tests/web/tab.js")
        self.conf = f"""
web-root = "{place}"
retry = "100ms"
channel "report" {{ send = publish }}
"""
        super().setUp()

    def told(self, browser, stage, count):
        """What so many tabs saw up to a stage."""
        def complete():
            self.assertIsNone(browser.poll(), "the browser has ended")
            answer = self.gateway.poll("report", after="start", limit=1000)
            found = {r["name"]: r for r in
                     (e["data"] for e in answer["events"])
                     if r["stage"] == stage}
            return len(found) == count and found
        return self.gateway.until(complete, f"reports of stage {stage}")

    def tabs(self, command):
        """A browser with all the tabs."""
        pages = [f"tab.html#{n}-{self.how}" for n in range(7)]
        if command[0] != "chromium":
            return self.browse(command, pages)
        # Without a window it takes one page, and more through its debugger.
        browser = self.browse(command, pages[:1])
        self.more_tabs(browser, pages[1:])
        return browser

    def streams(self):
        return self.gateway.metric("subscribers", '{transport="sse"}')

    def follow(self, command):
        g = self.gateway
        ids = [g.publish("a", n)["id"] for n in range(10)]
        browser = self.tabs(command)
        count = 7
        for stage in range(4):
            if stage == 1:
                g.kill9()
                g.start()
            elif stage == 2:
                # The tab that has the connection goes elsewhere.
                ids.append(g.publish("a", 0, Event_Type="leave")["id"])
                count -= 1
            elif stage == 3:
                g.restart()
            ids += [g.publish("a", "live " * 200)["id"] for _ in range(10)]
            ids.append(g.publish("a", stage, Event_Type="report")["id"])
            for name, report in self.told(browser, stage, count).items():
                self.assertEqual(report["ids"], ids, (name, stage))
            g.until(lambda: self.streams() == 1, "one stream")


class TabsWithLeases(Tabs):
    """Where the platform has no locks: pages without TLS, for instance."""

    how = "lease"


if __name__ == "__main__":
    main()
