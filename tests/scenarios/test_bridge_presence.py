"""What the backend believes of who is there is what it was told, to the end."""

import json
import unittest

from bridge_backend import SECRET, Told
from gateway import GUARD, EventStream, Gateway, WebSocket


class Believed(Told, unittest.TestCase):
    channels = 'channel "told*" { bridge-presence = yes }'

    def setUp(self):
        self.taken = []
        self.open_backend()
        self.gateway = Gateway(self.conf(self.channels))
        self.addCleanup(self.gateway.close)
        self.gateway.start()

    def conf(self, channels):
        return f"""
backend = "http://127.0.0.1:{self.backend.port}"
bridge-secret = "{SECRET}"
send = bridge
backend-fail-time = "50ms"
outbox-retry-max = "100ms"
session-lease = "1h"
message-rate = 0
{channels}
"""

    def answer(self, event):
        """What it refuses it does not believe."""
        answer = super().answer(event)
        if answer[0] < 300:
            with self.backend.changed:
                self.taken.append(event)
                self.backend.changed.notify_all()
        return answer

    def story(self, number=None):
        """What was taken, each event once, as (what, where)."""
        seen, story = set(), []
        for e in self.taken:
            where = sorted(json.loads(e.body)["channels"]) \
                if e.type == "spillway.disconnect" else \
                e.headers["ce-channel"]
            if e.headers["webhook-id"] not in seen and \
                    number in (None, e.headers["ce-connection"]):
                story.append((e.type.removeprefix("spillway."), where))
            seen.add(e.headers["webhook-id"])
        return story

    def tells(self, story, number=None):
        """That, and nothing else: all that is stored has arrived by then."""
        with self.backend.changed:
            assert self.backend.changed.wait_for(
                lambda: len(self.story(number)) >= len(story), GUARD), \
                self.story(number)
        self.gateway.until_metric(0, "outbox_waiting")
        self.assertEqual(self.story(number), story)

    def socket(self, channels):
        ws = WebSocket(self.gateway.port, f"/stream/{channels}")
        self.addCleanup(ws.close)
        return ws, self.message(ws, type="spillway.hello")["connection"]

    def stream(self, channels):
        es = EventStream(self.gateway.port, f"/stream/{channels}")
        self.addCleanup(es.close)
        return es, json.loads(es.block()[1])["connection"]

    def message(self, ws, **wanted):
        while True:
            message = json.loads(ws.read()[1])
            if wanted.items() <= message.items():
                return message

    def do(self, ws, op, channel, **more):
        ws.command(op=op, channel=channel, ref=f"{op} {channel}", **more)
        return self.message(ws, ref=f"{op} {channel}")

    def attempts(self, kind):
        return sum(e.type == f"spillway.{kind}" for e in self.backend.events)


class Reloads(Believed):
    """Who was told of is told of to the end; and nobody else is."""

    def reload(self, channels, count=1):
        self.gateway.configure(self.conf(channels))
        self.gateway.signal(1)
        self.gateway.wait_log("configuration reloaded", count)

    def test_whoever_was_told_of_has_an_end_although_nobody_else_is(self):
        ws, one = self.socket("told-1,told-2")
        es, two = self.stream("told-1")
        self.gateway.poll("told-1", session="s")
        self.gateway.until(lambda: len(self.story()) == 4)
        self.reload('channel "told*" { bridge-presence = no }')
        _, other = self.socket("told-1")
        self.do(ws, "unsubscribe", "told-2")
        self.do(ws, "subscribe", "told-3")
        ws.close()
        self.tells([("subscribe", "told-1"), ("subscribe", "told-2"),
                    ("unsubscribe", "told-2"), ("disconnect", ["told-1"])],
                   one)
        es.close()
        self.tells([("subscribe", "told-1"), ("disconnect", ["told-1"])], two)
        self.gateway.until_metric(1, "outbox_wills")
        # And a kill is such an end as well.
        self.gateway.kill9()
        self.gateway.start()
        self.gateway.until(lambda: len(self.story()) == 8)
        self.assertEqual(self.story()[-1], ("disconnect", ["told-1"]))
        self.tells([], other)

    def test_who_was_there_before_is_nobody(self):
        ws, one = self.socket("free-1,free-2")
        es, _ = self.stream("free-1")
        self.reload('channel "free*" { bridge-presence = yes }')
        self.do(ws, "unsubscribe", "free-2")
        es.close()
        self.do(ws, "subscribe", "free-3")
        ws.close()
        self.tells([("subscribe", "free-3"), ("disconnect", ["free-3"])])
        self.assertEqual({e.headers["ce-connection"] for e in self.taken},
                         {one})
        self.gateway.until_metric(0, "outbox_wills")


if __name__ == "__main__":
    unittest.main()
