"""Limits: each is reached once, refused as it should be, and counted."""

import json
import resource
import socket

from certificates import certificate
from gateway import (Closed, Gateway, Scenario, WebSocket, Wire, main,
                     request_head)
from post import post

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
        self.once("batch-events-max", lambda: self.says(
            413, "batch-events-max", post(
                "/v1/events", line * 4,
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
        self.assertEqual(self.gateway.metric(
            "subscribers_closed_total", '{why="flood"}'), 1)

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
        self.assertEqual(g.metric("limits_reached_total",
                                  '{limit="tls-handshake-timeout"}'), 1)


if __name__ == "__main__":
    main()
