"""Limits: each is reached once, refused as it should be, and counted."""

import json
import re
import resource
import signal
import socket
import sqlite3
import threading
import zlib

from bridge_backend import SECRET, Backend
from certificates import certificate
from gateway import (GUARD, Closed, EventStream, Gateway, Scenario, WebSocket,
                     Wire, free_ports, main, request_head)
from post import DOORS, Publisher, is_problem, post

CONF = """
header-max = 2k
header-timeout = 300ms
request-timeout = 1s
idle-timeout = 1s
message-max = 1k
batch-max = 2k
batch-events-max = 3
channels-per-connection = 3
max-channels = 8
send = echo
"""


class Reached(Scenario):
    conf = CONF

    def reached(self, name):
        return int(self.gateway.metric("limits_reached_total",
                                       f'{{limit="{name}"}}'))

    def once(self, name, reach):
        before = self.reached(name)
        reach()
        self.gateway.until(lambda: self.reached(name) == before + 1,
                           f"one more {name}")

    def says(self, expected, text, data, api=False):
        """What is sent is answered with a status that names the limit."""
        port = self.gateway.api_port if api else self.gateway.port
        with Wire(port) as w:
            w.send(data)
            status, _, body = w.response()
            self.assertEqual(status, expected, body)
            self.assertIn(text, json.loads(body)["detail"])

    def test_a_head_that_is_too_large(self):
        big = [("X-Big", "x" * 3000)]
        for path in ("/stream/a", "/nowhere"):
            self.once("header-max", lambda p=path: self.says(
                431, "header-max", request_head(p, big)))

    def test_a_head_that_does_not_end(self):
        self.once("header-timeout", lambda: self.says(
            408, "header-timeout", b"GET /stream/a HTTP/1.1\r\nHost: x\r\n"))

    def test_a_body_that_does_not_end(self):
        head = [("Content-Length", "100")]
        self.once("request-timeout", lambda: self.says(
            408, "request-timeout", request_head(
                "/v1/channels/a/events", head, "POST") + b"x", api=True))

        def silently():
            with Wire(self.gateway.port) as w:
                w.send(request_head("/stream/a", head, "POST") + b"x")
                self.assertEqual(w.rest(), b"")
        self.once("request-timeout", silently)

    def test_a_connection_that_says_nothing(self):
        def silent():
            with Wire(self.gateway.port) as w:
                self.assertEqual(w.rest(), b"")
        self.once("idle-timeout", silent)

        def no_more():
            with Wire(self.gateway.port) as w:
                w.send(request_head("/stream/a"))
                self.assertEqual(w.response()[0], 200)
                self.assertEqual(w.rest(), b"")
        self.once("idle-timeout", no_more)

    def test_a_message_that_is_too_large(self):
        large = "x" * 1025
        self.once("message-max", lambda: self.says(
            413, "message-max", post("/v1/channels/a/events", large),
            api=True))

        for path, headers, body, text in (
                ("/v1/channels/a/events",
                 [("ce-specversion", "1.0"), ("ce-id", "1"),
                  ("ce-source", "s"), ("ce-type", "t")], large, "message-max"),
                ("/v1/events", [], f'{{"channel":"a","data":"{large}"}}\n',
                 "see the lines")):
            self.once("message-max", lambda r=post(path, body, headers),
                      t=text: self.says(413, t, r, api=True))
        def pipelined():
            with Wire(self.gateway.api_port) as w:
                w.send(post("/v1/channels/a/events", "1") +
                       post("/v1/channels/a/events", large))
                self.assertEqual([w.response()[0] for _ in range(2)],
                                 [201, 413])
        self.once("message-max", pipelined)
        # Refused by its head: nothing of it is kept until it is whole.
        self.once("message-max", lambda: self.says(
            413, "message-max", request_head(
                "/stream/a", [("Content-Length", len(large))], "POST")))

        def frame():
            ws = WebSocket(self.gateway.port, "/stream/a")
            ws.say(large)
            with self.assertRaises(Closed) as closed:
                while True:
                    ws.message()
            self.assertEqual(closed.exception.code, 1009)
            ws.close()
        self.once("message-max", frame)

    def test_a_batch_that_is_too_large(self):
        line = '{"channel":"a","data":1}\n'
        with Wire(self.gateway.api_port) as w:
            w.send(post("/v1/events", line * 3,
                        [("Content-Type", "application/x-ndjson")]))
            self.assertEqual(w.response()[0], 201)
        self.once("batch-events-max", lambda: self.says(
            413, "batch-events-max", post(
                "/v1/events", line * 4,
                [("Content-Type", "application/x-ndjson")]), api=True))

        self.once("batch-max", lambda: self.says(
            413, "batch-max", post(
                "/v1/events", line * 100,
                [("Content-Type", "application/x-ndjson")]), api=True))

    def test_channels_of_one_connection(self):
        self.once("channels-per-connection", lambda: self.says(
            400, "channels-per-connection", request_head("/stream/a,b,c,d")))
        ws = WebSocket(self.gateway.port, "/stream/a,b,c")

        def subscribe():
            ws.command(op="subscribe", channel="d", ref="1")
            answer = ws.message()
            while "op" not in answer:
                answer = ws.message()
            self.assertEqual(answer["op"], "error")
            self.assertIn("channels-per-connection", answer["message"])
        self.once("channels-per-connection", subscribe)
        ws.close()

    def test_channels_that_exist(self):
        def publish(n):
            return self.gateway.api(
                "POST", f"/v1/channels/room-{n}/events", "1")
        for n in range(8):
            self.assertEqual(publish(n)[0], 201)

        def one_more():
            status, problem = publish(8)
            self.assertEqual(status, 503)
            self.assertIn("max-channels", problem["detail"])
        self.once("max-channels", one_more)
        self.assertEqual(publish(0)[0], 201)

        def batch():
            status, problem = self.gateway.api(
                "POST", "/v1/events", '{"channel":"room-8","data":1}\n')
            self.assertEqual((status, problem["status"], problem["title"]),
                             (503, 503, "Service Unavailable"))
            self.assertIn("max-channels", problem["lines"][0]["detail"])
        self.once("max-channels", batch)
        for data in (request_head("/stream/room-0,room-8"),
                     request_head("/stream/room-8?wait=1"),
                     request_head("/stream/room-8",
                                  [("Accept", "text/event-stream")]),
                     request_head("/stream/room-8",
                                  [("Content-Length", "0")], "POST")):
            self.once("max-channels", lambda d=data: self.says(
                503, "max-channels", d))

        def upgrade():
            refused = WebSocket(self.gateway.port, "/stream/room-8")
            self.assertEqual(refused.status, 503)
            self.assertIn(b"max-channels", refused.body)

        def subscribe():
            with WebSocket(self.gateway.port, "/stream/room-0") as ws:
                ws.command(op="subscribe", channel="room-8")
                answer = ws.message()
                while "op" not in answer:
                    answer = ws.message()
                self.assertIn("max-channels", answer["message"])
                # The gateway's limit, not its own: it may ask again.
                self.assertEqual(answer["code"], "overloaded")
        self.once("max-channels", upgrade)
        self.once("max-channels", subscribe)
        self.assertEqual(self.reached("channels-per-connection"), 0)

    def test_descriptors_of_the_system(self):
        g = self.gateway
        with Wire(g.api_port) as api:
            api.send(request_head("/v1/stats"))
            api.response()
            number = resource.RLIMIT_NOFILE
            limits = resource.prlimit(g.process.pid, number)
            resource.prlimit(g.process.pid, number, (8, limits[1]))
            with Wire(g.port) as w:
                w.send(request_head("/stream/a"))
                g.wait_log("warn accepting rests for ")
                resource.prlimit(g.process.pid, number, limits)
                # It says so, and then the one who waited has its turn.
                self.assertEqual(w.response()[0], 200)
        self.assertGreater(self.reached("descriptors"), 0)


