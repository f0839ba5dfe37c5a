"""Clients that are gone without a word: no FIN, no reset, no acknowledgement."""

import ctypes
import select
import socket
import struct
import threading

from backend import Backend, response
from gateway import GUARD, STREAMS, Scenario, Wire, main, request_head
from test_upgrades import accepted

SO_ATTACH_FILTER = 26
RETURN = 0x06  # of a packet so many bytes, says BPF
LONG = '{transport="long"}'
UPGRADE = [("Connection", "Upgrade"), ("Upgrade", "websocket"),
           ("Sec-WebSocket-Version", "13"),
           ("Sec-WebSocket-Key", "MDEyMzQ1Njc4OWFiY2RlZg==")]


def vanish(s):
    """From now on nothing reaches the socket, and so it answers nothing."""
    drop_all = ctypes.create_string_buffer(struct.pack("HBBI", RETURN, 0, 0, 0))
    program = struct.pack("HP", 1, ctypes.addressof(drop_all))
    s.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


class Streams(Scenario):
    conf = """
heartbeat = "1s"
stall-timeout = "2s"
"""

    def leave(self, kind):
        """Its cursor, when the gateway knows that it has gone."""
        g = self.gateway
        s = kind(g, "a")
        self.addCleanup(s.close)
        s.notice("caughtup")
        g.publish("a", "there")
        s.event()
        vanish((s.stream if s.name == "sse" else s.ws).s)
        return s.cursor

    def left(self, kind):
        return self.gateway.metric("subscribers",
                                   f'{{transport="{kind.name}"}}') == 0

    def test_a_silent_stream_ends(self):
        for kind in self.each(STREAMS):
            cursor = self.leave(kind)
            self.gateway.until(lambda k=kind: self.left(k), "that it has gone")
            self.gateway.wait_log(f"closed .* transport={kind.name} why=")
            self.come_back(kind, cursor, 0)

    def test_a_busy_stream_ends(self):
        """Although its socket takes whatever comes."""
        for kind in self.each(STREAMS):
            cursor, count = self.leave(kind), 0

            def goes_on(k=kind):
                nonlocal count
                self.gateway.publish("a", "missed")
                count += 1
                return self.left(k)
            self.gateway.until(goes_on, "that it has gone")
            self.come_back(kind, cursor, count)

    def come_back(self, kind, cursor, missed):
        s = kind(self.gateway, "a", cursor=cursor)
        self.addCleanup(s.close)
        self.assertEqual([e["data"] for e in s.events(missed)],
                         ["missed"] * missed)
        s.notice("caughtup")
        s.close()
        self.gateway.until(lambda: self.left(kind), "that it has left")


class Waiting(Scenario):
    conf = """
tcp-keepalive = "1s"
poll-wait-max = "10m"
"""

    def wait(self, count):
        """One more who waits: so many there are then."""
        g = self.gateway
        w = Wire(g.port)
        self.addCleanup(w.close)
        w.send(request_head(f"/stream/a?wait=600&after={self.cursor}"))
        g.until_metric(count, "subscribers", LONG)
        return w

    def test_who_has_gone_does_not_wait(self):
        """And who is there does, for longer than it takes to miss others."""
        g = self.gateway
        self.cursor = g.publish("a", "seen")["id"]
        there = self.wait(1)
        for _ in range(2):
            vanish(self.wait(2).s)
            g.until_metric(1, "subscribers", LONG)
        g.publish("a", "late")
        self.assertEqual(there.response()[0], 200)


BEGUN = (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
         b"Transfer-Encoding: chunked\r\n\r\n")


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


class Proxied(Scenario):
    """What a backend says without an end, and what it is told."""

    times = ""

    def setUp(self):
        self.ended = threading.Event()
        self.backend = Backend(self.respond)
        self.addCleanup(self.backend.close)
        self.conf = f'backend = "{self.backend.url}"\n{self.times}'
        super().setUp()

    def wire(self, path, headers=(), method="GET"):
        w = Wire(self.gateway.port)
        self.addCleanup(w.close)
        w.send(request_head(path, headers, method))
        return w

    def goes_on(self, s, text):
        """Says it again and again, until nobody wants it."""
        pause = threading.Event()
        try:
            while True:
                s.sendall(text)
                pause.wait(0.05)
        except OSError:
            self.ended.set()


class Pausing(Proxied):
    times = """
backend-idle-timeout = "10m"
tcp-keepalive = "1s"
"""

    def respond(self, _request, connection):
        connection.s.sendall(BEGUN + chunk(b"first"))
        if not connection.more():
            self.ended.set()

    def test_a_response_that_pauses_ends(self):
        w = self.wire("/slow")
        w.until(b"first")
        vanish(w.s)
        self.assertTrue(self.ended.wait(GUARD))


