"""Every fault, every transport, the client and its faces, in real browsers.

One page has all of them, a pane of the fault lab for each. For each fault the
panes are broken, and mended once the fault was met; events are published
before, meanwhile and afterwards. Whatever it was: each pane has what was
published except what it was told is lost, once and in order.
"""

import os
import sys

import lab_panes
from gateway import main

OLD = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                   "..", "web", "webkit.py")

PANES = ["long-stream", "long-streameventsource", "short-stream",
         "short-streamwebsocket", "sse-stream", "sse-streameventsource",
         "ws-stream", "ws-streamwebsocket"]
# Met by a request: connections are cut, so that there are some.
REQUESTS = [("refuse", {"value": 403}), ("refuse", {"value": 503}),
            ("strip", {}), ("swallow", {}), ("mute", {}),
            ("hold", {"value": 100000, "transports": "ws,sse,long,short"})]
BYTES = [("delay", {"value": 50, "jitter": 100}), ("cap", {"value": 3000}),
         ("blackhole", {"seconds": 2})]
CONNECTIONS = ["reset", "cut", "restart", "expire"]
LOSSES = [("trim", "trimmed"), ("epoch", "epoch")]


class Table(lab_panes.Panes):
    page = "table.html"
    panes = PANES
    workers = 1  # "epoch" is told once by each

    def setUp(self):
        place = self.web_root("web/spillway.js", "tests/web/table.html",
                              "tests/web/table.js")
        self.conf = f"""
demo = yes
web-root = "{place}"
retry = "100ms"
heartbeat = "1s"
channel "report" {{ send = publish }}
"""
        super().setUp()
        self.stage = 0
        self.published = []

    def publish(self, count):
        ids = [self.gateway.publish("a", {"n": n})["id"] for n in range(count)]
        self.published += ids
        return ids

    def reports(self, browser):
        """What each pane has seen since the last time."""
        self.stage += 1
        self.published.append(
            self.gateway.publish("a", {"report": self.stage})["id"])

        def complete():
            self.assertIsNone(browser.poll(), "the browser has ended")
            answer = self.gateway.poll("report", after="start", limit=1000)
            said = [e["data"] for e in answer["events"]]
            self.assertEqual([r for r in said if r["stage"] == "closed"], [])
            found = {r["name"]: r["seen"] for r in said
                     if r["stage"] == self.stage}
            return sorted(found) == PANES and found
        return self.gateway.until(complete, f"the reports of {self.stage}")

    def check(self, browser, what, reason=None, lost=()):
        """Nothing is missing but what is `lost`, and that was told."""
        for pane, seen in self.reports(browser).items():
            self.assertEqual([i for i in seen if isinstance(i, str)],
                             [i for i in self.published if i not in lost],
                             (what, pane))
            self.assertEqual([s["gap"] for s in seen if isinstance(s, dict)],
                             [reason] if reason else [], (what, pane))
        self.published = []

    def loses(self, fault, reason):
        """They are away until what they will miss was published."""
        g = self.gateway
        name = f'{{reason="{reason}"}}'
        before = g.metric("gaps_total", name)
        self.fault("refuse", value=503)
        self.fault("cut")
        self.fault(fault)
        lost = self.publish(3)
        self.fault("refuse", value=503, seconds=1)
        g.until(lambda: g.metric("gaps_total", name) >= before + len(PANES),
                "all panes have been told")
        self.fault("none")
        return lost

    def follow(self, command):
        self.publish(10)
        browser = self.browse(command)
        self.check(browser, "the start")
        for fault, params in REQUESTS:
            self.fault(fault, **params)
            self.all_ask_again(lambda: self.fault("cut"))
            self.publish(3)
            self.fault("none")
            self.publish(3)
            self.check(browser, fault)
        for fault, params in BYTES:
            self.fault(fault, **params)
            self.publish(5)
            self.check(browser, fault)
            self.fault("none")
        for fault in CONNECTIONS:
            self.publish(3)
            self.all_ask_again(lambda f=fault: self.fault(f))
            self.publish(3)
            self.check(browser, fault)
        for fault, reason in LOSSES:
            self.publish(3)
            self.check(browser, "before " + fault)
            lost = self.loses(fault, reason)
            self.publish(3)
            self.check(browser, fault, reason, lost)

    def test_webkit_of_2016(self):
        """Legacy in earnest: no fetch, no AbortController, no modules."""
        self.follow([sys.executable, OLD])


if __name__ == "__main__":
    main()
