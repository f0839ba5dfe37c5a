"""Connections to the backend that do not come about, and those that are kept."""

import resource
import socket
import threading

from backend import Backend, response
from gateway import GUARD, main
from test_proxy_tls import BackendWithTls
from test_reverse_proxy import Proxied, asking


class Unanswering:
    """A place that neither answers a connection nor refuses it, until told."""

    def __init__(self, address=("127.0.0.1", 0)):
        self.listener = socket.socket()
        self.listener.bind(address)
        self.listener.listen(0)
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.fill = []
        # With its queue full, the system drops what comes.
        for _ in range(4):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(self.listener.getsockname())
            self.fill.append(s)

    def answer(self, respond):
        """From now on it is a backend like any other."""
        for s in self.fill:
            s.close()
        self.listener.listen(64)
        return Backend(respond, listener=self.listener)

    def close(self):
        for s in (*self.fill, self.listener):
            s.close()


class Unreachable(Proxied):
    more = 'backend-connect-timeout = "500ms"\n'

    def get(self):
        status, _, body = self.ask("GET / HTTP/1.1\nHost: a\n")
        return status, body

    def silent(self):
        place = Unanswering()
        self.addCleanup(place.close)
        return place

    def test_another_origin_does_what_a_silent_one_does_not(self):
        b = Backend(lambda r, c: response(b"fine"))
        self.addCleanup(b.close)
        self.gate([self.silent().url, b.url])
        for _ in range(8):
            self.assertEqual(self.get(), (200, b"fine"))

    def test_one_that_is_silent_is_left_alone(self):
        self.gate([self.silent().url], 'backend-failures = 2\n'
                  'backend-fail-time = "1h"\n')
        self.assertEqual([self.get()[0] for _ in range(4)],
                         [504, 504, 503, 503])

    def test_one_that_answers_slowly_is_asked_all_the_same(self):
        free = threading.Event()
        self.addCleanup(free.set)
        self.serve(lambda r, c: free.wait(GUARD) and response(b"late"),
                   'backend-failures = 1\nbackend-fail-time = "1h"\n'
                   'backend-response-timeout = "50ms"\n')
        self.assertEqual([self.get()[0] for _ in range(3)], [504] * 3)

    def test_what_one_has_got_is_not_sent_to_another(self):
        free = threading.Event()
        self.addCleanup(free.set)

        def bad(r, c):
            if r.target == "/slow":
                free.wait(GUARD)
        one, two = Backend(bad), Backend(lambda r, c: response(b"fine"))
        self.addCleanup(one.close)
        self.addCleanup(two.close)
        # Long enough for the other one, whatever else the machine does.
        self.gate([one.url, two.url], 'backend-response-timeout = "3s"\n')
        for path, status in ("/slow", 504), ("/breaks", 502):
            found = {self.ask(f"POST {path} HTTP/1.1\nHost: a\n"
                              "Content-Length: 2\n", b"hi")[0]
                     for _ in range(2)}
            self.assertEqual(found, {status, 200})

    def test_one_that_was_silent_is_heard_again(self):
        place = self.silent()
        g = self.gate([place.url], 'backend-fail-time = "10ms"\n')
        for _ in range(3):
            self.assertIn(self.get()[0], (503, 504))
        place.answer(lambda r, c: response(b"back"))
        g.until(lambda: self.get() == (200, b"back"))
        for _ in range(8):
            self.assertEqual(self.get(), (200, b"back"))


    def test_a_chance_that_a_client_spoilt_is_not_the_last_one(self):
        place = self.silent()
        g = self.gate([place.url], 'backend-failures = 1\n'
                      'backend-fail-time = "10ms"\n')
        self.assertEqual(self.get()[0], 504)

        def respond(r, c):
            while r.method == "POST" and c.s.recv(100):
                pass
            return response(b"back") if r.method == "GET" else None

        def spoil():
            w = self.wire()
            w.send(asking("POST / HTTP/1.1\nHost: a\n"
                          "Transfer-Encoding: chunked\n",
                          b"2\r\nhi\r\nz"))
            return w.response()[0]
        self.addCleanup(place.answer(respond).close)
        g.until(lambda: spoil() == 400)
        # It is not the backend's fault.
        g.until_metric(1, "backend_requests_total", '{end="refused"}')
        g.until(lambda: self.get() == (200, b"back"))