class ReachedInTheLibrary(Scenario):
    """Connections that were passed on, as they are or out of TLS."""

    conf = CONF
    secure = [()]
    reached = Reached.reached
    once = Reached.once

    def ends(self, name, data, answered=False):
        for port in (self.gateway.plain_port, self.gateway.secure_port):
            def reach(port=port):
                with Wire(port) as w:
                    w.send(data)
                    if answered:
                        self.assertEqual(w.response()[0], 200)
                    self.assertEqual(w.rest(), b"")
            self.once(name, reach)

    def test_a_body_that_does_not_end(self):
        self.ends("request-timeout", request_head(
            "/stream/a", [("Transfer-Encoding", "chunked")], "POST") + b"1")

    def test_a_connection_that_says_no_more(self):
        self.ends("idle-timeout", request_head("/healthz"), answered=True)


class Paces(Scenario):
    """A pace of one a second: ten may come at once."""

    conf = "message-rate = 1\nsend = echo\n"
    reached = Reached.reached

    def test_messages_on_a_websocket(self):
        ws = WebSocket(self.gateway.port, "/stream/a")
        for n in range(100):
            ws.command(op="ping", ref=str(n))
        with self.assertRaises(Closed) as closed:
            while True:
                ws.message()
        self.assertEqual(closed.exception.code, 4429)
        self.assertIn("message-rate", closed.exception.reason)
        ws.close()
        self.assertEqual(self.reached("message-rate"), 1)
        self.gateway.until_metric(1,
                                  "subscribers_closed_total", '{why="flood"}')

    def test_pings_on_a_websocket(self):
        ws = WebSocket(self.gateway.port, "/stream/a")
        ws.send(WebSocket.frame(9, b"x") * 100)
        with self.assertRaises(Closed) as closed:
            while True:
                ws.message()
        self.assertEqual(closed.exception.code, 4429)
        ws.close()

    def test_messages_by_requests(self):
        with Wire(self.gateway.port) as w:
            statuses = []
            for _ in range(30):
                w.send(post("/stream/a", "1"))
                status, headers, _ = w.response()
                statuses.append(status)
                if status == 429:
                    self.assertIn("retry-after", headers)
                    break
        self.assertEqual(statuses[:10], [200] * 10)
        self.assertEqual(statuses[-1], 429)

    def test_others_are_not_slowed_down(self):
        for _ in range(3):
            ws = WebSocket(self.gateway.port, "/stream/a")
            for n in range(5):
                ws.command(op="ping", ref=str(n))
            seen = []
            while len(seen) < 5:
                answer = ws.message()
                if "op" in answer:
                    seen.append(answer["ref"])
            self.assertEqual(seen, list("01234"))
            ws.close()


