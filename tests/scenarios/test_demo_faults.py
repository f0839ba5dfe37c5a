"""What the demo breaks on purpose: the client recovers, and loses nothing.

A fault is ordered as the compare page orders it, for the pane that the client's
requests name. Whatever it is, the client has what was published: once, and in
order.
"""

import json
import os
import random
import re
import select
import ssl
import time

from gateway import (Closed, EventStream, Scenario, SseSubscriber, WebSocket,
                     Wire, WsSubscriber, main, query, request_head)
from test_client import ALL, Follower

CONF = """
demo = yes
retry = "100ms"
heartbeat = "1s"
channel "a" { send = publish }
"""


class Faults(Scenario):
    conf = CONF

    def setUp(self):
        super().setUp()
        self.expected = []

    def fault(self, fault, pane="p", **params):
        status, _, body = self.gateway.request(
            "PUT", f"/spillway/lab/faults/{pane}" +
            query(dict(params, fault=fault)))
        self.assertEqual(status, 204, body)

    def faults(self, pane="p"):
        answer = self.gateway.get(f"/spillway/lab/panes/{pane}")[1]
        return {f for p in answer["panes"] for f in p["faults"]}

    def publish(self, count, data="news"):
        for _ in range(count):
            n = len(self.expected)
            self.expected.append(
                (self.gateway.publish("a", {"n": n, "data": data})["id"],
                 {"n": n, "data": data}))

    def follower(self, transports):
        f = Follower(int(self.gateway.port), transports, "a?lab=p")
        self.addCleanup(f.close)
        return f

    def complete(self, f):
        """It has all there is, once and in order, and was told of no gap."""
        f.until(lambda: len(f.messages) >= len(self.expected))
        self.assertEqual(f.messages, self.expected)
        self.assertEqual(f.all("gap") + f.all("closed"), [])

    def arrives_by(self, transport):
        """The client finds its way to that transport, and misses nothing."""
        self.publish(5)
        f = self.follower(ALL)
        f.until(lambda: f.all("transport"))
        self.assertEqual(f.all("transport")[-1]["transport"], transport)
        self.publish(20)
        self.complete(f)
        return f

    # Requests.

    def test_a_proxy_refuses_the_upgrade(self):
        self.fault("refuse", transports="ws", value=502)
        self.arrives_by("sse")

    def test_a_proxy_strips_the_upgrade(self):
        self.fault("strip", transports="ws")
        self.arrives_by("sse")

    def test_streams_are_refused(self):
        self.fault("refuse", transports="ws,sse")
        self.arrives_by("long")

    def test_a_proxy_swallows_the_upgrade(self):
        self.fault("swallow", transports="ws")
        self.arrives_by("sse")

    def test_a_websocket_opens_and_stays_mute(self):
        self.fault("mute", transports="ws")
        self.arrives_by("sse")

    def test_an_antivirus_holds_the_first_events(self):
        self.fault("refuse", transports="ws")
        self.fault("hold", value=100000)
        self.arrives_by("long")

    def test_polls_are_all_that_is_answered(self):
        self.fault("swallow", transports="ws,sse")
        self.arrives_by("long")

    # Bytes on their way.

    def test_late_and_uneven_bytes_stay_in_order(self):
        for transport in "ws", "sse", "long", "short":
            self.fault("delay", value=50, jitter=100)
            f = self.follower(transport)
            f.until(lambda f=f: f.all("transport"))
            self.publish(30)
            self.complete(f)
            f.close()
        self.fault("none")

    def test_a_narrow_line_delivers_all_of_it(self):
        for transport in "ws", "sse", "long":
            self.publish(20, "x" * 1000)
            # A second's worth of it, and then some.
            self.fault("cap", value=60000)
            f = self.follower(transport)
            self.complete(f)
            f.close()

    def test_a_narrow_line_is_narrow(self):
        self.publish(40, "x" * 1000)
        self.fault("cap", value=60000)
        before = time.monotonic()
        stream = EventStream(self.gateway.port,
                             "/stream/a?after=start&lab=p")
        came = 0
        while came < 40:
            came += stream.block()[0] == "message"
        # A tenth of a second's may come at once.
        self.assertGreater(time.monotonic() - before, 40000 / 60000 - 0.1)
        stream.close()

    def test_what_a_narrow_line_does_not_hold_waits_for_it(self):
        self.publish(30, "x" * 40000)
        for transport in "ws", "sse", "long":
            self.fault("cap", value=10000000)
            f = self.follower(transport)
            self.complete(f)
            f.close()

    def test_what_is_swallowed_is_never_answered(self):
        self.fault("swallow")
        crowd = [Wire(self.gateway.port) for _ in range(20)]
        for w in crowd:
            w.send(request_head("/stream/a?lab=p&transport=short"))
        self.gateway.until(lambda: self.gateway.metric("connections") >= 20)
        self.fault("none")
        self.gateway.publish("a", 1)
        for w in crowd:
            w.send(b"whatever")
            w.s.setblocking(False)
            with self.assertRaises((BlockingIOError, ssl.SSLWantReadError)):
                w.more()
            # Who leaves is let go.
            w.close()
        self.gateway.until(lambda: self.gateway.metric("connections") < 20)

    def test_a_black_hole_is_noticed_and_survived(self):
        for transport in "ws", "sse", "long":
            f = self.follower(transport)
            f.until(lambda f=f: f.all("transport"))
            self.publish(5)
            self.complete(f)
            self.fault("blackhole", seconds=4)
            self.publish(20)
            self.complete(f)
            f.close()

    # Connections.

    def test_connections_end_in_every_way(self):
        for transport in "ws", "sse", "long", "short":
            f = self.follower(transport)
            self.complete(f)
            for fault in "reset", "cut", "restart":
                self.publish(3)
                self.fault(fault)
                self.publish(3)
                self.complete(f)
            f.close()

    def test_a_token_expires(self):
        g = self.gateway
        ws = WebSocket(g.port, "/stream/a?lab=t")
        ws.message()
        events = EventStream(g.port, "/stream/a?lab=t&format=json")
        events.block()
        poll = Wire(g.port)
        cursor = g.poll("a")["cursor"]
        poll.send(request_head(f"/stream/a?lab=t&wait=50&after={cursor}"))
        g.until(lambda: sum(p["requests"] for p in g.get(
            "/spillway/lab/panes/t")[1]["panes"]) == 3, "three requests")
        self.fault("expire", "t")
        with self.assertRaises(Closed) as closed:
            while True:
                ws.message()
        self.assertEqual(closed.exception.code, 4401)
        with self.assertRaises(Closed):
            while True:
                events.block()
        self.assertEqual(poll.response()[0], 401)

    # History.

    def requests(self, pane="p"):
        answer = self.gateway.get(f"/spillway/lab/panes/{pane}")[1]
        return sum(p["requests"] for p in answer["panes"])

    def loses(self, transport, fault, reason):
        """What was published while it was away is gone, and it is told so."""
        channel = f"{fault}-{transport}"
        expected = []

        def publish(count):
            for n in range(count):
                event = self.gateway.publish(channel, n)
                expected.append((event["id"], n))

        f = Follower(int(self.gateway.port), transport, f"{channel}?lab=p")
        self.addCleanup(f.close)
        publish(5)
        f.until(lambda: len(f.messages) == 5)
        last = expected[-1][0]
        # Away until the events that it will miss are there.
        self.fault("refuse", value=503)
        if fault == "trim":
            self.fault("cut")
        self.fault(fault)
        f.until(lambda: f.all("error"))
        for n in range(3):
            self.gateway.publish(channel, {"lost": n})
        self.fault("refuse", value=503, seconds=1)
        f.until(lambda: f.all("gap"))
        self.assertEqual(f.all("gap")[0], {"gap": reason, "after": last})
        self.fault("none")
        # From there on it is as if nothing had been.
        publish(5)
        self.fault("cut")
        publish(5)
        f.until(lambda: len(f.messages) >= len(expected))
        self.assertEqual(f.messages, expected)
        self.assertEqual(f.all("closed"), [])
        f.close()

    def test_history_was_trimmed_while_it_was_away(self):
        for transport in "ws", "sse", "long", "short":
            with self.subTest(transport=transport):
                self.loses(transport, "trim", "trimmed")

    def test_the_gateway_comes_back_with_another_log(self):
        for transport in "ws", "sse", "long", "short":
            with self.subTest(transport=transport):
                self.loses(transport, "epoch", "epoch")

    def test_who_misses_nothing_is_told_of_no_trimming(self):
        for transport in "ws", "sse", "long":
            f = self.follower(transport)
            f.until(lambda f=f: f.all("transport"))
            self.publish(2)
            self.complete(f)
            before = self.requests()
            self.fault("trim")
            self.fault("cut")
            self.gateway.until(lambda n=before: self.requests() > n,
                               "another request")
            self.fault("none")
            self.publish(2)
            self.complete(f)
            f.close()

    # All of it.

    def test_whatever_happens_nothing_is_lost(self):
        seed = random.randrange(1 << 30)
        dice = random.Random(seed)
        f = self.follower(ALL)
        with self.subTest(seed=seed):
            for _ in range(12):
                fault, params = dice.choice([
                    ("reset", {}), ("cut", {}), ("restart", {}),
                    ("blackhole", {"seconds": 1}),
                    ("delay", {"value": 50, "jitter": 100, "seconds": 2}),
                    ("refuse", {"transports": "ws", "seconds": 2}),
                    ("refuse", {"transports": "ws,sse", "seconds": 2}),
                    ("mute", {"transports": "ws", "seconds": 2}),
                    ("hold", {"value": 3000, "seconds": 2}),
                    ("cap", {"value": 20000, "seconds": 2})])
                self.publish(4)
                self.fault(fault, **params)
                self.publish(4)
                # Sometimes all of it arrives in between.
                if dice.random() < 0.5:
                    self.complete(f)
            self.complete(f)

    # The lab itself.

    def test_a_fault_is_one_panes_and_ends(self):
        self.fault("swallow", "p")
        self.fault("delay", "p", value=10)
        self.assertEqual(self.faults(), {"swallow", "delay"})
        self.assertEqual(self.faults("q"), set())
        for kind in WsSubscriber, SseSubscriber:
            kind(self.gateway, "a", lab="q").notice("hello")
        self.fault("none")
        self.assertEqual(self.faults(), set())
        WsSubscriber(self.gateway, "a", lab="p").notice("hello")
        self.fault("mute", seconds=1)
        self.gateway.until(lambda: not self.faults(), "the end of the fault")

    def test_a_list_of_transports_may_be_encoded(self):
        # As the URLSearchParams of a page write it.
        self.fault("refuse", transports="ws%2Csse")
        self.arrives_by("long")
        for wrong in "ws%2", "ws%2Cudp", "%2C", "ws," * 99:
            status, _, _ = self.gateway.request(
                "PUT", "/spillway/lab/faults/p" +
                query({"fault": "cut", "transports": wrong}))
            self.assertEqual(status, 400, wrong)

    def test_what_is_held_comes_when_the_fault_ends(self):
        self.fault("hold", value=100000, transports="ws,sse")
        stream = Wire(self.gateway.port)
        stream.send(request_head("/stream/a?lab=p&transport=sse"))
        self.gateway.until(lambda: any(
            p["requests"] for p in self.gateway.get(
                "/spillway/lab/panes/p")[1]["panes"]), "the request")
        self.publish(3)
        # To the gateway they are written.
        self.gateway.until(lambda: any(
            p["bytes"]["payload"] >= 3 * len('{"n": 0, "data": "news"}')
            for p in self.gateway.get(
                "/spillway/lab/panes/p")[1]["panes"]), "three events")
        self.assertEqual(select.select([stream.s], [], [], 0)[0], [])
        self.fault("none")
        head = stream.until(b"\r\n\r\n")
        self.assertIn(b"text/event-stream", head)
        for n in range(3):
            stream.until(b'{"n": %d,' % n)
        stream.close()

    def test_the_pages_own_requests_are_not_hindered(self):
        """A browser's connection serves a pane, and then the page."""
        wire = Wire(self.gateway.port)
        wire.send(request_head("/stream/a?lab=p&transport=short"))
        self.assertEqual(wire.response()[0], 200)
        self.fault("blackhole")
        wire.send(request_head("/spillway/lab/clock"))
        self.assertEqual(wire.response()[0], 200)
        wire.close()

    def test_nor_is_the_request_that_orders_a_fault(self):
        """Whatever its connection has served before."""
        wire = Wire(self.gateway.port)
        for fault in "blackhole", "delay":
            wire.send(request_head("/stream/a?lab=p&transport=short"))
            self.assertEqual(wire.response()[0], 200)
            for order in f"fault={fault}", "fault=none":
                wire.send(request_head(f"/spillway/lab/faults/p?{order}",
                                       method="PUT"))
                self.assertEqual(wire.response()[0], 204)
        wire.close()

    def test_the_gateway_knows_what_the_page_has_buttons_for(self):
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                            "..", "..", "web", "compare", "faults.js")
        with open(path, encoding="ascii") as f:
            buttons = re.findall(r'\{ name: "(\w+)"', f.read())
        self.assertGreater(len(buttons), 12)
        for fault in buttons:
            self.fault(fault, "nobody")

    def test_a_refusal_names_all_that_there_are(self):
        status, _, body = self.gateway.request(
            "PUT", "/spillway/lab/faults/p?fault=flood")
        self.assertEqual(status, 400)
        names = re.findall(r"\w+", json.loads(body)["detail"]
                           .removeprefix("`fault` is "))
        self.assertGreater(len(names), 13)
        for name in names:
            if name != "or":
                self.fault(name, "nobody")

    def test_what_is_no_fault_is_refused(self):
        for params in ({"fault": "flood"}, {}, {"fault": "refuse", "value": 200},
                       {"fault": "cap", "value": 0},
                       {"fault": "mute", "transports": "h2"},
                       {"fault": "mute", "transports": ""},
                       {"fault": "mute", "seconds": 0},
                       {"fault": "delay", "jitter": 60001}):
            status, _, _ = self.gateway.request(
                "PUT", "/spillway/lab/faults/p" + query(params))
            self.assertEqual(status, 400, params)
        self.assertEqual(self.gateway.request(
            "PUT", "/spillway/lab/faults/P?fault=mute")[0], 400)


if __name__ == "__main__":
    main()
