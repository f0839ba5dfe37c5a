"""What is counted is what happened: numbers against bytes on sockets."""

import json
import re
import select

from gateway import (EventStream, Scenario, SseSubscriber, TEXT, TRANSPORTS,
                     WebSocket, Wire, WsSubscriber, main, query, request_head)
from post import Publisher, lines

SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)'
                    r'(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\.)*",?)*)'
                    r'\})? (-?[0-9.e+-]+|\+Inf|-Inf|NaN)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\.)*)"')
TYPES = ("counter", "gauge", "histogram")


class Exposition:
    """The Prometheus text format 0.0.4, read strictly."""

    def __init__(self, text):
        self.help, self.types, self.samples = {}, {}, {}
        assert text.endswith("\n")
        family = None
        for line in text.split("\n")[:-1]:
            if line.startswith("# HELP "):
                _, _, name, help = line.split(" ", 3)
                assert name not in self.help, line
                self.help[name] = help
            elif line.startswith("# TYPE "):
                _, _, family, kind = line.split(" ")
                # Once, and before its samples.
                assert family not in self.types, line
                assert kind in TYPES, line
                self.types[family] = kind
            else:
                self.add(line, family)

    def add(self, line, family):
        match = SAMPLE.match(line)
        assert match, line
        name, labels, value = match.groups()
        if self.types[family] == "histogram":
            assert name in (family + "_bucket", family + "_sum",
                            family + "_count"), line
        else:
            # All samples of a family stand together.
            assert name == family, line
        key = name, tuple(sorted(LABEL.findall(labels or "")))
        assert key not in self.samples, line
        self.samples[key] = float(value)

    def __call__(self, name, **labels):
        return self.samples[name, tuple(sorted(labels.items()))]


