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
        backend = Backend(echo)
        self.addCleanup(backend.close)
        self.gateway = Gateway(f'backend = "{backend.url}"\nsend = publish\n')
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


if __name__ == "__main__":
    main()
