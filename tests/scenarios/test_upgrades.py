"""A client and the backend switch to another protocol, through the proxy."""

import base64
import hashlib
import os
import signal
import socket
import ssl
import threading
import unittest

from backend import Backend, response
from gateway import BINARY, GUARD, TEXT, WebSocket, main
from test_proxy_tls import BackendWithTls, speaking_tls
from test_reverse_proxy import Proxied, asking

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accepted(request, protocol="websocket"):
    key = (request.get("Sec-WebSocket-Key") or "").encode()
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
    return ("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
            f"Upgrade: {protocol}\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            ).encode()


def whole_frames(data):
    """Masked frames at the beginning of the data, unmasked; and the rest."""
    out = b""
    while len(data) >= 2:
        n, at = data[1] & 0x7f, 2
        if n > 125:
            width = 2 if n == 126 else 8
            n = int.from_bytes(data[2:2 + width], "big")
            at += width
        if len(data) < at + 4 + n:
            break
        mask, payload = data[at:at + 4], data[at + 4:at + 4 + n]
        plain = (int.from_bytes(payload, "big") ^ int.from_bytes(
            (mask * (n // 4 + 1))[:n], "big")).to_bytes(n, "big")
        out += bytes([data[0], data[1] & 0x7f]) + data[2:at] + plain
        data = data[at + 4 + n:]
    return out, data


def application(request, connection):
    """A WebSocket that echoes, as an application behind the proxy has it."""
    s = connection.s
    s.sendall(accepted(request))
    data = connection.data
    while True:
        frames, data = whole_frames(data)
        if frames:
            s.sendall(frames)
        more = s.recv(1 << 18)
        if not more:
            return
        data += more


UPGRADE = ("GET /app HTTP/1.1\nHost: a\nConnection: Upgrade\n"
           "Upgrade: websocket\nSec-WebSocket-Version: 13\n"
           "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\n")


class Upgrades(Proxied):
    # As in test_reverse_proxy.Large.
    env = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") +
           ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64"}

    def websocket(self, **options):
        ws = WebSocket(self.front.port, "/app", **options)
        self.addCleanup(ws.close)
        self.assertEqual(ws.status, 101)
        return ws

    def echoes(self, ws, payload, opcode):
        ws.say(payload, opcode)
        head = WebSocket.frame(opcode, payload, mask=None)
        self.assertTrue(ws.exactly(len(head)) == head)

    def switched(self):
        """A connection whose request to switch was granted."""
        w = self.wire()
        w.send(asking(UPGRADE))
        self.assertTrue(w.until(b"\r\n\r\n").startswith(
            b"HTTP/1.1 101 Switching Protocols\r\n"))
        return w

    def test_a_websocket_behind_the_proxy_echoes(self):
        g = self.serve(application)
        ws = self.websocket(protocol="chat", headers=[("Cookie", "a=b")])
        for size in (0, 1, 125, 126, 65535, 65536, 1 << 20):
            self.echoes(ws, b"x" * size, TEXT)
            self.echoes(ws, bytes(range(256)) * (size // 256), BINARY)
        r = self.backend.wait(1)
        self.assertEqual(
            [r.get(n) for n in ("Connection", "Upgrade", "Cookie",
                                "Sec-WebSocket-Protocol")],
            ["Upgrade", "websocket", "a=b", "chat"])
        self.assertEqual(r.all("Content-Length") +
                         r.all("Transfer-Encoding"), [])
        g.until_metric(1, "backend_tunnels")

    def test_a_stream_is_still_ours(self):
        g = self.serve(application)
        ws = WebSocket(self.front.port, "/stream/room")
        self.addCleanup(ws.close)
        self.assertEqual(ws.status, 101)
        g.until_metric(0, "backend_tunnels")
        self.assertEqual(self.backend.requests, [])

    def test_what_comes_with_the_head_is_not_lost(self):
        def eager(r, c):
            c.s.sendall(accepted(r) + b"from the backend")
            c.s.sendall(b"|" + c.exactly(15))
        self.serve(eager)
        w = self.wire()
        w.send(asking(UPGRADE, b"from the client"))
        w.until(b"\r\n\r\n")
        self.assertEqual(w.rest(), b"from the backend|from the client")

    def test_a_byte_is_not_too_little(self):
        def answer(r, c):
            c.s.sendall(accepted(r))
            c.s.sendall(c.exactly(1))
        self.serve(answer)
        w = self.switched()
        w.send(b"x")
        self.assertEqual(w.rest(), b"x")

    def test_nothing_is_sent_before_the_backend_has_switched(self):
        free = threading.Event()
        self.addCleanup(free.set)
        early = []

        def slow(r, c):
            early.append(c.data)
            c.s.setblocking(False)
            try:
                early.append(c.s.recv(1))
            except (BlockingIOError, ssl.SSLWantReadError):
                pass
            c.s.settimeout(GUARD)
            free.wait(GUARD)
            c.s.sendall(accepted(r))
            c.s.sendall(c.exactly(5))
        self.serve(slow)
        w = self.wire()
        w.send(asking(UPGRADE, b"early"))
        self.backend.wait(1)
        free.set()
        w.until(b"\r\n\r\n")
        self.assertEqual(w.rest(), b"early")
        self.assertEqual(early, [b""])

    def test_a_backend_that_refuses_is_heard(self):
        answers = [response(b"no", "403 Forbidden"),
                   response(b"", "302 Found", "Location: /login\r\n"),
                   response(b"x" * 100_000), response(b"", "404 Not Found"),
                   b"HTTP/1.1 426 Upgrade Required\r\nTransfer-Encoding: "
                   b"chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n"]
        self.serve(lambda r, c: answers[int(r.target[1:])])
        for n, answer in enumerate(answers):
            with self.subTest(n):
                w = self.wire()
                for _ in range(2):
                    w.send(asking(UPGRADE.replace("/app", f"/{n}")))
                    head = w.until(b"\r\n\r\n")
                    self.assertEqual(head[:12], answer[:12])
                    if n == 4:
                        self.assertEqual(w.until(b"0\r\n\r\n"),
                                         b"2\r\nno\r\n0\r\n\r\n")
                    else:
                        body = answer.partition(b"\r\n\r\n")[2]
                        self.assertEqual(w.exactly(len(body)), body)

    def test_only_what_is_allowed_is_asked_for(self):
        self.serve(lambda r, c: response())
        for text in ("Upgrade: h2c", "Upgrade: h2c\nHTTP2-Settings: AA",
                     "Upgrade: tls/1.2", "Upgrade: websocketx"):
            self.ask("GET / HTTP/1.1\nHost: a\nConnection: Upgrade, "
                     f"HTTP2-Settings\n{text}\n")
        self.ask("GET / HTTP/1.1\nHost: a\nUpgrade: websocket\n")
        self.ask("POST / HTTP/1.1\nHost: a\nContent-Length: 2\n"
                 "Connection: Upgrade\nUpgrade: websocket\n", b"ab")
        self.ask("GET / HTTP/1.1\nHost: a\nUpgrade: h2c, WebSocket\n"
                 "Connection: close, UPGRADE\n")
        seen = [(r.get("Upgrade"), r.get("Connection"))
                for r in self.backend.requests]
        self.assertEqual(seen, [(None, None)] * 6 + [("websocket", "Upgrade")])

    def test_none_is_asked_for_where_it_is_off(self):
        self.serve(lambda r, c: response(), "upgrade = off\n")
        self.assertEqual(self.ask(UPGRADE)[0], 200)
        self.assertIsNone(self.backend.requests[0].get("Upgrade"))

    def test_another_protocol_than_was_asked_for_is_a_502(self):
        heads = [b"HTTP/1.1 101 x\r\nConnection: Upgrade\r\n\r\n",
                 b"HTTP/1.1 101 x\r\nUpgrade: h2c\r\n\r\n",
                 b"HTTP/1.1 101 x\r\nUpgrade: websocket, h2c\r\n\r\n"]
        self.serve(lambda r, c: heads[int(r.target[1:])] + b"smuggled")
        for n in range(len(heads)):
            w = self.wire()
            w.send(asking(UPGRADE.replace("/app", f"/{n}")))
            self.assertEqual(w.response()[0], 502)

    def test_bytes_flow_both_ways_through_constant_memory(self):
        block, count = bytes(range(256)) * 256, 512
        digests = {}

        def receive(name, read):
            digest, left = hashlib.sha256(), len(block) * count
            while left > 0:
                piece = read(min(left, 1 << 18))
                assert piece, f"{name} breaks off with {left} to go"
                digest.update(piece)
                left -= len(piece)
            digests[name] = digest.digest()

        def both(r, c):
            c.s.sendall(accepted(r))
            t = threading.Thread(target=receive, args=("backend", c.s.recv))
            t.start()
            for _ in range(count):
                c.s.sendall(block)
            t.join()
            c.s.sendall(b"done")
        self.serve(both)
        w = self.switched()
        before = self.front.memory()
        client = threading.Thread(target=lambda: [
            w.send(block) for _ in range(count)])
        client.start()
        receive("client", w.exactly)
        client.join()
        self.assertEqual(w.rest(), b"done")
        wanted = hashlib.sha256(block * count).digest()
        self.assertEqual(digests, {"client": wanted, "backend": wanted})
        self.assertLess(self.front.memory() - before, 32 << 20)

    def test_who_does_not_read_holds_the_other_side_back(self):
        """Neither is taken more from than sockets hold."""
        def full(s):
            """Bytes until the peer's side takes nothing for good."""
            s.settimeout(1)
            total, block = 0, bytes(1 << 16)
            try:
                while total < 256 << 20:
                    total += s.send(block)
            except (TimeoutError, ssl.SSLError):
                return total
            return total
        sent, release = [], threading.Event()
        self.addCleanup(release.set)

        def silent(r, c):
            c.s.sendall(accepted(r))
            sent.append(full(c.s))
            release.wait(GUARD)
        g = self.serve(silent)
        w = self.switched()
        sent.append(full(w.s))
        g.until(lambda: len(sent) == 2)
        release.set()
        for n in sent:
            self.assertLess(n, 64 << 20)

    def test_a_client_that_leaves_is_told_to_the_backend(self):
        left = threading.Event()

        def wait(r, c):
            c.s.sendall(accepted(r))
            try:
                while c.s.recv(100):
                    pass
            finally:
                left.set()
        g = self.serve(wait)
        for leave in ("close", "reset"):
            w = self.switched()
            getattr(w, leave)()
            self.assertTrue(left.wait(GUARD))
            left.clear()
        g.until(lambda: g.metric("backend_tunnels") == 0)
        g.until_metric(0, "proxied_requests")

    def test_a_client_that_leaves_before_the_switch_is_forgotten(self):
        left = threading.Event()

        def wait(r, c):
            if not c.s.recv(1):
                left.set()
        g = self.serve(wait)
        w = self.wire()
        w.send(asking(UPGRADE))
        self.backend.wait(1)
        w.close()
        self.assertTrue(left.wait(GUARD))
        g.until(lambda: g.metric("proxied_requests") == 0)

    def test_a_backend_that_leaves_is_told_to_the_client(self):
        def leave(r, c):
            c.s.sendall(accepted(r) + b"x" * 1_000_000)
        g = self.serve(leave)
        self.assertEqual(self.switched().rest(), b"x" * 1_000_000)
        g.until(lambda: g.metric("backend_tunnels") == 0)

    def test_silence_ends_it(self):
        def wait(r, c):
            c.s.sendall(accepted(r))
            c.s.recv(1)
        g = self.serve(wait, 'upgrade-idle-timeout = "100ms"\n')
        self.assertEqual(self.switched().rest(), b"")
        g.until_metric(1, "backend_requests_total", '{end="timeout"}')

    def test_a_backend_that_does_not_answer_is_a_504(self):
        done = threading.Event()
        self.addCleanup(done.set)
        self.serve(lambda r, c: done.wait(GUARD) and None,
                   'backend-response-timeout = "50ms"\n')
        self.assertEqual(self.ask(UPGRADE)[0], 504)

    def test_tunnels_take_no_place_of_requests(self):
        g = self.serve(lambda r, c: application(r, c) if r.target == "/app"
                       else response(b"fine"), "backend-requests-max = 1\n")
        sockets = [self.websocket() for _ in range(5)]
        g.until_metric(5, "backend_tunnels")
        g.until_metric(0, "backend_running")
        self.assertEqual(self.ask("GET / HTTP/1.1\nHost: a\n")[2], b"fine")
        for ws in sockets:
            self.echoes(ws, b"still here", TEXT)

    def test_a_drain_ends_it_and_lets_a_request_finish(self):
        free = threading.Event()
        self.addCleanup(free.set)
        g = self.serve(lambda r, c: application(r, c) if r.target == "/app"
                       else free.wait(GUARD) and response(b"late"))
        with open(g.conf_path, encoding="utf-8") as f:
            text = f.read()
        with open(g.conf_path, "w", encoding="utf-8") as f:
            f.write(text.replace('drain-time = "300ms"', "drain-time = 10m"))
        g.signal(signal.SIGHUP)
        g.wait_log("info configuration reloaded")
        ws, w = self.websocket(), self.wire()
        w.send(asking("GET / HTTP/1.1\nHost: a\n"))
        self.backend.wait(2)
        g.signal(signal.SIGTERM)
        ws.rest()
        free.set()
        self.assertEqual(w.response()[::2], (200, b"late"))
        ws.close(), w.close()
        self.assertEqual(g.wait_end(), 0)

    def test_the_end_of_the_daemon_is_the_end_of_it(self):
        g = self.serve(application, 'close-timeout = "100ms"\n')
        ws = self.websocket()
        self.assertEqual(g.stop(), 0)
        ws.rest()


class OverUnix(Upgrades):
    """The same to a backend on a Unix socket."""

    def serve(self, respond, more="", **options):
        path = f"{self.gateway.dir}/backend"
        self.backend = Backend(respond, family=socket.AF_UNIX, address=path)
        self.addCleanup(self.backend.close)
        return self.gate([f"unix:{path}"], more)


class OverHttps(BackendWithTls, Upgrades):
    """The same to a backend with TLS."""


class Crowded(Proxied):
    def get(self, w):
        w.send(asking("GET / HTTP/1.1\nHost: a\n"))
        return w.response()[0]

    def switched(self, g):
        """None: there are too many."""
        try:
            ws = WebSocket(g.port, "/app")
        except (ConnectionError, EOFError):
            return None
        self.addCleanup(ws.close)
        return ws if ws.status == 101 else None

    def test_they_leave_room_for_the_rest(self):
        """Each takes three descriptors, and a large payload needs one."""
        self.wrap = ["sh", "-c", 'ulimit -n 256 && exec "$@"', "sh"]
        g = self.serve(lambda r, c: application(r, c) if r.get("Upgrade")
                       else response())
        other = self.wire()
        self.assertEqual(self.get(other), 200)
        switched = []
        while ws := self.switched(g):
            switched.append(ws)
        self.assertGreater(len(switched), 30)
        other.send(asking(UPGRADE))
        self.assertEqual(other.response()[0], 503)
        g.publish("a", "x" * 100_000)
        self.assertEqual(self.get(other), 200)
        self.assertEqual(
            g.metric("limits_reached_total", '{limit="descriptors"}'), 1)

        switched.pop().close()
        g.until(lambda: self.switched(g))


def load_tests(loader, own, pattern):
    return unittest.TestSuite(
        loader.loadTestsFromTestCase(c)
        for c in (Upgrades, OverUnix, OverHttps, speaking_tls(Upgrades),
                  Crowded))


if __name__ == "__main__":
    main()
