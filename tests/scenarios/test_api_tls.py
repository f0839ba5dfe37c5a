"""api-listen-tls: the API with TLS, and clients that have certificates."""

import json
import ssl

from certificates import authority, certificate, trusting
from gateway import Gateway, Scenario, SecurePort, Wire, free_ports, main
from post import post

TOKEN = "a-token-of-the-api"


class ApiTls(Scenario):
    def setUp(self):
        self.server = certificate()
        port, = free_ports(1)
        self.address = f'api-listen-tls = "127.0.0.1:{port}"\n'
        self.plain = port
        self.port = SecurePort(port, trusting(self.server))
        self.ca = authority("ours")
        self.client = self.ca.give("client")

    def begin(self, more=""):
        self.gateway = Gateway(self.address + more,
                               certificates=[self.server])
        self.addCleanup(self.gateway.close)
        self.gateway.start()

    def reload(self, more, times=1):
        self.gateway.configure(self.address + more)
        self.gateway.signal(1)
        self.gateway.wait_log("info configuration reloaded", times)

    def as_client(self, client):
        context = trusting(self.server)
        context.load_cert_chain(client.path, client.key)
        return SecurePort(int(self.port), context)

    def ask(self, port, host="localhost", headers=(), path="/v1/stats"):
        with Wire(port) as w:
            lines = [f"GET {path} HTTP/1.1", f"Host: {host}", *headers]
            w.send(("\r\n".join(lines) + "\r\n\r\n").encode())
            return w.response()[0]

    def is_shut_out(self, port):
        """With TLS 1.3 the alert comes after the client's last word."""
        try:
            self.ask(port)
        except (ssl.SSLError, ConnectionError, EOFError):
            return True
        return False

    def test_it_is_the_api_with_tls(self):
        self.begin()
        with Wire(self.port) as w:
            for n in range(20):  # on one connection, by both ways in
                w.send(post("/v1/channels/a/events", f'"{n}"',
                            chunked=n == 19))
                status, _, body = w.response()
                self.assertEqual(status, 201, body)
        events = self.gateway.poll("a", after="start")["events"]
        self.assertEqual([e["data"] for e in events if "data" in e],
                         [str(n) for n in range(20)])
        self.assertEqual(self.ask(self.port), 200)
        # There are no streams, and without TLS there is nothing.
        self.assertEqual(self.ask(self.port, path="/stream/a"), 404)
        with Wire(self.plain) as w:
            w.send(b"GET /v1/stats HTTP/1.1\r\nHost: a\r\n\r\n")
            status, _, body = w.response()
        self.assertEqual(status, 400)
        self.assertIn("https", json.loads(body)["detail"])

    def test_the_certificate_vouches_for_a_name(self):
        self.begin()
        self.assertEqual(self.ask(self.port, "api.example.test"), 200)
        self.assertEqual(self.ask(
            self.port, "api.example.test",
            ["Origin: https://evil.example"]), 403)

    def test_tokens_count_here_too(self):
        self.begin(f'api-token = "{TOKEN}"\n')
        self.assertEqual(self.ask(self.port), 401)
        bearer = [f"Authorization: Bearer {TOKEN}"]
        self.assertEqual(self.ask(self.port, headers=bearer), 200)

    def test_who_has_a_certificate_of_the_authority_comes_in(self):
        self.begin(f'api-client-ca = "{self.ca.path}"\n')
        stranger = authority("theirs").give("client")
        self.assertEqual(self.ask(self.as_client(self.client)), 200)
        self.assertTrue(self.is_shut_out(self.port))
        self.assertTrue(self.is_shut_out(self.as_client(stranger)))
        # Our own server's is none either; it signed itself.
        self.assertTrue(self.is_shut_out(self.as_client(self.server)))
        self.gateway.until_metric(3, "tls_handshakes_total",
                                  '{result="failed"}')
        # Clients of streams need none.
        self.assertEqual(self.gateway.poll("a")["events"], [])

    def test_with_a_token_the_client_needs_both(self):
        self.begin(f'api-client-ca = "{self.ca.path}"\n'
                   f'api-token = "{TOKEN}"\n')
        bearer = [f"Authorization: Bearer {TOKEN}"]
        client = self.as_client(self.client)
        self.assertEqual(self.ask(client), 401)
        self.assertEqual(self.ask(client, headers=bearer), 200)
        self.assertTrue(self.is_shut_out(self.port))

    def test_a_session_of_a_stream_opens_no_door(self):
        """Resuming one would leave the certificate out."""
        self.begin(f'api-client-ca = "{self.ca.path}"\n')
        context = trusting(self.server, version=ssl.TLSVersion.TLSv1_2)
        with Wire(SecurePort(int(self.gateway.secure_port), context)) as w:
            w.send(b"GET /stream/a HTTP/1.1\r\nHost: localhost\r\n\r\n")
            w.response()
            session = w.s.session
        self.assertTrue(session.has_ticket)

        class Resuming(SecurePort):
            def wrap(self, s, **options):
                return super().wrap(s, session=session, **options)
        self.assertEqual(self.ask(
            Resuming(int(self.gateway.secure_port), context),
            path="/stream/a"), 200)
        self.gateway.until_metric(1, "tls_handshakes_total",
                                  '{result="resumed"}')
        self.assertTrue(self.is_shut_out(Resuming(int(self.port), context)))

    def test_another_authority_counts_from_the_reload_on(self):
        self.begin(f'api-client-ca = "{self.ca.path}"\n')
        other = authority("other")
        client = self.as_client(self.client)
        self.assertEqual(self.ask(client), 200)
        self.reload(f'api-client-ca = "{other.path}"\n')
        self.assertTrue(self.is_shut_out(client))
        newcomer = self.as_client(other.give("client"))
        self.assertEqual(self.ask(newcomer), 200)
        self.reload(f'api-client-ca = "{other.path}"\n'
                    f'api-client-ca += "{self.ca.path}"\n', times=2)
        self.assertEqual([self.ask(client), self.ask(newcomer)], [200, 200])

    def test_others_reach_it_only_with_a_token_or_an_authority(self):
        everywhere = self.address.replace("127.0.0.1", "0.0.0.0")
        for more, starts in (("", False),
                             (f'api-client-ca = "{self.ca.path}"\n', True),
                             (f'api-token = "{TOKEN}"\n', True)):
            g = Gateway(everywhere + more, certificates=[self.server])
            self.addCleanup(g.close)
            g.start(expect_failure=not starts)
            if starts:
                g.stop()
            else:
                self.assertNotEqual(g.wait_end(), 0)
                g.wait_log("others reach")

    def test_an_authority_that_cannot_be_read(self):
        self.address += 'api-client-ca = "/nowhere.pem"\n'
        g = Gateway(self.address, certificates=[self.server])
        self.addCleanup(g.close)
        g.start(expect_failure=True)
        self.assertNotEqual(g.wait_end(), 0)
        g.wait_log('error .*api-client-ca "/nowhere.pem" has no certificates')


if __name__ == "__main__":
    main()
