"""What is not the gateway's own goes to the backend and comes back."""

import hashlib
import http
import json
import os
import socket
import ssl
import threading

from backend import Backend, echo, response
from gateway import GUARD, Gateway, Scenario, Wire, main


def asking(head, body=b""):
    return head.replace("\n", "\r\n").encode("latin-1") + b"\r\n" + body


class Proxied(Scenario):
    """A gateway in front of a backend that each test tells what to do."""

    more, env, wrap = "", None, ()

    def serve(self, respond, more="", **options):
        self.backend = Backend(respond, **options)
        self.addCleanup(self.backend.close)
        return self.gate([self.backend.url], more)

    def gate(self, urls, more=""):
        listed = ", ".join(f'"{u}"' for u in urls)
        gateway = Gateway(f"backend = {{ {listed} }}\n{self.more}{more}",
                          workers=1, env=self.env, wrap=self.wrap)
        self.addCleanup(gateway.close)
        self.front = gateway.start()
        return gateway

    def wire(self):
        w = Wire(self.front.port)
        self.addCleanup(w.close)
        return w

    def ask(self, head, body=b""):
        w = self.wire()
        w.send(asking(head, body))
        return w.response()


class Passing(Proxied):
    def test_paths_pass_as_they_are_and_our_own_stay(self):
        g = self.serve(lambda r, c: response(r.target.encode()))
        for path in ("/", "/a?b=c&d=%20", "/%2e%2e/x", "/a/../b", "/stream",
                     "/x?", "//double"):
            status, _, body = self.ask(f"GET {path} HTTP/1.1\nHost: a\n")
            self.assertEqual((status, body.decode()), (200, path))
        seen = len(self.backend.requests)
        self.assertEqual(g.get("/healthz")[0], 200)
        self.assertEqual(g.get("/stream/room")[0], 200)
        self.assertEqual(g.get("/spillway/")[0], 404)
        self.assertEqual(len(self.backend.requests), seen)

    def test_every_method_passes_with_its_body(self):
        self.serve(echo)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS",
                       "PROPFIND", "X-OWN"):
            for body in (b"", b"x" * 10, b"y" * 100_000):
                status, headers, got = self.ask(
                    f"{method} /m HTTP/1.1\nHost: a\n"
                    f"Content-Length: {len(body)}\n", body)
                self.assertEqual((status, got), (200, body))
                self.assertEqual(headers["x-method"], method)

    def test_a_host_may_be_empty(self):
        self.serve(echo)
        self.assertEqual(self.ask("GET / HTTP/1.1\nHost:\n")[0], 200)
        r = self.backend.wait(1)
        self.assertEqual(r.all("Host") + r.all("X-Forwarded-Host"), [""])
        scheme = "https" if self.front.secure_port else "http"
        self.assertEqual(r.get("Forwarded"), f"for=127.0.0.1;proto={scheme}")

    def test_chunks_that_the_library_has_read_are_one_body(self):
        self.serve(echo, "first-look = no\n")
        _, headers, body = self.ask(
            "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n",
            b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n")
        self.assertEqual((body, headers["connection"]), (b"abcdef", "close"))
        r = self.backend.wait(1)
        self.assertEqual(r.all("Content-Length"), ["6"])
        self.assertEqual(r.all("Transfer-Encoding"), [])

    def test_one_connection_carries_many_requests(self):
        self.serve(echo)
        w = self.wire()
        for n in range(20):
            body = b"%d" % n
            w.send(asking("POST /n HTTP/1.1\nHost: a\n"
                          f"Content-Length: {len(body)}\n", body))
            self.assertEqual(w.response()[2], body)
        self.assertLessEqual(self.backend.connections, 20)

    def test_pipelined_requests_are_answered_in_order(self):
        self.serve(lambda r, c: response(r.target.encode()))
        w = self.wire()
        w.send(b"".join(asking(f"GET /{n} HTTP/1.1\nHost: a\n")
                        for n in range(10)))
        self.assertEqual([w.response()[2] for _ in range(10)],
                         [b"/%d" % n for n in range(10)])

    def pipelined(self, w, before=b"", count=5000):
        """More requests than are kept, all sent before the first answer."""
        pad = "X-Pad: " + "x" * 100 + "\n"
        sent = threading.Thread(target=w.send, args=(before + b"".join(
            asking(f"GET /{n} HTTP/1.1\nHost: a\n{pad}")
            for n in range(count)),))
        sent.start()
        if before:
            self.assertEqual(w.response()[2], b"/p")
        for n in range(count):
            self.assertEqual(w.response()[2], b"/%d" % n)
        sent.join()

    @staticmethod
    def path_of(r, c):
        c.body(r)
        return response(r.target.encode())

    def test_more_requests_may_be_pipelined_than_are_kept(self):
        self.serve(self.path_of)
        self.pipelined(self.wire())

    def test_who_asks_without_reading_is_held_back(self):
        count = 2000
        head = (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nX: " +
                b"x" * 30000 + b"\r\n\r\n")
        g = self.serve(lambda r, c: head)
        w = Wire(self.front.port, receive_buffer=4096)
        self.addCleanup(w.close)
        w.send(asking("HEAD / HTTP/1.1\nHost: a\n") * count)
        seen = []

        def rests():
            seen.append(len(self.backend.requests))
            return len(seen) > 50 and seen[-50] == seen[-1] > 0
        g.until(rests)
        self.assertLess(seen[-1], count)
        for _ in range(count):
            self.assertIn(b"x" * 30000, w.until(b"\r\n\r\n"))
        self.assertEqual(len(self.backend.requests), count)

    def test_as_many_may_be_pipelined_behind_what_was_relayed(self):
        self.serve(self.path_of)
        w = self.wire()
        for path in ("/a", "/healthz"):
            w.send(asking(f"GET {path} HTTP/1.1\nHost: a\n"))
            self.assertEqual(w.response()[0], 200)
        self.pipelined(w, asking("POST /p HTTP/1.1\nHost: a\n"
                                 "Content-Length: 50000\n", bytes(50000)))

    def test_after_a_request_of_ours_the_connection_serves_the_backend(self):
        self.serve(echo)
        w = self.wire()
        for n in range(3):
            w.send(asking("GET /healthz HTTP/1.1\nHost: a\n"))
            self.assertEqual(w.response()[2], b"ok\n")
            w.send(asking("PUT /x HTTP/1.1\nHost: a\nContent-Length: 5\n",
                          b"hello"))
            self.assertEqual(w.response()[2], b"hello")

    def test_what_browsers_do_not_escape_is_like_all_else(self):
        self.serve(lambda r, c: response(
            f"{r.target} {sum(map(len, c.pieces(r)))}".encode()),
            "message-max = 64k\nbatch-max = 64k\n")
        target = "/a[1]?filter[x]={b|c}^`"
        w = self.wire()
        for _ in range(2):
            w.send(asking(f"POST {target} HTTP/1.1\nHost: a\n"
                          "Transfer-Encoding: chunked\n",
                          b"40000\r\n" + b"x" * 0x40000 + b"\r\n0\r\n\r\n"))
            status, _, body = w.response()
            self.assertEqual((status, body.decode()),
                             (200, f"{target} {0x40000}"))

    def test_chunks_are_read_strictly_and_passed_on(self):
        self.serve(echo)
        w = self.wire()
        w.send(asking("POST /c HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n",
                      b"5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nT: x\r\n\r\n"))
        self.assertEqual(w.response()[2], b"hello world")
        w.send(asking("GET /next HTTP/1.1\nHost: a\n"))
        self.assertEqual(w.response()[0], 200)

    def test_head_has_the_length_and_no_body(self):
        self.serve(lambda r, c: b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
                   + (b"" if r.method == "HEAD" else b"123456789"))
        w = self.wire()
        w.send(asking("HEAD /h HTTP/1.1\nHost: a\n"))
        self.assertIn(b"\r\nContent-Length: 9\r\n", w.until(b"\r\n\r\n"))
        w.send(asking("GET /h HTTP/1.1\nHost: a\n"))
        self.assertEqual(w.response()[2], b"123456789")

    def test_what_cannot_have_a_body_has_none(self):
        heads = {"/a": "304 Not Modified\r\nContent-Length: 9",
                 "/b": "304 Not Modified\r\nETag: \"x\"",
                 "/c": "204 No Content\r\nX: y"}
        self.serve(lambda r, c: f"HTTP/1.1 {heads[r.target]}\r\n\r\n".encode()
                   if r.target in heads else response(b"next"))
        w = self.wire()
        for path in heads:
            w.send(asking(f"GET {path} HTTP/1.1\nHost: a\n"))
            head = w.until(b"\r\n\r\n")
            # A length is that of what a GET without conditions would have.
            self.assertEqual(b"\r\nContent-Length: 9\r\n" in head,
                             path == "/a")
            self.assertNotIn(b"Transfer-Encoding", head)
            w.send(asking("GET /next HTTP/1.1\nHost: a\n"))
            self.assertEqual(w.response()[2], b"next")

    def test_ranges_and_statuses_pass(self):
        self.serve(lambda r, c: response(
            b"bc", "206 Partial Content", "Content-Range: bytes 1-2/9\r\n"))
        status, headers, body = self.ask(
            "GET /r HTTP/1.1\nHost: a\nRange: bytes=1-2\n")
        self.assertEqual((status, headers["content-range"], body),
                         (206, "bytes 1-2/9", b"bc"))
        self.assertEqual(self.backend.requests[0].get("Range"), "bytes=1-2")

    def test_every_status_has_its_reason(self):
        self.serve(lambda r, c: response(b"", f"{r.target[1:]} Whatever"))
        w = self.wire()
        for status in http.HTTPStatus:
            # Of these there is no body to take the next response from, and
            # of a teapot there is nothing in the registry.
            if status < 200 or status in (204, 304, 418):
                continue
            w.send(asking(f"GET /{int(status)} HTTP/1.1\nHost: a\n"))
            line = w.until(b"\r\n").decode().rstrip().split(" ", 2)
            self.assertEqual(line[1], str(int(status)))
            self.assertNotIn(line[2], ("", "Unknown"), status)
            w.until(b"\r\n\r\n")

    def test_a_body_without_a_length_goes_out_in_chunks(self):
        def closing(r, c):
            c.s.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc")
        self.serve(closing)
        w = self.wire()
        w.send(asking("GET / HTTP/1.1\nHost: a\n"))
        self.assertIn(b"Transfer-Encoding: chunked", w.until(b"\r\n\r\n"))
        self.assertEqual(w.until(b"0\r\n\r\n"), b"3\r\nabc\r\n0\r\n\r\n")
        w.send(asking("GET / HTTP/1.0\nHost: a\n"))
        old = w.rest()
        self.assertNotIn(b"Transfer-Encoding", old)
        self.assertTrue(old.endswith(b"\r\n\r\nabc"), old)

    def test_who_expects_is_told_to_continue(self):
        self.serve(echo)
        w = self.wire()
        w.send(asking("POST /e HTTP/1.1\nHost: a\nContent-Length: 2\n"
                      "Expect: 100-continue\n"))
        self.assertEqual(w.until(b"\r\n\r\n"),
                         b"HTTP/1.1 100 Continue\r\n\r\n")
        w.send(b"ok")
        self.assertEqual(w.response()[2], b"ok")
        self.assertIsNone(self.backend.requests[0].get("Expect"))

    def test_who_has_an_answer_need_not_send_the_rest(self):
        free = threading.Event()
        self.addCleanup(free.set)

        def early(r, c):
            if r.target == "/late":
                return response(c.body(r))
            status = r.target[1:]
            c.s.sendall(f"HTTP/1.1 {status} x\r\nContent-Length: 6\r\n\r\n"
                        "abc".encode())
            free.wait(GUARD)
            c.s.sendall(b"def")
            while c.s.recv(100):
                pass
        self.serve(early, 'request-timeout = "1s"\n')

        def post(path):
            w = self.wire()
            w.send(asking(f"POST {path} HTTP/1.1\nHost: a\n"
                          "Content-Length: 10\n", b"hello"))
            return w
        wires = [post("/200"), post("/413")]
        for w in wires:
            w.until(b"abc")
        # Who came later, and has no answer, runs out of time.
        self.assertEqual(post("/late").response()[0], 408)
        free.set()
        for w in wires:
            self.assertEqual(w.exactly(3), b"def")

    def test_interim_responses_are_not_the_response(self):
        self.serve(lambda r, c: b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                   * 5 + response(b"real"))
        _, headers, body = self.ask("GET / HTTP/1.1\nHost: a\n")
        self.assertEqual(body, b"real")
        # Nor are their headers its headers.
        self.assertEqual(sorted(headers), ["content-length", "date", "via"])

    def test_a_status_needs_no_words(self):
        self.serve(lambda r, c: f"HTTP/1.1 {r.target[1:]}\r\nX-First: 1\r\n"
                   "Content-Length: 2\r\nX-Last: 2\r\n\r\nok".encode())
        for status in 200, 599:
            got, headers, body = self.ask(
                f"GET /{status} HTTP/1.1\nHost: a\n")
            self.assertEqual((got, body), (status, b"ok"))
            self.assertEqual((headers["x-first"], headers["x-last"]),
                             ("1", "2"))

    def test_a_client_that_leaves_ends_the_request(self):
        held = threading.Event()

        def silent(r, c):
            if not c.s.recv(1):
                held.set()
        g = self.serve(silent)
        w = self.wire()
        w.send(asking("GET / HTTP/1.1\nHost: a\n"))
        self.backend.wait(1)
        w.close()
        self.assertTrue(held.wait(60))
        g.until(lambda: g.metric("proxied_requests") == 0)


class Heads(Proxied):
    def seen(self, headers, more=""):
        self.serve(lambda r, c: response(), more)
        self.assertEqual(self.ask("GET / HTTP/1.1\nHost: shop.example\n"
                                  + headers)[0], 200)
        return self.backend.wait(1)

    def test_what_is_for_one_hop_ends_here(self):
        gone = {"Connection": "keep-alive, X-Mine", "X-Mine": "1",
                "Keep-Alive": "5", "Proxy-Connection": "keep-alive",
                "Proxy-Authorization": "Basic x", "TE": "trailers",
                "Trailer": "X", "Upgrade": "h2c", "HTTP2-Settings": "AA",
                "X_Forwarded_For": "6.6.6.6", "Content_Length": "5"}
        r = self.seen("".join(f"{n}: {v}\n" for n, v in gone.items()))
        for name in gone:
            self.assertEqual(r.all(name), [], name)

    def test_what_is_for_the_backend_passes(self):
        kept = {"Cookie": "a=b; c=d", "Authorization": "Bearer x",
                "User-Agent": "test", "Accept": "text/*",
                "If-None-Match": '"x"', "X-Empty": "", "Referer": "http://x/",
                "Accept-Encoding": "br"}
        r = self.seen("".join(f"{n}: {v}\n" for n, v in kept.items()) +
                      "X-Twice: 1\nX-Twice: 2\n")
        for name, value in kept.items():
            self.assertEqual(r.all(name), [value], name)
        self.assertEqual(r.all("X-Twice"), ["1", "2"])
        self.assertEqual(r.all("Host"), ["shop.example"])

    def test_nothing_is_made_up(self):
        r = self.seen("")
        self.assertEqual(sorted(n.lower() for n, _ in r.headers),
                         ["forwarded", "host", "via", "x-forwarded-for",
                          "x-forwarded-host", "x-forwarded-proto"])

    def test_host_cannot_be_taken_away(self):
        self.assertEqual(self.seen("Connection: Host\n").all("Host"),
                         ["shop.example"])

    spoofed = ("X-Forwarded-For: 6.6.6.6\nForwarded: for=6.6.6.6\n"
               "X-Forwarded-Proto: https\nX-Real-IP: 6.6.6.6\n"
               "X-Forwarded-Host: evil\nVia: 1.0 first\n")

    def test_where_it_comes_from_is_told_by_us(self):
        r = self.seen(self.spoofed)
        self.assertEqual(r.get("X-Forwarded-For"), "127.0.0.1")
        scheme = "https" if self.front.secure_port else "http"
        self.assertEqual(r.get("X-Forwarded-Proto"), scheme)
        self.assertEqual(r.get("X-Forwarded-Host"), "shop.example")
        self.assertEqual(r.get("Forwarded"), f"for=127.0.0.1;proto={scheme}"
                         ';host="shop.example"')
        self.assertEqual(r.all("X-Real-IP"), [])
        self.assertEqual(r.get("Via"), "1.0 first, 1.1 spillway")

    def test_a_trusted_hop_is_added_to(self):
        r = self.seen(self.spoofed, "trusted-proxy = { 10.0.0.0/8, 127.0.0.0/8 }\n")
        self.assertEqual(r.get("X-Forwarded-For"), "6.6.6.6, 127.0.0.1")
        self.assertEqual(r.get("X-Forwarded-Proto"), "https")
        self.assertTrue(r.get("Forwarded").startswith("for=6.6.6.6, for="))

    def test_what_a_trusted_hop_says_cannot_be_taken_away(self):
        r = self.seen(self.spoofed + "Connection: close, X-Forwarded-Proto, "
                      "X-Forwarded-Host, X-Real-IP, Forwarded\n",
                      "trusted-proxy = 127.0.0.0/8\n")
        self.assertEqual(
            [r.get(f"X-{n}") for n in ("Forwarded-Proto", "Forwarded-Host",
                                       "Real-IP")],
            ["https", "evil", "6.6.6.6"])
        self.assertTrue(r.get("Forwarded").startswith("for=6.6.6.6, for="))

    def test_who_is_outside_of_the_network_is_not_trusted(self):
        r = self.seen(self.spoofed, 'trusted-proxy = { 127.0.0.2, "::1" }\n')
        self.assertEqual(r.get("X-Forwarded-For"), "127.0.0.1")
        self.assertEqual(r.get("X-Forwarded-Host"), "shop.example")

    def test_the_responses_hop_ends_here_too(self):
        self.serve(lambda r, c: response(headers=(
            "Connection: X-Inner\r\nX-Inner: 1\r\nKeep-Alive: 5\r\n"
            "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nETag: \"x\"\r\n")))
        w = self.wire()
        w.send(asking("GET / HTTP/1.1\nHost: a\n"))
        head = w.until(b"\r\n\r\n").decode()
        for gone in ("X-Inner", "Keep-Alive", "Connection"):
            self.assertNotIn(gone, head)
        self.assertEqual(head.count("Set-Cookie"), 2)
        self.assertIn("Via: 1.1 spillway", head)

    def test_via_says_in_which_version_it_came(self):
        self.serve(lambda r, c: response().replace(
            b"HTTP/1.1", r.target[1:].replace("-", "/").encode()))
        for asked in ("1.0", "1.1"):
            for answered in ("1.0", "1.1"):
                w = self.wire()
                w.send(asking(f"GET /HTTP-{answered} HTTP/{asked}\n"
                              "Host: a\nVia: 1.1 inner\n"))
                self.assertIn(f"\r\nVia: {answered} spillway\r\n",
                              w.until(b"\r\n\r\n").decode())
                self.assertEqual(self.backend.requests[-1].get("Via"),
                                 f"1.1 inner, {asked} spillway")


AMBIGUOUS = [
    "Content-Length: 5\nContent-Length: 6\n",
    "Content-Length: 5\nContent-Length: 5\n",
    "Content-Length: 5, 5\n", "Content-Length: +5\n", "Content-Length: -1\n",
    "Content-Length: 0x5\n", "Content-Length: 5 5\n", "Content-Length: \n",
    "Content-Length: 99999999999999999999\n", "Content-Length : 5\n",
    "Content-Length: 5\nTransfer-Encoding: chunked\n",
    "Transfer-Encoding: chunked\nContent-Length: 5\n",
    "Transfer-Encoding: chunked, chunked\n", "Transfer-Encoding: gzip\n",
    "Transfer-Encoding: gzip, chunked\n", "Transfer-Encoding: identity\n",
    "Transfer-Encoding: xchunked\n", "Transfer-Encoding: chunked;x=1\n",
    "Transfer-Encoding: \"chunked\"\n", "Transfer-Encoding: \n",
    "Transfer-Encoding : chunked\n", "Transfer-Encoding: \x0bchunked\n",
    "Transfer-Encoding: chunked\nTransfer-Encoding: chunked\n",
    "Transfer-Encoding: chunked\nTransfer-Encoding: identity\n",
    " Transfer-Encoding: chunked\n", "X: a\n Transfer-Encoding: chunked\n",
    "X: a\n\tb\n", "X\x00: a\n", "X: a\x00b\n", "X: a\rb\n", "X: \x01\n",
    "X Y: a\n", "X: a\x7f\n", ": a\n", "no colon\n", "X(: a\n", "\"X\": a\n",
    "Host: b\n", "Host: a, b\n", "Expect: 200-ok\n",
]
LINES = [
    "GET  / HTTP/1.1", "GET / HTTP/1.1 ", "GET /\tx HTTP/1.1",
    "GET / HTTP/1.2", "GET / HTTP/2.0", "GET / http/1.1", "GET /",
    "GET / HTTP/1.1\rX: y", "GET /\x00 HTTP/1.1", "GET /\xe4 HTTP/1.1",
    "GET /a b HTTP/1.1", "GET * HTTP/1.1", "GET a HTTP/1.1", "G(T / HTTP/1.1",
    "CONNECT a:80 HTTP/1.1", "GET http://b/ HTTP/1.1",
    "GET /#x HTTP/1.1", "GET /\" HTTP/1.1", "GET /\\ HTTP/1.1",
]
CHUNKS = [
    b"5 \r\nhello\r\n0\r\n\r\n", b" 5\r\nhello\r\n0\r\n\r\n",
    b"0x5\r\nhello\r\n0\r\n\r\n", b"+5\r\nhello\r\n0\r\n\r\n",
    b"-5\r\nhello\r\n0\r\n\r\n", b"5\nhello\n0\n\n", b"\r\n5\r\nhello\r\n",
    b"5\r\nhelloX\r\n0\r\n\r\n", b"5\r\nhello0\r\n\r\n", b"g\r\n",
    b"fffffffffffffffff\r\n", b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    b"5\rhello\r\n0\r\n\r\n", b"5\r\nhello\r0\r\n\r\n",
    b"5;" + b"x" * 9000 + b"\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhello\r\n0\r\n" + b"T: x\r\n" * 3000 + b"\r\n",
    b"5\r\nhello\r\n0\r\nA\x00: b\r\n\r\n", b"5\r\nhello\r\n0\r\n\rX",
]


class Smuggling(Proxied):
    """Whatever can be read in two ways never reaches the backend whole."""

    def refused(self, data):
        w = self.wire()
        w.send(data + asking("GET /smuggled HTTP/1.1\nHost: a\n"))
        self.assertRegex(w.until(b"\r\n"), rb"^HTTP/1.1 4\d\d |^HTTP/1.1 5")
        w.rest()

    def test_ambiguous_heads_are_refused(self):
        self.serve(echo)
        for bad in AMBIGUOUS:
            with self.subTest(bad):
                self.refused(asking("POST /p HTTP/1.1\nHost: a\n" + bad,
                                    b"hello"))
        for bad in LINES:
            with self.subTest(bad):
                self.refused(asking(bad + "\nHost: a\n"))
        self.refused(asking("GET / HTTP/1.1\n"))
        self.refused(b"GET / HTTP/1.1\nHost: a\n\n")
        self.assertEqual(self.backend.requests, [])

    def test_malformed_chunks_end_the_connection(self):
        whole = []

        def record(r, c):
            whole.append(c.body(r))
            return response()
        self.serve(record)
        for bad in CHUNKS:
            with self.subTest(bad[:20]):
                self.refused(asking("POST /c HTTP/1.1\nHost: a\n"
                                    "Transfer-Encoding: chunked\n", bad))
        self.assertEqual(whole, [])
        self.assertNotIn("/smuggled",
                         [r.target for r in self.backend.requests])


BROKEN = {
    "no http": b"SSH-2.0-x\r\n\r\n",
    "closed at once": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
                   b"Content-Length: 2\r\n\r\nab",
    "both framings": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "odd coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx",
    "odd length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "folded": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
    "nul": b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
    "control": b"HTTP/1.1 200 OK\r\nX: a\x01b\r\n\r\n",
    "blank before colon": b"HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
    "no colon": b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n",
    "status": b"HTTP/1.1 99 Odd\r\n\r\n",
    "switches": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "endless head": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20000,
    "endless line": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200000,
    "interim flood": b"HTTP/1.1 100 Continue\r\n\r\n" * 20000,
}
CUT = {
    "short body": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
    "cut chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                 b"5\r\nab",
    "no last chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                     b"3\r\nabc\r\n",
    "bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                 b"3\r\nabc\r\nzz\r\n",
}


class Misbehaving(Proxied):
    def respond(self, request, connection):
        name = request.target[1:].replace("%20", " ")
        if name == "fine":
            return response(b"fine")
        connection.s.sendall({**BROKEN, **CUT}[name])
        return None

    def test_a_broken_head_is_a_502_and_the_next_request_is_fine(self):
        self.serve(self.respond)
        w = self.wire()
        for name in BROKEN:
            with self.subTest(name):
                w.send(asking(f"GET /{name.replace(' ', '%20')} HTTP/1.1\n"
                              "Host: a\n"))
                status, headers, body = w.response()
                self.assertEqual(status, 502)
                self.assertEqual(headers["content-type"],
                                 "application/problem+json")
                self.assertEqual(json.loads(body)["status"], 502)
                w.send(asking("GET /fine HTTP/1.1\nHost: a\n"))
                self.assertEqual(w.response()[2], b"fine")

    def test_a_body_that_breaks_off_is_seen_to(self):
        self.serve(self.respond)
        for name in CUT:
            with self.subTest(name):
                w = self.wire()
                w.send(asking(f"GET /{name.replace(' ', '%20')} HTTP/1.1\n"
                              "Host: a\n"))
                head = w.until(b"\r\n\r\n")
                rest = w.rest()
                self.assertFalse(rest.endswith(b"0\r\n\r\n"), rest)
                if b"Content-Length: 10" in head:
                    self.assertLess(len(rest), 10)
        self.assertEqual(self.ask("GET /fine HTTP/1.1\nHost: a\n")[2], b"fine")

    def test_an_end_is_not_taken_for_the_whole(self):
        # What HTTP/1.0 is given ends with the connection.
        self.serve(self.respond)
        w = self.wire()
        w.send(asking("GET /no%20last%20chunk HTTP/1.0\nHost: a\n"))
        w.until(b"abc")
        if isinstance(w.s, ssl.SSLSocket):
            w.s.suppress_ragged_eofs = False
        with self.assertRaises((ConnectionResetError, ssl.SSLEOFError)):
            w.more()

    def test_what_follows_a_response_is_not_the_next_one(self):
        evil = response(b"evil")
        self.serve(lambda r, c: response(b"ok") + evil
                   if r.method != "HEAD" else
                   b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + evil)
        for method in ("HEAD", "GET", "GET", "HEAD", "GET"):
            w = self.wire()
            w.send(asking(f"{method} / HTTP/1.1\nHost: a\n"))
            if method == "HEAD":
                w.until(b"\r\n\r\n")
            else:
                self.assertEqual(w.response()[2], b"ok")

    def test_a_slow_first_byte_is_a_504(self):
        done = threading.Event()
        self.addCleanup(done.set)
        self.serve(lambda r, c: done.wait(60) and None,
                   'backend-response-timeout = "50ms"\n')
        self.assertEqual(self.ask("GET / HTTP/1.1\nHost: a\n")[0], 504)
        self.assertEqual(self.front.metric("backend_requests_total",
                                           '{end="timeout"}'), 1)


class Places(Proxied):
    def test_a_backend_that_is_down_is_a_502_and_comes_back(self):
        probe = socket.socket()
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        g = self.gate([f"http://127.0.0.1:{port}"],
                      'backend-fail-time = "10ms"\n')
        for expected in (502, 502, 502):
            self.assertEqual(self.ask("GET / HTTP/1.1\nHost: a\n")[0],
                             expected)
        b = Backend(echo, address=("127.0.0.1", port))
        self.addCleanup(b.close)
        g.until(lambda: self.ask("GET / HTTP/1.1\nHost: a\n")[0] == 200)

    def test_the_end_of_a_response_is_no_sign_of_life(self):
        leave = threading.Event()
        self.addCleanup(leave.set)

        def begin(r, c):
            c.s.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc")
            leave.wait(GUARD)
        g = self.serve(begin, 'backend-failures = 1\n'
                       'backend-fail-time = "1h"\n')
        w = self.wire()
        w.send(asking("GET / HTTP/1.1\nHost: a\n"))
        w.until(b"abc")
        self.backend.stop()
        for expected in (502, 503):
            self.assertEqual(self.ask("GET / HTTP/1.1\nHost: a\n")[0],
                             expected)
        leave.set()
        w.until(b"0\r\n\r\n")
        self.assertEqual(self.ask("GET / HTTP/1.1\nHost: a\n")[0], 503)
        self.assertFalse([l for l in g.lines if "backend is back" in l])

    def test_another_origin_does_what_one_cannot(self):
        probe = socket.socket()
        probe.bind(("127.0.0.1", 0))
        self.addCleanup(probe.close)
        b = Backend(echo)
        self.addCleanup(b.close)
        self.gate([f"http://127.0.0.1:{probe.getsockname()[1]}", b.url])
        for _ in range(8):
            self.assertEqual(self.ask("POST / HTTP/1.1\nHost: a\n"
                                      "Content-Length: 2\n", b"hi")[2], b"hi")

    def test_another_one_is_really_another_one(self):
        probes = [socket.socket() for _ in range(2)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
            self.addCleanup(probe.close)
        b = Backend(echo)
        self.addCleanup(b.close)
        self.gate([f"http://127.0.0.1:{p.getsockname()[1]} weight=100"
                   for p in probes] + [b.url])
        for _ in range(8):
            self.assertEqual(self.ask("GET / HTTP/1.1\nHost: a\n")[0], 200)

    def test_weights_are_shares(self):
        one, two = Backend(echo), Backend(echo)
        self.addCleanup(one.close)
        self.addCleanup(two.close)
        self.gate([one.url + " weight=3", two.url])
        for _ in range(20):
            self.ask("GET / HTTP/1.1\nHost: a\n")
        self.assertEqual((len(one.requests), len(two.requests)), (15, 5))

    def test_a_unix_socket(self):
        path = f"/tmp/spillway-backend-{os.getpid()}"
        b = Backend(echo, family=socket.AF_UNIX, address=path)
        self.addCleanup(os.unlink, path)
        self.addCleanup(b.close)
        self.gate([f"unix:{path}"])
        self.assertEqual(self.ask("POST / HTTP/1.1\nHost: a\n"
                                  "Content-Length: 2\n", b"hi")[2], b"hi")

    def test_too_many_at_a_time_are_told_so(self):
        free = threading.Event()
        self.addCleanup(free.set)
        self.serve(lambda r, c: free.wait(60) and response(),
                   "backend-requests-max = 1\nbackend-queue-max = 1\n")
        wires = []
        for n in range(2):
            wires.append(self.wire())
            wires[n].send(asking(f"GET /{n} HTTP/1.1\nHost: a\n"))
            self.backend.wait(1)
            self.front.until(lambda: self.front.metric("backend_running") +
                             self.front.metric("backend_waiting") == n + 1)
        status, headers, _ = self.ask("GET /3 HTTP/1.1\nHost: a\n")
        self.assertEqual((status, headers["retry-after"]), (503, "1"))
        free.set()
        self.assertEqual([w.response()[0] for w in wires], [200, 200])


class Large(Proxied):
    """Bodies much larger than the memory that they pass through."""

    SIZE = 256 << 20
    # What is free again is no use of memory, but AddressSanitizer keeps it.
    env = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") +
           ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64"}
    BLOCK = bytes(range(256)) * 256

    def grown(self, before):
        grown = self.front.memory() - before
        self.assertLess(grown, 48 << 20)

    def test_a_large_upload_streams(self):
        def count(r, c):
            return response(b"%d" % sum(len(p) for p in c.pieces(r)))
        self.serve(count)
        before = self.front.memory()
        w = self.wire()
        w.send(asking("POST / HTTP/1.1\nHost: a\n"
                      f"Content-Length: {self.SIZE}\n"))
        for _ in range(self.SIZE // len(self.BLOCK)):
            w.send(self.BLOCK)
        self.assertEqual(w.response()[2], b"%d" % self.SIZE)
        self.grown(before)

    def test_a_large_download_waits_for_a_slow_client(self):
        def flood(r, c):
            c.s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" %
                        self.SIZE)
            for _ in range(self.SIZE // len(self.BLOCK)):
                c.s.sendall(self.BLOCK)
        self.serve(flood)
        before = self.front.memory()
        w = self.wire()
        w.send(asking("GET / HTTP/1.1\nHost: a\n"))
        w.until(b"\r\n\r\n")
        digest, left = hashlib.sha256(w.data), self.SIZE - len(w.data)
        while left > 0:
            piece = w.s.recv(1 << 20)
            self.assertTrue(piece)
            digest.update(piece)
            left -= len(piece)
        wanted = hashlib.sha256()
        for _ in range(self.SIZE // len(self.BLOCK)):
            wanted.update(self.BLOCK)
        self.assertEqual(digest.digest(), wanted.digest())
        self.grown(before)


if __name__ == "__main__":
    main()