class Metrics(Scenario):
    conf = """
window-events = 50
channel "short" { history-events = 10 }
channel "open" { send = publish }
channel "echo" { send = echo }
"""

    def read(self):
        status, headers, body = self.gateway.request("GET", "/metrics",
                                                     api=True)
        self.assertEqual(status, 200)
        self.assertEqual(headers["content-type"],
                         "text/plain; version=0.0.4; charset=utf-8")
        return Exposition(body.decode())

    def test_it_is_prometheus_text_with_names_and_units_as_is_custom(self):
        subscribers = [t(self.gateway, "a", "start") for t in TRANSPORTS]
        for n in range(20):
            self.gateway.publish("a", n)
        for s in subscribers:
            s.events(20)
        m = self.read()
        for name, kind in m.types.items():
            self.assertRegex(name, "^(spillway|process)_[a-z0-9_]+$")
            self.assertTrue(m.help.get(name), name)
            self.assertTrue(m.help[name].endswith("."), m.help[name])
            # Counters end in _total, and nothing else does.
            self.assertEqual(name.endswith("_total"), kind == "counter",
                             name)
            # Base units only.
            self.assertNotRegex(name, "_(ms|us|ns|milli|micro|kb|mb|minutes)"
                                "(_|$)")
            self.assertTrue(any(k[0].startswith(name) for k in m.samples))
        for (name, labels), value in m.samples.items():
            self.assertGreaterEqual(value, 0, (name, labels))
        for s in subscribers:
            s.close()

    def test_the_histogram_is_cumulative_and_counts_each_delivery(self):
        g = self.gateway
        subscribers = [t(g, "a") for t in TRANSPORTS[:3]]
        for s in subscribers[:2]:
            s.notice("caughtup")
        subscribers[2].ask()

        def waiting(count):
            g.until(lambda: g.metric("subscribers",
                                     '{transport="long"}') == count)

        for n in range(30):
            # Only who waits for it gets it live.
            with Wire(g.port) as w:
                w.send(request_head("/stream/a?wait=50&after=" +
                                    subscribers[2].cursor))
                waiting(1)
                subscribers[2].cursor = g.publish("a", n)["id"]
                self.assertEqual(w.response()[0], 200)
                waiting(0)
        for s in subscribers[:2]:
            s.events(30)
        # A client may read faster than the delivery is counted.
        for transport in ("ws", "sse", "long"):
            g.until(lambda: g.metric("delivery_seconds_count",
                                     f'{{transport="{transport}"}}') == 30)
        m = self.read()
        for transport in ("ws", "sse", "long"):
            buckets = [(float(dict(labels)["le"]), value)
                       for (name, labels), value in m.samples.items()
                       if name == "spillway_delivery_seconds_bucket" and
                       dict(labels)["transport"] == transport]
            self.assertEqual(buckets, sorted(buckets))
            self.assertEqual([v for _, v in buckets],
                             sorted(v for _, v in buckets))
            self.assertEqual(buckets[-1][0], float("inf"))
            count = m("spillway_delivery_seconds_count", transport=transport)
            self.assertEqual(buckets[-1][1], count)
            self.assertEqual(count, 30)
            total = m("spillway_delivery_seconds_sum", transport=transport)
            self.assertGreater(total, 0)
            # The sum lies where the buckets say.
            low, bound, seen = 0, 0, 0
            for le, value in buckets:
                low += (value - seen) * bound
                bound, seen = le, value
            self.assertGreaterEqual(total + 1e-9, low)
        for s in subscribers:
            s.close()

    def test_what_was_done_over_each_transport_is_counted(self):
        g = self.gateway
        before = self.read()
        ids = g.batch([{"channel": "a", "data": n} for n in range(40)])
        for transport in self.each():
            name = transport.name
            s = transport(g, "a", "start")
            s.events(40)
            if name in ("ws", "sse"):
                s.notice("caughtup")
                self.assertEqual(self.read()("spillway_subscribers",
                                             transport=name), 1)
            s.close()
            g.until(lambda: self.read()("spillway_subscribers",
                                        transport=name) == 0)
            m = self.read()
            for metric, expected in (("events_delivered_total", 40),
                                     ("requests_total", 1)):
                self.assertEqual(
                    m("spillway_" + metric, transport=name) -
                    before("spillway_" + metric, transport=name), expected,
                    (metric, name))
        self.assertEqual(self.read()("spillway_events_published_total") -
                         before("spillway_events_published_total"), 40)
        self.assertEqual(len(ids), 40)

    def test_publishing_is_counted_as_it_ended(self):
        g = self.gateway
        m = self.read()
        with Publisher(g) as p:
            for _ in range(3):
                p.publish("a", "1", ("Idempotency-Key", "k"))
            p.publish("a", "{", ("Content-Type", "application/json"))
            p.publish("a", "1", ("Event-Type", "spillway.x"))
            p.batch(lines([{"channel": "a", "data": n} for n in range(9)]))
            p.batch("bad")
        g.request("POST", "/stream/open", "1")
        g.request("POST", "/stream/echo", "1")
        g.request("POST", "/stream/off", "1")
        after = self.read()
        for name, expected in (("events_published_total", 1 + 9 + 1),
                               ("events_duplicate_total", 2),
                               ("publish_refused_total", 3),
                               ("messages_total", 3)):
            self.assertEqual(after("spillway_" + name) -
                             m("spillway_" + name), expected, name)
        self.assertEqual(after("spillway_publish_queue_events"), 0)
        self.assertEqual(after("spillway_publish_queue_bytes"), 0)
        self.assertEqual(after("spillway_store_healthy"), 1)
        self.assertEqual(after("spillway_draining"), 0)
        self.assertEqual(after("spillway_channels"), 2)

    def test_publishing_that_is_refused_as_a_whole_is_counted(self):
        g = self.gateway
        batch, one = "/v1/events", "/v1/channels/a/events"
        array = [("Content-Type", "application/cloudevents-batch+json")]
        line = '{"channel":"a","data":1}\n'
        # What is too large for all is refused by its head alone.
        for path, body, length, headers, status in (
                (batch, "", 0, [], 400),
                (batch, "x", 1, [("Content-Encoding", "gzip")], 415),
                (batch, "{}", 2, array, 400),
                (batch, line * 10001, 10001 * len(line), [], 413),
                (batch, "", 17 << 20, [], 413),
                (one, "", 17 << 20, array, 413),
                ("/v1/channels/a%20b/events", "x", 1, [], 400)):
            before = g.metric("publish_refused_total")
            with Wire(g.api_port) as w:
                w.send(request_head(path, headers +
                                    [("Content-Length", length)], "POST") +
                       body.encode())
                self.assertEqual(w.response()[0], status, path)
            self.assertEqual(g.metric("publish_refused_total") - before, 1,
                             (path, status))

    def test_each_request_is_counted_where_it_was_answered(self):
        g = self.gateway
        events = "/v1/channels/a/events"

        def answered():
            m = self.read()
            return [m("spillway_requests_first_look_total"),
                    m("spillway_requests_http_total")]
        for method, path, body, headers, api, first in (
                ("GET", "/stream/a", None, {}, False, True),
                ("GET", "/stream/a?after=x", None, {}, False, True),
                ("POST", events, "1", {}, True, True),
                ("POST", events, "1", {"Event-Type": "spillway."}, True, True),
                ("POST", events, "{", {"Content-Type": "application/json"},
                 True, True),
                ("POST", "/stream/open", "1", {}, False, False),
                ("GET", "/healthz", None, {}, False, False)):
            before = answered()
            g.request(method, path, body, headers, api)
            # The question itself is the library's.
            self.assertEqual([a - b for a, b in zip(answered(), before)],
                             [1, 1] if first else [0, 2], (path, headers))

    def test_gaps_ends_and_catching_up_are_counted_by_reason(self):
        g = self.gateway
        ids = g.batch([{"channel": "short", "data": n} for n in range(30)])
        many = g.batch([{"channel": "long", "data": n} for n in range(500)])
        m = self.read()
        epoch = ids[0].split("-")[0]
        for cursor in (ids[0], "zzzzz-1", f"{epoch}-99999"):
            for transport in self.each():
                s = transport(g, "short", cursor)
                s.notice("gap")
                s.close()
        for transport in self.each():
            s = transport(g, "long", "start")
            self.assertEqual([e["id"] for e in s.events(500)], many)
            s.close()
        ws = WebSocket(g.port, "/stream/a")
        ws.say(b"\xff\xfe", TEXT)
        ws.rest()
        ws.close()
        g.until(lambda: self.read()("spillway_connections") == 1)
        after = self.read()

        def grown(name, **labels):
            return after("spillway_" + name, **labels) - m(
                "spillway_" + name, **labels)

        for reason in ("trimmed", "epoch", "ahead"):
            self.assertEqual(grown("gaps_total", reason=reason), 4, reason)
        self.assertEqual(grown("subscribers_closed_total", why="utf-8"), 1)
        # Eight streams for the gaps, two for the catching up.
        self.assertEqual(grown("subscribers_closed_total", why="peer") +
                         grown("subscribers_closed_total", why="io"), 8)
        self.assertGreaterEqual(grown("catchup_reads_total") +
                                grown("catchup_shared_total"), 4)
        self.assertGreaterEqual(grown("catchup_events_total"), 450)

    def test_statistics_say_the_same_as_metrics(self):
        g = self.gateway
        streams = [WsSubscriber(g, "a"), SseSubscriber(g, "a")]
        for s in streams:
            s.notice("caughtup")
        g.batch([{"channel": "a", "data": n} for n in range(20)])
        for s in streams:
            s.events(20)
        for s in streams:
            g.until(lambda: g.metric("events_delivered_total",
                                     f'{{transport="{s.name}"}}') == 20)
        status, stats = g.get("/v1/stats", api=True)
        m = self.read()
        self.assertEqual(status, 200)
        self.assertEqual(stats["workers"], 2)
        self.assertIs(stats["draining"], False)
        self.assertEqual(stats["published"],
                         m("spillway_events_published_total"))
        self.assertEqual(stats["channels"], m("spillway_channels"))
        self.assertEqual(stats["store"]["healthy"], True)
        for transport, found in stats["transports"].items():
            for name, metric in (("subscribers", "subscribers"),
                                 ("requests", "requests_total"),
                                 ("events", "events_delivered_total")):
                self.assertEqual(found[name], m("spillway_" + metric,
                                                transport=transport))
            for bucket, n in found["bytes"].items():
                self.assertEqual(n, m("spillway_bytes_total", bucket=bucket,
                                      transport=transport))
        self.assertGreater(stats["memory"]["resident"], 1 << 20)
        for s in streams:
            s.close()