class Bytes(Scenario):
    """Ten kilobytes may come at once."""

    conf = "message-byte-rate = 1k\nmessage-max = 64k\nsend = echo\n"
    reached = Reached.reached

    def test_many_and_large_messages_on_a_websocket(self):
        # Together they are above it; and so is a large one with another.
        for sizes in ([1200] * 60, [60000, 1200]):
            before = self.reached("message-byte-rate")
            ws = WebSocket(self.gateway.port, "/stream/a?format=raw")
            for size in sizes:
                ws.say("x" * size)
            with self.assertRaises(Closed) as closed:
                for size in sizes:
                    self.assertEqual(len(ws.read()[1]), size)
            self.assertEqual(closed.exception.code, 4429)
            self.assertIn("message-byte-rate", closed.exception.reason)
            ws.close()
            self.assertEqual(self.reached("message-byte-rate"), before + 1)
        self.assertEqual(self.reached("message-rate"), 0)

    def test_what_a_message_is_inflated_to_counts(self):
        ws = WebSocket(self.gateway.port, "/stream/a?format=raw",
                       extensions="permessage-deflate")
        z = zlib.compressobj(9, wbits=-15)
        small = z.compress(b"x" * 60000) + z.flush(zlib.Z_SYNC_FLUSH)
        for _ in range(2):
            ws.send(ws.frame(1, small[:-4], rsv=4))
        with self.assertRaises(Closed) as closed:
            while True:
                ws.read()
        self.assertEqual(closed.exception.code, 4429)
        ws.close()

    def test_requests(self):
        for chunked in False, True:
            with Wire(self.gateway.port) as w:
                w.send(post("/stream/a", "x" * 60000, chunked=chunked))
                self.assertEqual(w.response()[0], 200)
            # Another connection has its own.
            with Wire(self.gateway.port) as w:
                for expected in 200, 429:
                    w.send(post("/stream/a", "x" * 60000))
                    status, headers, body = w.response()
                    self.assertEqual(status, expected, body)
                self.assertIn("retry-after", headers)
                self.assertIn(b"message-byte-rate", body)


