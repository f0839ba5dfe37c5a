"""What the compare page asks of the gateway: with `demo = yes`, and without."""

import json
import time
import zlib

from gateway import (EventStream, Gateway, Scenario, WebSocket, Wire, main,
                     query, request_head)

CONF = """
demo = yes
channel "compare-*" { send = publish }
"""


class Lab(Scenario):
    conf = CONF

    def panes(self, prefix):
        """Counts by name, of all workers together."""
        status, answer = self.gateway.get(f"/spillway/lab/panes/{prefix}")
        self.assertEqual(status, 200, answer)
        sums = {}
        for pane in answer["panes"]:
            s = sums.setdefault(pane["name"], {"requests": 0, "bytes": {}})
            s["requests"] += pane["requests"]
            for bucket, n in pane["bytes"].items():
                s["bytes"][bucket] = s["bytes"].get(bucket, 0) + n
        return sums


class Demo(Lab):
    def order(self, channel="compare-a", **params):
        status, _, body = self.gateway.request(
            "PUT", f"/spillway/lab/publisher/{channel}" + query(params))
        return status, json.loads(body)

    def test_every_byte_of_a_pane_is_counted_once(self):
        g = self.gateway
        g.publish("compare-a", "x" * 100)
        for transport in self.each():
            name = "one-" + transport.name
            if transport.name == "ws":
                wire = WebSocket(g.port, f"/stream/compare-a?after=start"
                                 f"&lab={name}")
                self.assertEqual(wire.status, 101)
            elif transport.name == "sse":
                wire = EventStream(g.port, f"/stream/compare-a?after=start"
                                   f"&lab={name}")
            else:
                wire = Wire(g.port)
                wire.send(request_head(
                    f"/stream/compare-a?after=start&lab={name}"
                    f"&transport={transport.name}"))
                self.assertEqual(wire.response()[0], 200)
            pane = g.until(
                lambda: self.panes(name).get(name, {}).get(
                    "bytes", {}).get("payload") and self.panes(name)[name],
                "the payload to be counted")
            self.assertEqual(pane["requests"], 1)
            # What publish() sent is JSON: not a string, so as it is.
            self.assertEqual(pane["bytes"]["payload"], 100)
            head = "handshake" if transport.name == "ws" else \
                "request_headers"
            self.assertGreater(pane["bytes"][head], 50)
            wire.close()

    def test_a_connection_that_serves_two_panes_is_counted_for_each(self):
        g = self.gateway
        wire = Wire(g.port)
        for name in "two-a", "two-b", "two-b", None:
            wire.send(request_head(
                "/stream/compare-a?transport=short" +
                (f"&lab={name}" if name else "")))
            self.assertEqual(wire.response()[0], 200)
        panes = self.panes("two-")
        self.assertEqual({n: p["requests"] for n, p in panes.items()},
                         {"two-a": 1, "two-b": 2})
        a, b = (panes[n]["bytes"]["response_headers"]
                for n in ("two-a", "two-b"))
        self.assertGreater(a, 0)
        self.assertEqual(b, 2 * a)
        wire.close()

    def test_what_is_ordered_is_published_in_order_without_holes(self):
        status, answer = self.order(rate=1000, size=200, burst=10)
        self.assertEqual((status, answer), (200, {"next": 1}))
        with_all = EventStream(self.gateway.port,
                               "/stream/compare-a?after=start")
        numbers = []
        while len(numbers) < 200:
            name, data = with_all.block()
            if name == "message":
                self.assertEqual(len(data), 200)
                numbers.append(json.loads(data)["n"])
        self.assertEqual(numbers, list(range(1, 201)))
        # Told again it goes on; told to stop it says where it stopped.
        status, answer = self.order(rate=500, size=64)
        self.assertGreater(answer["next"], 200)
        status, answer = self.order(rate=0)
        self.assertEqual(status, 200)
        last = answer["next"] - 1
        while numbers[-1] < last:
            name, data = with_all.block()
            if name == "message":
                numbers.append(json.loads(data)["n"])
        self.assertEqual(numbers, list(range(1, last + 1)))
        self.assertEqual(self.order(rate=0, next=last + 1)[1]["next"],
                         last + 1)
        with_all.close()

    def test_compression_finds_no_pattern_in_the_payload(self):
        self.order(rate=100, size=4096)
        stream = EventStream(self.gateway.port,
                             "/stream/compare-a?after=start")
        payloads = []
        while len(payloads) < 3:
            name, data = stream.block()
            if name == "message":
                payloads.append(data.encode())
        stream.close()
        for payload in payloads:
            self.assertEqual(len(payload), 4096)
            self.assertGreater(len(zlib.compress(payload)), 3000)
        self.assertEqual(len({json.loads(p)["pad"] for p in payloads}), 3)

    def test_it_is_no_faster_than_it_was_told(self):
        stream = EventStream(self.gateway.port,
                             "/stream/compare-a?after=start")

        def until(n):
            name, data = stream.block()
            while name != "message" or json.loads(data)["n"] < n:
                # That would be a quarter of a minute without an event.
                self.assertNotEqual(name, "spillway.heartbeat")
                name, data = stream.block()

        before = time.monotonic()
        self.order(rate=20)
        until(10)
        last = self.order(rate=1000)[1]["next"] - 1
        self.assertLessEqual(last, 20 * (time.monotonic() - before) + 2)
        # Another rate counts from now on, not from the beginning.
        until(last + 50)
        until(self.order(rate=1)[1]["next"])
        stream.close()

    def test_a_publisher_whose_page_is_gone_ends(self):
        self.assertEqual(self.order(rate=100, seconds=1)[0], 200)
        self.gateway.wait_log("nobody renews the publisher of "
                              "channel=compare-a")
        # There is none that knows its number.
        self.assertEqual(self.order(rate=0, next=77)[1], {"next": 77})

    def test_the_demo_publishes_only_where_clients_may(self):
        self.assertEqual(self.order("elsewhere")[0], 403)
        for params in ({"rate": 1001}, {"rate": "x"}, {"size": 0},
                       {"size": 65537}, {"burst": 101}, {"burst": 0},
                       {"seconds": 3601}, {"next": 0}):
            self.assertEqual(self.order(**params)[0], 400, params)
        self.assertEqual(self.order("compare-a%20b")[0], 400)

    def test_pages_of_other_origins_may_not_use_it(self):
        for method, path in (("GET", "clock"), ("GET", "panes/a"),
                             ("PUT", "publisher/compare-a")):
            status, _, _ = self.gateway.request(
                method, "/spillway/lab/" + path,
                headers={"Origin": "http://evil.example"})
            self.assertEqual(status, 403, path)
            # Whose name was made to point here is of the same origin.
            status, _, body = self.gateway.request(
                method, "/spillway/lab/" + path,
                headers={"Host": "rebind.evil.test"})
            self.assertEqual(status, 403, path)
            self.assertIn("as localhost", json.loads(body)["detail"])

    def test_what_is_no_name_is_refused(self):
        for name in ("", "A", "a_b", "%22", "a" * 65):
            status, _ = self.gateway.get("/spillway/lab/panes/" + name)
            self.assertEqual(status, 400, name)
        # In a request for a stream it is simply nobody's.
        self.gateway.poll("compare-a", lab="%22")
        self.assertEqual(self.gateway.get("/spillway/lab/panes/a")[1],
                         {"panes": []})
        for method, path in (("GET", "nothing"), ("POST", "clock"),
                             ("GET", "publisher/compare-a")):
            self.assertEqual(self.gateway.request(
                method, "/spillway/lab/" + path)[0], 404)

    def test_the_clock_is_the_gateways(self):
        first = self.gateway.get("/spillway/lab/clock")[1]["now"]
        time = self.gateway.publish("compare-a", 1)["time"]
        last = self.gateway.get("/spillway/lab/clock")[1]["now"]
        # The loop's own time may be a turn old.
        self.assertLess(abs(time - first), 60000)
        self.assertLessEqual(first, last)


