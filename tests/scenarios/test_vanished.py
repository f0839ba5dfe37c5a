"""Clients that are gone without a word: no FIN, no reset, no acknowledgement."""

import ctypes
import socket
import struct
import threading

from backend import Backend
from gateway import GUARD, STREAMS, Scenario, Wire, main, request_head

SO_ATTACH_FILTER = 26
RETURN = 0x06  # of a packet so many bytes, says BPF
LONG = '{transport="long"}'


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


class Proxied(Scenario):
    def setUp(self):
        self.ended = threading.Event()

        def respond(_request, connection):
            connection.s.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain"
                                 b"\r\n\r\nfirst")
            if not connection.more():
                self.ended.set()
        self.backend = Backend(respond)
        self.addCleanup(self.backend.close)
        self.conf = f"""
backend = "{self.backend.url}"
backend-idle-timeout = "10m"
tcp-keepalive = "1s"
"""
        super().setUp()

    def test_a_response_that_pauses_ends(self):
        with Wire(self.gateway.port) as w:
            w.send(request_head("/slow"))
            w.until(b"first")
            vanish(w.s)
            self.assertTrue(self.ended.wait(GUARD))


if __name__ == "__main__":
    main()
