"""Who asks with a method that a path has not is told which ones it has."""

from backend import Backend, echo
from gateway import Gateway, Scenario, Wire, main, request_head

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS",
           "PROPFIND", "TRACE")
PUBLIC = ("/stream/a", "/healthz", "/readyz", "/spillway/",
          "/spillway/client.js", "/nowhere")
API = ("/v1/channels", "/v1/channels/a", "/v1/channels/a/events",
       "/v1/channels/a/presence", "/v1/events", "/v1/connections",
       "/v1/connections/1", "/v1/stats", "/v1/outbox", "/v1/outbox/dead",
       "/v1/outbox/dead/1", "/metrics", "/healthz", "/readyz", "/nowhere")


class Allow(Scenario):
    def setUp(self):
        self.seen = Backend(echo)
        self.addCleanup(self.seen.close)
        self.gateway = Gateway(
            f'backend = "{self.seen.url}"\nsend = publish\n')
        self.addCleanup(self.gateway.close)
        self.gateway.start()

    def ask(self, port, method, path):
        with Wire(port) as w:
            w.send(request_head(path, [("Connection", "close"),
                                       ("Content-Length", "0")], method))
            head = w.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        allow = [line.partition(":")[2] for line in head
                 if line.lower().startswith("allow:")]
        return int(head[0].split()[1]), allow

    def test_a_405_names_the_methods_that_are_no_405(self):
        g = self.gateway
        seen = 0
        for port, path in ([(g.port, p) for p in PUBLIC] +
                           [(g.api_port, p) for p in API]):
            answers = {m: self.ask(port, m, path) for m in METHODS}
            has = {m for m in METHODS if answers[m][0] != 405}
            for method, (status, allow) in answers.items():
                with self.subTest(path=path, method=method):
                    if status != 405:
                        continue
                    seen += 1
                    self.assertEqual(len(allow), 1)
                    self.assertEqual(
                        {m.strip() for m in allow[0].split(",")} - has, set())
                    self.assertNotIn(method, allow[0].split(", "))
        self.assertGreater(seen, 50)

    def test_the_proxy_does_so_for_what_it_does_not_pass_on(self):
        for method in ("TRACE", "CONNECT"):
            status, allow = self.ask(self.gateway.port, method, "/page")
            self.assertEqual((status, len(allow)), (405, 1))

    def test_the_gateway_as_such_has_methods_too(self):
        g = self.gateway
        for port, most in ((g.port, "PUT"), (g.api_port, "DELETE")):
            status, allow = self.ask(port, "OPTIONS", "*")
            self.assertEqual((status, len(allow)), (204, 1))
            self.assertTrue({"GET", "HEAD", "POST", "OPTIONS", most} <=
                            {m.strip() for m in allow[0].split(",")})
            # A path that is missing from a URI is none of a page either.
            self.assertEqual(self.ask(port, "OPTIONS", "http://test"),
                             (status, allow))
            for method in METHODS:
                if method != "OPTIONS":
                    self.assertEqual(self.ask(port, method, "*")[0], 400)
            self.assertEqual(self.ask(port, "OPTIONS", "**")[0], 400)
        self.assertEqual(self.seen.requests, [])


if __name__ == "__main__":
    main()
