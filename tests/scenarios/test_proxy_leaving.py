"""Clients that leave in the middle of what they asked the backend for, or that
take their time with it."""

import re
import select
import threading

from backend import response
from gateway import GUARD, main
from test_reverse_proxy import Proxied, asking


class Watched(Proxied):
    more = "access-log = yes\n"

    def how_it_ended(self, path):
        """Status and end, as the access log has them."""
        line = self.front.wait_log(rf'info request .*target="{path}"')
        return re.search(r"status=(\d+) .*end=(\S+)", line).groups()


class Leaving(Watched):
    def test_who_leaves_while_the_request_waits_is_noticed(self):
        free, left = threading.Event(), threading.Event()
        self.addCleanup(free.set)

        def respond(r, c):
            if r.target == "/first":
                free.wait(GUARD)
                return response()
            while c.s.recv(4096):
                pass
            left.set()
            return None
        for framing, body in (("Content-Length: 3", b"abc"),
                              ("Transfer-Encoding: chunked",
                               b"3\r\nabc\r\n0\r\n\r\n")):
            free.clear()
            left.clear()
            g = self.serve(respond, "backend-requests-max = 1\n")
            first, second = self.wire(), self.wire()
            first.send(asking("GET /first HTTP/1.1\nHost: a\n"))
            self.backend.wait(1)
            second.send(asking(f"POST /second HTTP/1.1\nHost: a\n{framing}\n",
                               body))
            g.until_metric(1, "backend_waiting")
            second.close()
            # The one worker has seen its end, once it has answered this.
            self.assertEqual(g.get("/healthz")[0], 200)
            free.set()
            self.assertEqual(first.response()[0], 200)
            self.assertEqual(self.how_it_ended("/second"), ("499", "client"))
            g.until_metric(0, "proxied_requests")
            self.assertTrue(left.wait(GUARD))

    def test_a_download_that_is_left_is_not_the_backends_fault(self):
        def endless(r, c):
            c.s.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                c.s.sendall(b"x" * 65536)
        g = self.serve(endless)
        for path, leave in (("/closed", "close"), ("/reset", "reset")):
            w = self.wire()
            w.send(asking(f"GET {path} HTTP/1.1\nHost: a\n"))
            w.until(b"\r\n\r\n")
            getattr(w, leave)()
            self.assertEqual(self.how_it_ended(path), ("200", "client"))
        g.until_metric(0, "backend_running")

    def test_a_download_that_breaks_off_is(self):
        self.serve(lambda r, c: c.s.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"))
        w = self.wire()
        w.send(asking("GET /half HTTP/1.1\nHost: a\n"))
        w.rest()
        self.assertEqual(self.how_it_ended("/half"), ("200", "broken-off"))


class Dawdling(Watched):
    SIZE = 32 << 20
    more = 'access-log = yes\nbackend-idle-timeout = "3s"\n'

    def flood(self, r, c):
        c.s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" %
                    self.SIZE)
        for _ in range(self.SIZE >> 16):
            c.s.sendall(bytes(range(256)) * 256)

    def test_who_reads_slowly_has_it_all_in_the_end(self):
        """
        Its system still holds megabytes for it when the socket is full, and a
        part of them has to be gone before that is told to be writable.
        """
        g = self.serve(self.flood)
        w = self.wire()
        w.send(asking("GET /slow HTTP/1.1\nHost: a\n"))
        w.until(b"\r\n\r\n")
        got, pause = bytearray(w.data), threading.Event()
        # Slower than the socket gets writable, but never still.
        while (len(got) < 1 << 20 and
               not any("client reads slowly" in l for l in g.lines)):
            got += w.s.recv(4096)
            pause.wait(0.04)
        while len(got) < self.SIZE:
            piece = w.s.recv(1 << 20)
            self.assertTrue(piece, len(got))
            got += piece
        self.assertTrue(got == bytes(range(256)) * (self.SIZE >> 8))

    def test_who_reads_nothing_is_let_go_of(self):
        g = self.serve(self.flood)
        w = self.wire()
        w.send(asking("GET /still HTTP/1.1\nHost: a\n"))
        g.wait_log(r'info request .*target="/still".* end=')
        g.until_metric(0, "backend_running")

    def test_a_body_a_byte_at_a_time_is_not_waited_for(self):
        g = self.serve(lambda r, c: response(c.body(r)),
                       'request-timeout = "1s"\n')
        w = self.wire()
        w.send(asking("POST /drip HTTP/1.1\nHost: a\n"
                      "Content-Length: 100000\n"))
        while not select.select([w.s], [], [], 0.05)[0]:
            w.send(b"x")
        self.assertEqual(w.response()[0], 408)
        self.assertEqual(self.how_it_ended("/drip"), ("408", "client"))
        self.assertEqual(g.metric("limits_reached_total",
                                  '{limit="request-timeout"}'), 1)


if __name__ == "__main__":
    main()
