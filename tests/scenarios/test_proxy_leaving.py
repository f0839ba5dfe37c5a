"""Clients that leave in the middle of what they asked the backend for."""

import re
import threading

from backend import response
from gateway import GUARD, main
from test_reverse_proxy import Proxied, asking


class Leaving(Proxied):
    more = "access-log = yes\n"

    def how_it_ended(self, path):
        """Status and end, as the access log has them."""
        line = self.front.wait_log(rf'info request .*target="{path}"')
        return re.search(r"status=(\d+) .*end=(\S+)", line).groups()

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


if __name__ == "__main__":
    main()