class NoDemo(Scenario):
    def test_without_the_directive_there_is_nothing(self):
        for path in ("clock", "panes/a", "publisher/a"):
            self.assertEqual(
                self.gateway.get("/spillway/lab/" + path)[0], 404)
        self.gateway.poll("a", lab="a")


class Reach(Scenario):
    def test_a_gateway_that_others_reach_has_no_demo(self):
        g = Gateway("demo = yes\nanonymous = yes\n"
                    'listen += { "0.0.0.0:0" }\n')
        self.addCleanup(g.close)
        g.start(expect_failure=True)
        g.wait_log("write demo = no, or listen on loopback: others "
                   r'reach "0\.0\.0\.0:0"')
        self.assertNotEqual(g.wait_end(), 0)


class Crowded(Lab):
    """Panes of one worker, whose number is limited."""

    workers = 1
    limit = 4096  # LAB_PANES_MAX

    def test_pages_that_are_gone_make_room_for_others(self):
        g = self.gateway
        stream = WebSocket(g.port, "/stream/compare-a?lab=kept-open")
        status, _, body = g.request(
            "PUT", "/spillway/lab/faults/kept-broken?fault=refuse")
        self.assertEqual(status, 204, body)
        wire = Wire(g.port)
        for n in range(self.limit + 10):
            wire.send(request_head(
                f"/stream/compare-a?transport=short&lab=crowd-{n}"))
            self.assertEqual(wire.response()[0], 200)
        last = f"crowd-{self.limit + 9}"
        self.assertEqual(self.panes(last)[last]["requests"], 1)
        self.assertEqual(len(self.panes("crowd-")), self.limit - 2)
        self.assertNotIn("crowd-0", self.panes("crowd-0"))
        # Those who are there keep what is theirs.
        self.assertEqual(self.panes("kept-open")["kept-open"]["requests"], 1)
        self.assertEqual(
            g.get("/stream/compare-a?transport=short&lab=kept-broken")[0], 403)
        stream.close()
        wire.close()


if __name__ == "__main__":
    main()