class PublishRate(Scenario):
    """One a second from each token: ten may come at once."""

    TOKENS = ("publisher-0123456789", "another-0123456789")
    conf = (f'publish-rate = 1\napi-token = {{ "publish:{TOKENS[0]}", '
            f'"publish:{TOKENS[1]}", "admin:admin-0123456789" }}\n')

    def events(self, token, count, chunked=False):
        """Statuses until the first refusal, each on another connection."""
        seen = []
        for n in range(count):
            with Publisher(self.gateway, chunked) as p:
                status, headers, problem = p.publish(
                    "a", str(n), ("Authorization", "Bearer " + token))
            seen.append(status)
            if status == 429:
                is_problem(self, status, headers, problem, 429)
                self.assertIn("publish-rate", problem["detail"])
                break
        return seen

    def reached(self):
        _, _, body = self.gateway.request(
            "GET", "/metrics", api=True,
            headers={"Authorization": "Bearer admin-0123456789"})
        return int(re.search(
            rb'limits_reached_total{limit="publish-rate"} (\d+)',
            body).group(1))

    def test_each_token_has_its_own(self):
        for token, chunked in zip(self.TOKENS, DOORS):
            seen = self.events(token, 60, chunked)
            self.assertEqual(seen[:10], [201] * 10)
            self.assertEqual(seen[-1], 429)
        self.assertEqual(self.reached(), 2)

    def test_what_is_refused_for_what_it_is_costs_nothing(self):
        """However many requests are on their way at a time."""
        head = [("Content-Type", "application/json"),
                ("Authorization", "Bearer " + self.TOKENS[0])]
        good, bad = (post("/v1/channels/a/events", body, head)
                     for body in ("1", "no JSON"))
        with Wire(self.gateway.api_port) as w:
            w.send((good + bad) * 10)
            self.assertEqual([w.response()[0] for _ in range(20)],
                             [201, 400] * 10)

    def test_a_batch_counts_what_is_in_it(self):
        """One may be larger than the pace; then there is a pause."""
        head = [("Content-Type", "application/x-ndjson"),
                ("Authorization", "Bearer " + self.TOKENS[0])]
        for expected in 201, 429:
            with Publisher(self.gateway) as p:
                status, _, answer = p.batch(
                    '{"channel":"a","data":1}\n' * 1000, *head)
            self.assertEqual(status, expected, answer)
        self.assertEqual(self.events(self.TOKENS[0], 1), [429])
        self.assertEqual(self.events(self.TOKENS[1], 1), [201])