class GoingOn(Proxied):
    times = """
backend-idle-timeout = "2s"
upgrade-idle-timeout = "2s"
"""

    def respond(self, request, connection):
        if request.get("Upgrade"):
            connection.s.sendall(accepted(request))
            self.goes_on(connection.s, b"tick")
        else:
            connection.s.sendall(BEGUN)
            self.goes_on(connection.s, chunk(b"tick"))

    def vanishes(self, w):
        w.until(b"tick")
        vanish(w.s)
        self.assertTrue(self.ended.wait(GUARD))
        self.gateway.wait_log("client takes nothing id=")
        self.gateway.until_metric(0, "proxied_requests")

    def test_a_response_that_goes_on_ends(self):
        self.vanishes(self.wire("/events"))

    def test_what_has_switched_and_goes_on_ends(self):
        self.vanishes(self.wire("/app", UPGRADE))

    def test_who_is_there_is_left_alone(self):
        """For longer than it takes to miss another."""
        w, gone = self.wire("/events"), self.wire("/events")
        gone.until(b"tick")
        vanish(gone.s)
        while not self.ended.is_set():
            w.until(b"tick")
        for _ in range(20):
            w.until(b"tick")


class BackendPausing(Proxied):
    times = """
backend-idle-timeout = "10m"
upgrade-idle-timeout = "10m"
tcp-keepalive = "1s"
"""

    def respond(self, request, connection):
        connection.s.sendall(accepted(request) if request.get("Upgrade") else
                             BEGUN + chunk(b"first"))
        self.leaves.wait()
        vanish(connection.s)
        self.ended.wait()

    def setUp(self):
        self.leaves = threading.Event()
        super().setUp()
        self.addCleanup(self.ended.set)
        self.addCleanup(self.leaves.set)

    def test_its_response_breaks_off(self):
        w = self.wire("/slow")
        w.until(b"first\r\n")
        self.leaves.set()
        self.assertEqual(w.rest(), b"")
        self.gateway.wait_log("backend failed id=[0-9]+ end=broken")

    def test_what_has_switched_ends(self):
        w = self.wire("/app", UPGRADE)
        w.until(b"\r\n\r\n")
        self.leaves.set()
        self.assertEqual(w.rest(), b"")
        self.gateway.until_metric(0, "backend_tunnels")


class BackendTakingNothing(Proxied):
    times = """
backend-response-timeout = "2s"
upgrade-idle-timeout = "2s"
"""

    def respond(self, request, connection):
        if request.get("Upgrade"):
            connection.s.sendall(accepted(request))
        connection.more()
        vanish(connection.s)
        self.ended.wait()

    def setUp(self):
        super().setUp()
        self.addCleanup(self.ended.set)

    @staticmethod
    def tell(w, text):
        """Again and again, until there is an answer, or the end."""
        while not select.select([w.s], [], [], 0.05)[0]:
            w.send(text)

    def test_a_body_that_goes_on_is_a_504(self):
        w = self.wire("/up", [("Transfer-Encoding", "chunked")], "POST")
        self.tell(w, chunk(b"x" * 100))
        self.assertEqual(w.response()[0], 504)

    def test_what_has_switched_ends(self):
        w = self.wire("/app", UPGRADE)
        w.until(b"\r\n\r\n")
        self.tell(w, b"ping")
        self.gateway.wait_log("end=timeout detail=.*takes nothing")


class BackendKept(Proxied):
    workers = 1
    times = """
backend-connect-timeout = "500ms"
backend-response-timeout = "3s"
"""

    def respond(self, _request, connection):
        self.last = connection
        return response()

    def status(self, method, body=""):
        w = self.wire("/", [("Content-Length", str(len(body)))], method)
        w.send(body.encode())
        return int(w.until(b"\r\n\r\n").split()[1])

    def test_what_may_be_repeated_is_asked_on_a_new_connection(self):
        for method in ("GET", "HEAD"):
            self.assertEqual(self.status("GET"), 200)
            count = self.backend.connections
            vanish(self.last.s)
            self.assertEqual(self.status(method), 200)
            self.assertEqual(self.backend.connections, count + 1)

    def test_what_may_not_is_a_504(self):
        self.assertEqual(self.status("GET"), 200)
        vanish(self.last.s)
        self.assertEqual(self.status("POST", "once"), 504)
        self.assertEqual(len(self.backend.requests), 1)


if __name__ == "__main__":
    main()
