"""How long a page is without a transport that works, in real browsers.

Each fault of the lab hits the transport in use, while those below it work: the
client and both of its faces are on another one within six seconds, and have all
that was published, once and in order.

A browser's seconds are those of the machine, which may be busy. So they are
counted in rounds: an event that the page publishes, and a pause of 50 ms. The
same is asserted in virtual time by tests/web/test_away.js.
"""

import lab_panes
from gateway import main

FACES = ["stream", "streameventsource", "streamwebsocket"]
ROUNDS = 6000 // 50
# As long as they last, the transport does not work. Those that are met by a
# request come with a cut, so that there is one.
STAY = [("refuse", {"value": 403}, True), ("strip", {}, True),
        ("swallow", {}, True), ("mute", {}, False),
        ("hold", {"value": 100000}, False),
        ("blackhole", {"seconds": 600}, False)]
ONCE = ["reset", "cut", "restart", "expire"]
SLOW = [("delay", {"value": 50, "jitter": 100}), ("cap", {"value": 20000})]


class Away(lab_panes.Panes):
    page = "away.html"
    panes = FACES
    workers = 1

    def setUp(self):
        place = self.web_root("web/spillway.js", "tests/web/away.html",
                              "tests/web/away.js")
        self.conf = f"""
demo = yes
web-root = "{place}"
retry = "100ms"
heartbeat = "1s"
channel "a" {{
    history-events = 100000
    send = publish
}}
channel "report" {{ send = publish }}
"""
        super().setUp()
        self.stage = self.asked = 0
        self.cursor, self.said = "start", []

    @property
    def lab(self):
        return f"t{self.stage}-"

    def reports(self, browser):
        """What each face says of itself now."""
        self.asked += 1
        self.gateway.publish("a", {"report": self.asked})

        def complete():
            self.assertIsNone(browser.poll(), "the browser has ended")
            answer = self.gateway.poll("report", after=self.cursor)
            self.cursor = answer["cursor"]
            self.said += [e["data"] for e in answer["events"]]
            self.assertEqual([r for r in self.said if "closed" in r], [])
            found = {r["name"]: r for r in self.said
                     if (r["stage"], r["report"]) == (self.stage, self.asked)}
            return sorted(found) == FACES and found
        return self.gateway.until(complete, f"what {self.asked} was answered")

    def begin(self, browser, first):
        """New ones, which use that transport."""
        def begun():
            # On a busy machine another one may have been quicker.
            self.stage += 1
            self.fresh = self.gateway.publish(
                "a", {"fresh": self.stage, "first": first})["id"]
            return self.transports_used(browser) == {first}
        self.gateway.until(begun, f"{first} in use")

    def transports_used(self, browser):
        return {r["transport"] for r in self.reports(browser).values()}

    def published(self):
        """All since they began."""
        ids, answer = [], {"cursor": self.fresh, "more": True}
        while answer.get("more"):
            answer = self.gateway.poll("a", after=answer["cursor"], limit=1000)
            ids += [e["id"] for e in answer["events"]]
        return ids

    def check(self, browser, first, what):
        """Nothing is missing, and nobody was away for too long."""
        reports = self.reports(browser)
        published = self.published()
        for face, report in reports.items():
            seen = report["seen"]
            self.assertEqual(seen, published[:len(seen)], (first, what, face))
            self.assertLessEqual(report["away"], ROUNDS, (first, what, face))
        print(f"{first:5} {what:9} " + ", ".join(
            f"{r['transport']} after {r['away'] * 0.05:.1f} s"
            for r in reports.values()), flush=True)
        self.fault("none")

    def stays(self, browser, first, fault, params, cut):
        self.begin(browser, first)
        self.fault(fault, transports=first, **params)
        if cut:
            self.fault("cut")
        self.gateway.until(
            lambda: first not in self.transports_used(browser), "another way")
        self.check(browser, first, fault)

    def ends(self, browser, first, fault):
        """Each has to ask again, and does."""
        self.begin(browser, first)
        self.all_ask_again(lambda: self.fault(fault))
        self.check(browser, first, fault)

    def is_slow(self, browser, first, fault, params):
        self.begin(browser, first)
        self.fault(fault, transports=first, **params)
        self.check(browser, first, fault)

    def follow(self, command):
        browser = self.browse(command)
        self.gateway.until(lambda: self.gateway.poll(
            "a", after="start")["events"], "the page's first round")
        for first in "ws", "sse", "long":
            for fault, params, cut in STAY:
                if fault != "strip" or first == "ws":
                    self.stays(browser, first, fault, params, cut)
        for first in "ws", "sse", "long", "short":
            for fault in ONCE:
                self.ends(browser, first, fault)
            for fault, params in SLOW:
                self.is_slow(browser, first, fault, params)


if __name__ == "__main__":
    main()