class Crowds(Scenario):
    """What only many reach, or those who do nothing for long."""

    reached = Reached.reached
    workers = 1

    def begin(self, conf, **options):
        self.gateway = Gateway(conf, workers=1, **options)
        self.addCleanup(self.gateway.close)
        self.gateway.start()

    def setUp(self):
        pass

    def comes_in(self, port, before=b""):
        """A connection that was answered; None if it was not let in."""
        w = Wire(port)
        try:
            w.send(before + request_head("/stream/a"))
            self.assertEqual(w.response()[0], 200)
        except (EOFError, ConnectionError):
            w.close()
            return None
        self.addCleanup(w.close)
        return w

    def test_connections(self):
        for conf, limit in (
                ("max-connections = 3\n", "max-connections"),
                ("max-connections-per-address = 3\nlimit-loopback = yes\n",
                 "max-connections-per-address")):
            self.begin(conf)
            inside = [self.comes_in(self.gateway.port) for _ in range(3)]
            self.assertNotIn(None, inside)
            for _ in range(2):
                self.assertIsNone(self.comes_in(self.gateway.port))
            # One goes, one may come: for instance who counts.
            inside[0].close()
            self.gateway.until(
                lambda: self.answered(limit) >= 2, "two refusals")
            # Who it was is told, but not of each one.
            self.gateway.wait_log(
                "connections refused: this one, and 0 before it .*"
                f" limit={limit} peer=127")

    def test_who_comes_through_a_balancer_has_one_place(self):
        """Not a second one while it is found out who it is."""
        self.begin("max-connections = 2\n"
                   'proxy-protocol = { "127.0.0.1" }\n')
        header = b"PROXY TCP4 192.0.2.1 192.0.2.9 4000 80\r\n"
        inside = [self.comes_in(self.gateway.port, header) for _ in range(3)]
        self.assertEqual([w is None for w in inside], [False, False, True])

    def test_publishers_come_in_when_clients_have_all_connections(self):
        self.begin("max-connections = 3\n")
        g = self.gateway
        inside = [self.comes_in(g.port) for _ in range(3)]
        self.assertNotIn(None, inside)
        for n in range(40):
            g.publish("a", n)
        # Others stay outside, and of the API there are not any number.
        self.assertIsNone(self.comes_in(g.port))
        operators = 0
        with self.assertRaises((EOFError, ConnectionError)):
            while operators <= 32:
                w = Wire(g.api_port)
                self.addCleanup(w.close)
                w.send(request_head("/healthz"))
                self.assertEqual(w.response()[0], 200)
                operators += 1
        self.assertGreater(operators, 0)

    def answered(self, limit):
        try:
            return self.reached(limit)
        except OSError:
            return -1

    def test_a_queue_that_is_full(self):
        self.begin("publish-queue-events = 64\n")
        g = self.gateway
        g.publish("a", "before")
        # Nothing is committed while somebody else writes to the store.
        lock = sqlite3.connect(g.store, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        wires = [Wire(g.api_port) for _ in range(4)]
        for w in wires:
            w.send(post("/v1/events", '{"channel":"a","data":1}\n' * 64,
                        [("Content-Type", "application/x-ndjson")]))
        g.until(lambda: self.reached("publish-queue") >= 2, "a full queue")
        lock.execute("ROLLBACK")
        lock.close()
        statuses = [w.response()[0] for w in wires]
        self.assertEqual(statuses.count(503), self.reached("publish-queue"))
        self.assertIn(201, statuses)

    def test_a_reader_that_does_not_read(self):
        self.begin('stall-timeout = "1s"\n')
        g = self.gateway
        stream = EventStream(g.port, "/stream/a", receive_buffer=4096)
        stream.block()
        g.until(lambda: g.publish("a", "x" * 500000) and
                self.reached("stall-timeout") == 1, "a stall")
        stream.close()

    def test_a_page_that_nobody_reads(self):
        """What the library writes is looked after as well."""
        self.gateway = g = Gateway(workers=1, certificates=[certificate()])
        self.addCleanup(g.close)
        # Larger than what fits into any socket's buffer.
        with open(g.dir + "/large.js", "wb") as f:
            f.write(b"x" * (2 << 20))
        g.configure(f'stall-timeout = "1s"\nweb-root = "{g.dir}"\n')
        g.start()
        for n, port in enumerate((g.plain_port, g.secure_port), 1):
            with Wire(port, receive_buffer=1024) as w:
                w.send(request_head("/spillway/large.js"))
                g.until(lambda n=n: self.reached("stall-timeout") == n,
                        "a stall")
                self.assertLess(len(w.rest()), 2 << 20)

    def test_handshakes_at_a_time(self):
        self.begin("tls-handshakes-max = 2\n", certificates=[certificate()])
        g = self.gateway
        sockets = []
        for _ in range(5):
            w = Wire(int(g.port))
            self.addCleanup(w.close)
            # The system keeps a client from us that says nothing.
            w.send(b"\x16\x03\x01")
            sockets.append(w)
        g.until(lambda: self.reached("tls-handshakes-max") == 3,
                "three that had to go")
        for w in sockets[:3]:
            self.assertEqual(w.rest(), b"")
        # Somebody who goes through with it does not have to wait.
        self.assertEqual(g.poll("a")["events"], [])


class Doors(Scenario):
    """How fast connections may come from one address."""

    reached = Reached.reached

    def knock(self, port, times):
        """How many of so many connections are let in."""
        inside = 0
        for _ in range(times):
            try:
                with Wire(port) as w:
                    w.send(request_head("/stream/a"))
                    inside += w.response()[0] == 200
            except (OSError, EOFError):
                pass
        return inside

    def asked(self, conf, **options):
        g = Gateway("limit-loopback = yes\n" + conf, **options)
        self.addCleanup(g.close)
        g.start()
        return g

    def count(self, gateway, name):
        # The API is on this machine, too: by what it has left to itself.
        gateway.configure("")
        gateway.signal(1)
        gateway.wait_log("info configuration reloaded")
        return gateway.metric("limits_reached_total", f'{{limit="{name}"}}')

    def test_connections(self):
        g = self.asked("connection-rate = 1\n")
        inside = self.knock(g.port, 40)
        self.assertGreaterEqual(inside, 10)
        self.assertLess(inside, 40)
        self.assertGreaterEqual(self.count(g, "connection-rate"), 40 - inside)

    def test_handshakes(self):
        g = self.asked("tls-handshake-rate = 1\n",
                       certificates=[certificate()])
        inside = self.knock(g.secure_port, 30)
        self.assertGreaterEqual(inside, 10)
        self.assertLess(inside, 30)
        self.assertGreaterEqual(self.count(g, "tls-handshake-rate"),
                                30 - inside)

    def test_a_door_for_both_knows_ipv4_clients_apart(self):
        port, = free_ports(1)
        g = self.asked("max-connections-per-address = 2\nanonymous = yes\n"
                       f'listen += {{ ":{port}" }}\n')
        inside = []
        for address in ("127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.3"):
            s = socket.create_connection(("127.0.0.1", port), GUARD,
                                         (address, 0))
            self.addCleanup(s.close)
            s.sendall(request_head("/stream/a"))
            inside.append(s.recv(12))
        self.assertEqual(inside, [b"HTTP/1.1 200"] * 4)
        self.assertEqual(g.get("/healthz")[0], 200)

    def test_this_machine_is_exempt_by_default(self):
        self.gateway.configure("connection-rate = 1\n"
                               "max-connections-per-address = 1\n")
        self.gateway.restart()
        self.assertEqual(self.knock(self.gateway.port, 40), 40)

    def test_handshakes_that_do_not_end(self):
        g = Gateway("tls-handshake-timeout = 200ms\n",
                    certificates=[certificate()])
        self.addCleanup(g.close)
        g.start()
        with socket.create_connection(("127.0.0.1", int(g.port))) as s:
            s.sendall(b"\x16\x03\x01")
            self.assertEqual(s.recv(100), b"")
        g.until_metric(1,
                       "limits_reached_total",
                       '{limit="tls-handshake-timeout"}')


class Pairs(Scenario):
    """Who is passed on to the library, out of TLS, takes three descriptors."""

    reached = Reached.reached

    def setUp(self):
        self.gateway = Gateway(
            workers=1, certificates=[certificate()],
            wrap=["sh", "-c", 'ulimit -n 256 && exec "$@"', "sh"])
        self.addCleanup(self.gateway.close)
        self.gateway.start()

    def status(self, w, path):
        w.send(request_head(path))
        return w.response()[0]

    def passed_on(self):
        try:
            w = Wire(self.gateway.port)
            self.addCleanup(w.close)
            return self.status(w, "/healthz") == 200
        except (OSError, EOFError):
            return False

    def test_they_leave_room_for_the_rest(self):
        with Wire(self.gateway.port) as other:
            self.assertEqual(self.status(other, "/stream/a"), 200)
            count = 0
            while self.passed_on():
                count += 1
            self.assertGreater(count, 30)
            self.assertEqual(self.status(other, "/healthz"), 503)
        # A large payload needs a file.
        self.gateway.publish("a", "x" * 100_000)
        self.assertEqual(self.reached("descriptors"), 1)


class Tokens(Scenario):
    conf = f"""
token-key = "HS256:{'k' * 32}"
auth-timeout = 100ms
"""
    reached = Reached.reached
    once = Reached.once

    def test_who_sends_none_in_time(self):
        def wait():
            with WebSocket(self.gateway.port, "/stream/a") as ws:
                with self.assertRaises(Closed) as closed:
                    while True:
                        ws.message()
                self.assertEqual(closed.exception.code, 4401)
        self.once("auth-timeout", wait)


class Backends(Scenario):
    """What a backend that does not answer leaves to wait here."""

    reached = Reached.reached
    says = Reached.says

    def setUp(self):
        self.answers = threading.Event()
        self.backend = Backend(self.answer)
        self.addCleanup(self.backend.close)
        self.addCleanup(self.answers.set)

    def answer(self, event):
        self.answers.wait(GUARD)
        return 503, "text/plain", b"later"

    def begin(self, more):
        self.more = f"""
backend = "http://127.0.0.1:{self.backend.port}"
bridge-secret = "{SECRET}"
{more}
"""
        self.gateway = Gateway(self.more, workers=1)
        self.addCleanup(self.gateway.close)
        self.gateway.start()
        self.reloads = 0

    def reload(self):
        self.reloads += 1
        self.gateway.signal(signal.SIGHUP)
        self.gateway.wait_log("reloaded", self.reloads)

    def test_messages_that_wait(self):
        self.begin("send = bridge\nbridge-queue-bytes = 1m\n")
        with Wire(self.gateway.port) as first:
            first.send(post("/stream/a", "x" * 700000))
            self.backend.wait(1)
            self.says(503, "wait for the backend",
                      post("/stream/a", "x" * 700000))
        self.assertEqual(self.reached("bridge-queue-bytes"), 1)

    def test_letters_that_are_stored(self):
        self.begin("send = bridge\nmessage-mode = queue\n"
                   "outbox-max-bytes = 1k\n")
        with Wire(self.gateway.port) as w:
            statuses = []
            while 503 not in statuses:
                w.send(post("/stream/a", "x" * 300))
                statuses.append(w.response()[0])
        self.assertIn(202, statuses)
        self.assertEqual(self.reached("outbox-max-bytes"), 1)

    def test_clients_that_poll_with_a_session(self):
        self.begin("max-sessions = 1\nbridge-presence = yes\n")
        self.answers.set()
        for name, status in (("a", 200), ("b", 503), ("a", 200)):
            self.assertEqual(
                self.gateway.get(f"/stream/c?session={name}")[0], status)
        self.assertEqual(self.reached("max-sessions"), 1)

    def test_requests_that_wait(self):
        self.begin("backend-requests-max = 1\nbackend-queue-max = 1\n")
        wires = [Wire(self.gateway.port) for _ in range(3)]
        for w in wires:
            w.send(post("/x", "y"))
        self.gateway.until(
            lambda: self.reached("backend-queue-max") == 1, "a full queue")
        self.answers.set()
        for w in wires:
            self.assertEqual(w.response()[0], 503)
            w.close()

    def test_a_body_is_above_the_one_limit_that_lets_it_in(self):
        # Whose first look would pass on a body in chunks as it comes.
        self.begin("message-max = 1k\nbatch-max = 2k\nfirst-look = no\n")
        self.answers.set()
        lines = '{"channel":"a","data":1}\n' * 150
        cloud = json.dumps({"specversion": "1.0", "id": "1", "source": "s",
                            "type": "t", "data": "x" * 3000})
        structured = [("Content-Type", "application/cloudevents+json")]
        for path, body, headers, api, limit, status in (
                ("/v1/events", lines, [], True, "batch-max", 201),
                ("/v1/channels/a/events", cloud, structured, True,
                 "message-max", 201),
                ("/x", "x" * 3000, [], False, "batch-max", 503)):
            port = self.gateway.api_port if api else self.gateway.port
            for chunked in (False, True) if api else (True,):
                self.gateway.configure(self.more)
                self.reload()
                before = self.reached(limit)
                data = post(path, body, headers, chunked)
                with Wire(port) as w:
                    w.send(data)
                    refused, _, problem = w.response()
                self.assertEqual(
                    (refused, json.loads(problem)["detail"]),
                    (413, f"The body is above {limit}."))
                self.assertEqual(self.reached(limit), before + 1)
                self.gateway.configure(
                    re.sub(f"(?m)^{limit} = .*$", f"{limit} = 8k", self.more))
                self.reload()
                with Wire(port) as w:
                    w.send(data)
                    self.assertIn(w.response()[0], (status, 200))

    def test_a_path_that_is_long_to_look_at(self):
        self.begin('odd-path-max = 64\nroute "/api/*" { upgrade = off }\n')
        self.answers.set()
        for path, status in (("/api/%20" + "x" * 56, 503),
                             ("/api/%20" + "x" * 57, 414),
                             ("/api/" + "x" * 60, 503)):
            with Wire(self.gateway.port) as w:
                w.send(post(path, "x"))
                self.assertEqual(w.response()[0], status)
        self.assertEqual(self.reached("odd-path-max"), 1)


class Table(Scenario):
    """Whoever adds a limit reaches it here."""

    REACHED = {
        "max-connections": Crowds.test_connections,
        "max-connections-per-address": Crowds.test_connections,
        "connection-rate": Doors.test_connections,
        "tls-handshake-rate": Doors.test_handshakes,
        "descriptors": Reached.test_descriptors_of_the_system,
        "tls-handshakes-max": Crowds.test_handshakes_at_a_time,
        "tls-handshake-timeout": Doors.test_handshakes_that_do_not_end,
        "header-max": Reached.test_a_head_that_is_too_large,
        "header-timeout": Reached.test_a_head_that_does_not_end,
        "odd-path-max": Backends.test_a_path_that_is_long_to_look_at,
        "request-timeout": Reached.test_a_body_that_does_not_end,
        "idle-timeout": Reached.test_a_connection_that_says_nothing,
        "message-max": Reached.test_a_message_that_is_too_large,
        "message-rate": Paces.test_messages_on_a_websocket,
        "message-byte-rate": Bytes.test_many_and_large_messages_on_a_websocket,
        "batch-max": Reached.test_a_batch_that_is_too_large,
        "batch-events-max": Reached.test_a_batch_that_is_too_large,
        "publish-rate": PublishRate.test_each_token_has_its_own,
        "publish-queue": Crowds.test_a_queue_that_is_full,
        "channels-per-connection": Reached.test_channels_of_one_connection,
        "max-channels": Reached.test_channels_that_exist,
        "stall-timeout": Crowds.test_a_reader_that_does_not_read,
        "auth-timeout": Tokens.test_who_sends_none_in_time,
        "bridge-queue-bytes": Backends.test_messages_that_wait,
        "outbox-max-bytes": Backends.test_letters_that_are_stored,
        "max-sessions": Backends.test_clients_that_poll_with_a_session,
        "backend-queue-max": Backends.test_requests_that_wait,
    }

    def test_every_limit_is_reached_by_a_test(self):
        _, body = self.gateway.get("/metrics", api=True)
        names = re.findall(rb'spillway_limits_reached_total{limit="([^"]+)"}',
                           body)
        self.assertEqual(sorted(n.decode() for n in names),
                         sorted(self.REACHED))
        for test in self.REACHED.values():
            self.assertTrue(callable(test))


if __name__ == "__main__":
    main()