class Lacking(Proxied):
    def test_what_we_lack_is_not_its_fault(self):
        g = self.serve(lambda r, c: response(headers="Connection: close\r\n"),
                       'backend-failures = 1\nbackend-fail-time = "1h"\n')
        w, number = self.wire(), resource.RLIMIT_NOFILE

        def status():
            w.send(asking("GET / HTTP/1.1\nHost: a\n"))
            return w.response()[0]
        self.assertEqual(status(), 200)
        limits = resource.prlimit(g.process.pid, number)
        resource.prlimit(g.process.pid, number, (8, limits[1]))
        self.assertEqual(status(), 503)
        g.wait_log("end=crowded detail=.*no descriptor")
        resource.prlimit(g.process.pid, number, limits)
        self.assertEqual(status(), 200)
        self.assertEqual(
            g.metric("limits_reached_total", '{limit="descriptors"}'), 1)


class Kept(Proxied):
    """A connection that is kept carries the responses to its requests alone."""

    def late(self, head, method="GET"):
        """A second response, when the first one is through."""
        through, sent = threading.Event(), threading.Event()
        self.addCleanup(through.set)

        def respond(r, c):
            if r.target != "/late":
                return response(b"fine")
            c.s.sendall(head)
            through.wait(GUARD)
            c.s.sendall(response(b"another client's"))
            sent.set()
            return b""
        g = self.serve(respond)
        w = self.wire()
        w.send(asking(f"{method} /late HTTP/1.1\nHost: a\n"))
        w.until(b"\r\n\r\n")
        g.until(lambda: g.metric("backend_running") == 0)
        through.set()
        self.assertTrue(sent.wait(GUARD))
        for _ in range(3):
            self.assertEqual(self.ask("GET / HTTP/1.1\nHost: a\n")[2],
                             b"fine")

    def test_what_comes_late_is_no_response(self):
        self.late(response(b"ok"))

    def test_what_comes_late_after_a_head_is_no_response(self):
        self.late(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", "HEAD")

    def test_what_comes_late_after_no_content_is_no_response(self):
        self.late(b"HTTP/1.1 204 No Content\r\n\r\n")

    def test_connections_are_used_again(self):
        self.serve(lambda r, c: response(b"fine"))
        for _ in range(10):
            self.assertEqual(self.ask("GET / HTTP/1.1\nHost: a\n")[2],
                             b"fine")
        self.assertEqual(self.backend.connections, 1)

    def test_what_speaks_an_older_version_gets_uploads_all_the_same(self):
        def old(r, c):
            c.body(r)
            return (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"
                    b"Content-Length: 3\r\n\r\nold")
        self.serve(old)
        for _ in range(3):
            self.assertEqual(self.ask("GET / HTTP/1.1\nHost: a\n")[2], b"old")
            self.assertEqual(
                self.ask("POST / HTTP/1.1\nHost: a\n"
                         "Transfer-Encoding: chunked\n",
                         b"2\r\nhi\r\n0\r\n\r\n")[2], b"old")
        self.assertEqual({r.version for r in self.backend.requests},
                         {"HTTP/1.1"})


class KeptOverHttps(BackendWithTls, Kept):
    pass


class ResponseTime(Proxied):
    """It begins with the connection, however long that might have taken."""

    more = ('backend-connect-timeout = "5m"\n'
            'backend-response-timeout = "100ms"\n')
    asks = (("GET /silent HTTP/1.1\nHost: a\n", b""),
            ("POST /silent HTTP/1.1\nHost: a\n", b""),
            ("POST /silent HTTP/1.1\nHost: a\nContent-Length: 2\n", b"hi"),
            ("POST /silent HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n",
             b"2\r\nhi\r\n0\r\n\r\n"))

    def respond(self, request, connection):
        if request.target == "/silent":
            self.free.wait(GUARD)
            return None
        return response(b"fine")

    def setUp(self):
        super().setUp()
        self.free = threading.Event()
        self.addCleanup(self.free.set)
        self.serve(self.respond)

    def get(self, path):
        return self.ask(f"GET {path} HTTP/1.1\nHost: a\n")[0]

    def test_on_a_new_connection(self):
        for head, body in self.asks:
            self.assertEqual(self.ask(head, body)[0], 504)

    def test_on_a_kept_connection(self):
        for head, body in self.asks:
            # On a machine that is busy, even this may take too long.
            self.front.until(lambda: self.get("/") == 200)
            self.assertEqual(self.ask(head, body)[0], 504)


class ResponseTimeOverHttps(BackendWithTls, ResponseTime):
    pass


class ResponseTimeOnUnixSocket(ResponseTime):
    def serve(self, respond, more="", **options):
        path = f"{self.gateway.dir}/backend"
        self.backend = Backend(respond, family=socket.AF_UNIX, address=path)
        self.addCleanup(self.backend.close)
        return self.gate([f"unix:{path}"], more)


if __name__ == "__main__":
    main()
