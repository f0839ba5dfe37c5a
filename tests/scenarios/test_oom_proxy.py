"""Memory runs out while requests pass: some fail, and none after it is back."""

from backend import Backend, response
from gateway import Wire, main
from test_oom import OutOfMemory
from test_reverse_proxy import asking

# What a client may be told when memory is short; 504: it was forgotten.
FAILED = (502, 503, 504)


class Passing(OutOfMemory):
    def setUp(self):
        self.backend = Backend(self.answer)
        self.addCleanup(self.backend.close)
        self.conf = (f'backend = "{self.backend.url}"\n'
                     "backend-failures = 1000\n"
                     'backend-response-timeout = "200ms"\n'
                     f'route "/own/*" {{ backend = "{self.backend.url}"\n'
                     "backend-failures = 1000 strip-prefix = yes\n"
                     'request-header = { "X-Team: a", "Cookie:" } }\n' +
                     self.conf)
        super().setUp()

    @staticmethod
    def answer(r, c):
        return response(r.target.encode() + c.body(r))

    def again(self, method, body):
        with Wire(self.gateway.port) as w:
            w.send(asking(f"{method} /s HTTP/1.1\nHost: a\n"
                          f"Content-Length: {len(body)}\n", body))
            status, _, got = w.response()
            if status == 504:
                return False  # a slow machine
            self.assertEqual((status, got), (200, b"/s" + body))
            return True

    def settle(self):
        """Nothing that failed is left behind to fail others."""
        super().settle()
        for _ in range(3):
            for method, body in (("GET", b""), ("POST", b"settled")):
                self.gateway.until(lambda: self.again(method, body))

    def through(self, requests, bodies):
        """All of them at once on one connection."""
        def story():
            with Wire(self.gateway.port) as w:
                w.send(b"".join(requests))
                for body in bodies:
                    status, _, got = w.response()
                    if status == 200:
                        self.assertEqual(got, body)
                    else:
                        self.assertIn(status, FAILED)
        self.each_allocation(story)

    def test_requests_without_bodies(self):
        self.through([asking(f"GET /{n} HTTP/1.1\nHost: a\n")
                      for n in range(3)], [b"/%d" % n for n in range(3)])

    def test_requests_that_take_a_route(self):
        self.through([asking(f"GET /own{path} HTTP/1.1\nHost: a\n")
                      for path in ("/a%2Fb", "", "?q")],
                     [b"/a%2Fb", b"/", b"/?q"])

    def test_uploads_in_chunks(self):
        self.through([asking(f"POST /{n} HTTP/1.1\nHost: a\n"
                             "Transfer-Encoding: chunked\n",
                             b"5\r\nhello\r\n0\r\n\r\n") for n in range(3)],
                     [b"/%dhello" % n for n in range(3)])


if __name__ == "__main__":
    main()
