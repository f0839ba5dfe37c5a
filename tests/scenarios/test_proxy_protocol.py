"""Clients behind a load balancer that tells who they are."""

import socket
import struct

from backend import Backend, response
from certificates import certificate
from gateway import GUARD, Gateway, Scenario, main

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.7 192.0.2.8 50000 443\r\n"
V2 = (SIGNATURE + b"\x21\x11" + struct.pack(">H", 12) +
      bytes([192, 0, 2, 7, 192, 0, 2, 8]) + struct.pack(">HH", 50000, 443))
V2_LOCAL = SIGNATURE + b"\x20\0\0\0"
GET = b"GET /who HTTP/1.1\r\nHost: a\r\n\r\n"


class Behind(Scenario):
    """A gateway that expects a header from 127.0.0.1, with TLS and without."""

    more = ""

    def setUp(self):
        self.backend = Backend(lambda r, c: response(
            (r.get("X-Forwarded-For") or "").encode()))
        self.addCleanup(self.backend.close)
        self.gateway = Gateway(
            f'backend = "{self.backend.url}"\n'
            'proxy-protocol = "127.0.0.0/8"\n' + self.more,
            certificates=[certificate()])
        self.addCleanup(self.gateway.close)
        self.gateway.start()

    def connect(self, before, secure=False, cut=None):
        port = self.gateway.secure_port if secure else self.gateway.plain_port
        s = socket.create_connection(("127.0.0.1", int(port)), GUARD)
        self.addCleanup(s.close)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in (before[:cut], before[cut:]) if cut else (before,):
            s.sendall(piece)
        return self.gateway.secure_port.wrap(s) if secure else s

    def answer(self, s):
        data = b""
        while True:
            more = s.recv(65536)
            data += more
            head, end, body = data.partition(b"\r\n\r\n")
            if end and b"Content-Length: %d\r\n" % len(body) in head + b"\r\n":
                return int(head.split()[1]), body.decode()
            if not more:
                return None, data.decode()

    def ask(self, s):
        s.sendall(GET)
        return self.answer(s)

    def refused(self, s):
        """It ends; with a reset, as what it had sent was not read."""
        try:
            self.assertEqual(s.recv(1), b"")
        except ConnectionResetError:
            pass


class Headers(Behind):
    def test_the_client_is_who_the_header_says(self):
        for header in (V1, V2):
            for secure in (False, True):
                s = self.connect(header, secure)
                for _ in range(2):
                    self.assertEqual(self.ask(s), (200, "192.0.2.7"))
        self.gateway.until_metric(4, "proxy_headers_total", '{result="ok"}')

    def test_who_leaves_before_saying_so_is_counted(self):
        self.connect(b"").close()
        self.gateway.until_metric(1, "proxy_headers_total",
                                  '{result="left"}')

    def test_request_and_header_may_come_at_once_or_in_pieces(self):
        for header in (V1, V2):
            self.assertEqual(self.answer(self.connect(header + GET)),
                             (200, "192.0.2.7"))
            for cut in range(1, len(header), 5):
                s = self.connect(header + GET, cut=cut)
                self.assertEqual(self.answer(s), (200, "192.0.2.7"))

    def test_a_health_check_is_the_load_balancers_own(self):
        for header in (V2_LOCAL, b"PROXY UNKNOWN\r\n"):
            self.assertEqual(self.ask(self.connect(header)),
                             (200, "127.0.0.1"))

    def test_what_goes_to_the_library_has_the_address_too(self):
        s = self.connect(V1)
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(self.answer(s)[0], 200)
        self.assertEqual(self.ask(s), (200, "192.0.2.7"))

    def test_a_stream_has_the_clients_address(self):
        s = self.connect(V2)
        s.sendall(b"GET /stream/room HTTP/1.1\r\nHost: a\r\n"
                  b"Accept: text/event-stream\r\n\r\n")
        self.gateway.until(lambda: self.gateway.api(
            "GET", "/v1/connections")[1]["connections"])
        found = self.gateway.api("GET", "/v1/connections")[1]["connections"]
        self.assertEqual([c["address"] for c in found], ["192.0.2.7:50000"])

    def test_without_a_header_nobody_gets_in(self):
        for junk in (GET, b"PROXY TCP4 a b c d\r\n", b"\x16\x03\x01\x02\0",
                     SIGNATURE + b"\x31\x11\0\x0c" + bytes(12)):
            self.refused(self.connect(junk))
        self.assertEqual(self.backend.requests, [])
        self.gateway.until(lambda: self.gateway.metric(
            "proxy_headers_total", '{result="wrong"}') == 4)

    def test_a_second_header_is_no_request(self):
        s = self.connect(V1 + V1 + GET)
        self.assertEqual(self.answer(s)[0] or 400, 400)
        self.assertEqual(self.backend.requests, [])

    def test_half_a_header_is_not_waited_for(self):
        s = self.connect(V1[:20])
        s.shutdown(socket.SHUT_WR)
        self.refused(s)

    def test_the_api_has_none(self):
        self.assertEqual(self.gateway.api("GET", "/v1/channels")[0], 200)


class Slow(Behind):
    more = 'header-timeout = "100ms"\n'

    def test_a_header_has_its_time(self):
        self.refused(self.connect(V2[:13]))


class Limited(Behind):
    more = ("max-connections-per-address = 2\nlimit-loopback = yes\n"
            "header-timeout = 2m\n")

    def test_limits_are_those_of_the_client(self):
        others = [self.connect(V1.replace(b".7", b".%d" % n))
                  for n in range(10, 20)]
        for s in others:
            self.assertEqual(self.ask(s)[0], 200)
        mine = [self.connect(V1) for _ in range(2)]
        for s in mine:
            self.assertEqual(self.ask(s)[0], 200)
        self.refused(self.connect(V1))
        mine[0].close()
        self.gateway.until(lambda: self.ask_anew() == 200)

    def ask_anew(self):
        try:
            return self.ask(self.connect(V1))[0]
        except OSError:
            return None


class Elsewhere(Scenario):
    """The load balancer is another machine, and we are not."""

    conf = 'proxy-protocol = "192.0.2.0/24"\n'

    def test_nobody_else_may_say_who_they_are(self):
        s = socket.create_connection(
            ("127.0.0.1", int(self.gateway.plain_port)), GUARD)
        with s:
            s.sendall(V1 + GET)
            data = b""
            while more := s.recv(65536):
                data += more
        self.assertIn(b" 400 ", data.split(b"\r\n")[0] + b" ")
        self.assertEqual(self.gateway.get("/healthz")[0], 200)


if __name__ == "__main__":
    main()
