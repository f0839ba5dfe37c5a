"""redirect-listen: whoever comes with http is sent to https."""

from backend import Backend, echo
from gateway import Gateway, Scenario, Wire, free_ports, main
from certificates import certificate

GET = "GET {} HTTP/1.1\r\nHost: {}\r\n\r\n"


class Redirect(Scenario):
    def setUp(self):
        self.port, = free_ports(1)
        self.backend = Backend(echo)
        self.addCleanup(self.backend.close)

    def begin(self, more=""):
        self.gateway = Gateway(
            f'redirect-listen = "127.0.0.1:{self.port}"\n' + more,
            certificates=[certificate()])
        self.addCleanup(self.gateway.close)
        self.gateway.start()

    def ask(self, text):
        with Wire(self.port) as w:
            w.send(text.encode())
            return w.response()

    def place(self, path="/", host="example.org", status=301):
        got, headers, _ = self.ask(GET.format(path, host))
        self.assertEqual(got, status)
        return headers.get("location")

    def test_the_same_with_https(self):
        self.begin()
        there = f"https://example.org:{int(self.gateway.secure_port)}"
        for path in ("/", "/stream/a?after=start&x=%20", "/healthz",
                     "/readyz", "/spillway", "/v1/stats", "/a//b/../%2F?",
                     "/?", "/" + "long" * 300):
            self.assertEqual(self.place(path), there + path)
        self.assertEqual(self.place(host="example.org:80"), there + "/")
        self.assertEqual(self.place("/a", "[2001:db8::1]:80"),
                         there.replace("example.org", "[2001:db8::1]") + "/a")

    def test_a_method_with_a_body_stays_what_it_is(self):
        self.begin()
        status, headers, _ = self.ask(
            "POST /stream/a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"
            "{}")
        self.assertEqual(status, 308)
        self.assertTrue(headers["location"].endswith("/stream/a"))
        # Nothing was done with it.
        self.assertEqual(self.gateway.poll("a", after="start")["events"], [])
        self.assertEqual(self.ask("HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n")[0],
                         301)

    def test_the_port_may_be_that_of_somebody_in_front(self):
        self.begin("redirect-port = 443\n")
        self.assertEqual(self.place("/x"), "https://example.org/x")
        self.gateway.configure(
            f'redirect-listen = "127.0.0.1:{self.port}"\n'
            "redirect-port = 8444\n")
        self.gateway.signal(1)
        self.gateway.wait_log("info configuration reloaded")
        self.assertEqual(self.place("/x"), "https://example.org:8444/x")

    def test_who_names_no_host_is_sent_nowhere(self):
        self.begin()
        for head in ("GET / HTTP/1.0\r\n\r\n",
                     "GET / HTTP/1.1\r\nHost:\r\n\r\n",
                     "GET / HTTP/1.1\r\nHost: :80\r\n\r\n",
                     "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
                     "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
                     "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
                     "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"):
            status, headers, _ = self.ask(head)
            self.assertEqual(status, 400, head)
            self.assertNotIn("location", headers)

    def test_a_backend_answers_who_gives_certificates(self):
        self.begin(f'backend = "http://127.0.0.1:{self.backend.port}"\n')
        path = "/.well-known/acme-challenge/token"
        status, _, _ = self.ask(GET.format(path, "example.org"))
        self.assertEqual(status, 200)
        self.assertEqual([r.target for r in self.backend.requests], [path])
        self.assertTrue(self.place("/.well-known/other"))
        self.assertEqual(len(self.backend.requests), 1)

    def test_a_challenge_is_no_way_around_to_other_paths(self):
        self.begin(f'backend = "http://127.0.0.1:{self.backend.port}"\n')
        for rest in ("", "../../admin", "%2e%2e/x", "a/b", "a/../../b", "a.b",
                     "a%2fb", "a//"):
            path = "/.well-known/acme-challenge/" + rest
            status, headers, _ = self.ask(GET.format(path, "example.org"))
            self.assertIn(status, (301, 308, 400), path)
            self.assertEqual("location" in headers, status != 400, path)
        self.assertEqual(self.backend.requests, [])

    def test_without_a_backend_they_are_sent_on_as_well(self):
        self.begin()
        path = "/.well-known/acme-challenge/token"
        self.assertTrue(self.place(path).endswith(path))


if __name__ == "__main__":
    main()
