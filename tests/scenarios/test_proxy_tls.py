"""The reverse proxy over TLS: towards clients, and towards the backend."""

import os
import signal
import ssl
import unittest

import test_proxy_hops
import test_reverse_proxy
from backend import Backend, echo
from certificates import certificate
from gateway import Gateway, main
from test_reverse_proxy import Proxied


class OverTls:
    """The same stories, told by clients that speak TLS."""

    def setUp(self):
        Gateway.default_certificates = staticmethod(lambda: [certificate()])
        super().setUp()

    def tearDown(self):
        Gateway.default_certificates = staticmethod(list)
        super().tearDown()


def speaking_tls(c):
    return type(c.__name__ + "OverTls", (OverTls, c), {})


class BackendWithTls:
    """The same stories, with a backend that speaks TLS."""

    def serve(self, respond, more="", **options):
        c = certificate()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(c.path, c.key)
        self.backend = Backend(respond, context=context)
        self.addCleanup(self.backend.close)
        return self.gate([f"https://localhost:{self.backend.port}"],
                         f'backend-ca = "{c.path}"\n{more}')


class ToBackend(Proxied):
    """A backend with a certificate, which is verified."""

    def backend_with(self, names, version=1):
        self.certificate = certificate(names, version=version)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate.path, self.certificate.key)
        self.backend = Backend(echo, context=context)
        self.addCleanup(self.backend.close)
        return f"https://localhost:{self.backend.port}"

    def post(self):
        return self.ask("POST /p HTTP/1.1\nHost: a\nContent-Length: 5\n",
                        b"hello")

    def test_a_backend_that_is_vouched_for(self):
        url = self.backend_with("localhost")
        self.gate([url], f'backend-ca = "{self.certificate.path}"\n')
        for _ in range(3):
            status, _, body = self.post()
            self.assertEqual((status, body), (200, b"hello"))
        self.assertEqual(self.backend.requests[0].get("X-Forwarded-Proto"),
                         "http")
        self.assertEqual(self.backend.connections, 1)

    def test_a_large_body_there_and_back(self):
        url = self.backend_with("localhost")
        self.gate([url], f'backend-ca = "{self.certificate.path}"\n')
        body = bytes(range(256)) * 4096 * 8
        status, _, got = self.ask("POST /p HTTP/1.1\nHost: a\n"
                                  f"Content-Length: {len(body)}\n", body)
        self.assertEqual(status, 200)
        self.assertTrue(got == body)

    def test_a_backend_that_nobody_vouches_for(self):
        self.gate([self.backend_with("localhost")])
        self.assertEqual(self.post()[0], 502)
        self.assertEqual(self.backend.requests, [])

    def test_a_backend_that_others_vouch_for(self):
        url = self.backend_with("localhost")
        other = certificate("localhost", version=2)
        self.gate([url], f'backend-ca = "{other.path}"\n')
        self.assertEqual(self.post()[0], 502)
        self.assertEqual(self.backend.requests, [])

    def test_a_backend_of_another_name(self):
        url = self.backend_with("elsewhere.example")
        self.gate([url], f'backend-ca = "{self.certificate.path}"\n')
        self.assertEqual(self.post()[0], 502)
        self.assertEqual(self.backend.requests, [])

    def test_without_its_authorities_the_gateway_does_not_start(self):
        url = self.backend_with("localhost")
        g = Gateway()
        self.addCleanup(g.close)
        none = os.path.join(g.dir, "none.pem")
        for path, said in ((none, f"{none}: No such file or directory"),
                           (g.conf_path, f"{g.conf_path} has none")):
            g.configure(f'route "/a/*" {{\n backend = "{url}"\n'
                        f' backend-ca = "{path}"\n}}\n')
            g.start(expect_failure=True)
            self.assertNotEqual(g.wait_end(), 0)
            self.assertIn(said, "\n".join(g.lines))
            self.assertIn("write a backend-ca ", "\n".join(g.lines))

    def test_a_reload_without_its_authorities_changes_nothing(self):
        url = self.backend_with("localhost")
        g = self.gate([url], f'backend-ca = "{self.certificate.path}"\n')
        os.rename(self.certificate.path, self.certificate.path + ".away")
        g.signal(signal.SIGHUP)
        g.wait_log("the configuration has faults; the old one stays in use")
        os.rename(self.certificate.path + ".away", self.certificate.path)
        self.assertEqual(self.post()[0], 200)


def load_tests(loader, own, pattern):
    suite = unittest.TestSuite([loader.loadTestsFromTestCase(ToBackend)])
    for stories in (test_reverse_proxy, test_proxy_hops):
        for name in sorted(vars(stories)):
            c = getattr(stories, name)
            if isinstance(c, type) and c.__module__ == stories.__name__ and \
                    issubclass(c, Proxied) and loader.getTestCaseNames(c):
                suite.addTests(
                    loader.loadTestsFromTestCase(speaking_tls(c)))
    return suite


if __name__ == "__main__":
    main()