class Metered:
    """Counts the bytes of a connection, both ways."""

    came = went = 0

    def send(self, data):
        self.went += len(data)
        super().send(data)

    def more(self):
        chunk = super().more()
        self.came += len(chunk)
        return chunk


class MeteredWebSocket(Metered, WebSocket):
    pass


class MeteredStream(Metered, EventStream):
    pass


class MeteredWire(Metered, Wire):
    pass


class Bytes(Scenario):
    """Every byte is in one bucket, and in the right one."""

    conf = """
heartbeat = "1s"
channel "echo" { send = echo }
"""

    def cost(self, id):
        status, c = self.gateway.get(f"/v1/connections/{id}", api=True)
        assert status == 200, c
        return c["bytes"]

    def totals(self, transport):
        m = Exposition(self.gateway.request("GET", "/metrics",
                                            api=True)[2].decode())
        return {dict(labels)["bucket"]: int(value)
                for (name, labels), value in m.samples.items()
                if name == "spillway_bytes_total" and
                dict(labels)["transport"] == transport}

    def publish(self, sizes):
        for n in sizes:
            self.gateway.publish("a", "x" * n, Content_Type="text/plain")
        return sum(sizes)

    def only_id(self):
        return self.gateway.until(lambda: self.gateway.get(
            "/v1/connections", api=True)[1]["connections"])[0]["id"]

    def settled(self, client, id, expected):
        """The daemon has counted what the client has seen, to the byte."""
        cost = self.gateway.until(
            lambda: sum(self.cost(id).values()) == client.came + client.went
            and self.cost(id), "equal counts")
        for bucket, n in expected.items():
            self.assertEqual(cost[bucket], n, (bucket, cost))
        self.assertEqual(self.totals(self.kind), cost)
        return cost

    def test_a_websocket(self):
        self.kind = "ws"
        ws = MeteredWebSocket(self.gateway.port, "/stream/a")
        head = ws.went + ws.came - len(ws.data)
        id = ws.message()["connection"]
        self.assertEqual(ws.message()["type"], "spillway.caughtup")
        payload = self.publish([1, 100, 200, 70000])
        for _ in range(4):
            ws.message()
        ws.command(op="subscribe", channel="b", ref="r")
        self.assertEqual(ws.message()["op"], "ok")
        # In fragments, and cut anywhere.
        whole = (ws.frame(TEXT, '{"op":', fin=False) +
                 ws.frame(0, '"ping"}'))
        for byte in whole:
            ws.send(bytes([byte]))
        self.assertEqual(ws.message()["op"], "ok")
        ws.say("beat", 9)
        beat = 6 + 4
        while ws.pongs == 0:
            fin, rsv, opcode, body = ws.read_frame()
            beat += 2 + len(body) if opcode in (9, 10) else 4 + len(body)
            if opcode == 10:
                ws.pongs += 1
            elif opcode == 9:
                ws.say(body, 10)
                beat += 6 + len(body)
        self.settled(ws, id, {"handshake": head, "payload": payload,
                              "request_headers": 0, "response_headers": 0})
        ws.close()

    def test_the_heartbeat_of_a_silent_websocket(self):
        self.kind = "ws"
        ws = MeteredWebSocket(self.gateway.port, "/stream/a")
        id = ws.message()["connection"]
        ws.message()
        quiet = ws.came - len(ws.data) + ws.went
        # A heartbeat and a ping each second: several of each.
        seen = []
        while seen.count(TEXT) < 3 or seen.count(9) < 2:
            fin, rsv, opcode, body = ws.read_frame()
            seen.append(opcode)
            if opcode == 9:
                ws.say(body, 10)

        def cost():
            """The daemon's, at a moment when nothing is on its way."""
            cost = self.cost(id)
            while ws.data or select.select([ws.s], [], [], 0)[0]:
                fin, rsv, opcode, body = ws.read_frame()
                if opcode == 9:
                    ws.say(body, 10)
            return sum(cost.values()) == ws.came + ws.went and cost

        self.assertEqual(self.gateway.until(cost)["heartbeat"],
                         ws.came + ws.went - quiet)
        ws.close()

    def test_a_deflated_websocket(self):
        self.kind = "ws"
        ws = MeteredWebSocket(self.gateway.port, "/stream/a",
                              extensions="permessage-deflate")
        id = ws.message()["connection"]
        ws.message()
        self.publish([5000, 50000])
        for _ in range(2):
            ws.message()
        cost = self.settled(ws, id, {})
        # What was not sent does not count.
        self.assertLess(cost["payload"], 2000)
        ws.close()

    def test_a_raw_websocket_that_sends(self):
        self.kind = "ws"
        ws = MeteredWebSocket(self.gateway.port, "/stream/echo?format=raw")
        head = ws.went + ws.came
        payload = 0
        for n in (1, 200, 70000):
            ws.say("x" * n)
            self.assertEqual(ws.read(), (TEXT, b"x" * n))
            payload += n
        id = self.only_id()
        cost = self.settled(ws, id, {"handshake": head})
        self.assertGreaterEqual(cost["payload"], payload)
        ws.close()

    def test_an_event_stream(self):
        self.kind = "sse"
        for extra in ("", "?padding=1", "?format=json"):
            before = self.totals("sse")
            s = MeteredStream(self.gateway.port, "/stream/a" + extra)
            head = s.came - len(s.data)
            id = json.loads(s.block()[1])["connection"]
            s.block()
            payload = self.publish([1, 100, 70000])
            while payload > 0:
                name, data = s.block()
                if name == "message":
                    payload -= len(json.loads(data)["data"]
                                   if "json" in extra else data)
            cost = self.gateway.until(
                lambda: sum(self.cost(id).values()) == s.came + s.went and
                self.cost(id), "equal counts")
            self.assertEqual(cost["request_headers"], s.went)
            self.assertEqual(cost["response_headers"], head)
            self.assertEqual(cost["payload"], 70101)
            self.assertEqual(cost["handshake"], 0)
            after = self.totals("sse")
            self.assertEqual({b: after[b] - before[b] for b in cost}, cost)
            s.close()
            # Until it is gone, the next events are sent to it, too.
            self.gateway.until(lambda: not self.gateway.get(
                "/v1/connections", api=True)[1]["connections"])

    def test_an_event_stream_that_is_read_late(self):
        """Its socket takes some events of several, and a part of the next."""
        self.kind = "sse"
        s = MeteredStream(self.gateway.port, "/stream/a", receive_buffer=4096)
        id = json.loads(s.block()[1])["connection"]
        s.block()
        for _ in range(4):
            self.gateway.batch([{"channel": "a", "data": "x" * 9998}] * 200)
        seen = 0
        while seen < 800:
            name, data = s.block()
            if name == "message":
                self.assertEqual(len(data), 10000)
                seen += 1
        self.settled(s, id, {"payload": 8000000, "handshake": 0})
        s.close()

    def test_polls_through_both_doors(self):
        g = self.gateway
        payload = self.publish([1, 100, 70000])
        for transport, extra in (("short", {}), ("long", {"wait": 9})):
            for head in ((), [("Trailer", "X")]):
                before = self.totals(transport)
                ask = request_head("/stream/a" + query(
                    dict(extra, after="start")), head)
                came = body = 0
                for _ in range(3):
                    with MeteredWire(g.port) as w:
                        w.send(ask)
                        body += len(w.response()[2])
                        came += w.came
                after = self.totals(transport)
                cost = {b: after[b] - before[b] for b in after}
                self.assertEqual(cost, {
                    "handshake": 0, "heartbeat": 0,
                    "request_headers": 3 * len(ask),
                    "response_headers": came - body,
                    "payload": 3 * payload, "framing": body - 3 * payload})


if __name__ == "__main__":
    main()
