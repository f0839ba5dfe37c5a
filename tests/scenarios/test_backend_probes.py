"""Origins are probed: one that is not well gets no requests until it is."""

import signal
import subprocess

from backend import Backend, response
from gateway import DAEMON, main
from test_reverse_proxy import Proxied

PROBE = ('backend-probe-path = "/up?x"\nbackend-probe-interval = "50ms"\n'
         'backend-failures = 1\nbackend-fail-time = "1h"\n')


class App:
    """A backend that may be unwell; it knows its clients from probes."""

    def __init__(self, case, name, address=None):
        self.status, self.served, self.probes = "200 OK", 0, []
        self.name = name
        self.backend = Backend(self.answer, address=address)
        self.url = self.backend.url
        case.addCleanup(self.backend.close)

    def answer(self, r, c):
        if r.target == "/up?x":
            self.probes.append(r)
            return response(b"x" * 100_000, self.status)
        self.served += 1
        return response(self.name.encode())


class Probes(Proxied):
    def get(self):
        status, _, body = self.ask("GET /page HTTP/1.1\nHost: a\n")
        return status, body

    def until_probed(self, result):
        before = self.front.metric("backend_probes_total",
                                   f'{{result="{result}"}}')
        self.front.until(lambda: self.front.metric(
            "backend_probes_total", f'{{result="{result}"}}') > before)

    def test_without_a_path_nobody_is_probed(self):
        app = App(self, "a")
        self.gate([app.url], 'backend-probe-interval = "10ms"\n')
        for _ in range(20):
            self.assertEqual(self.get(), (200, b"a"))
        self.assertEqual(app.probes, [])

    def test_a_probe_is_a_plain_request(self):
        app = App(self, "a")
        self.gate([app.url], PROBE)
        self.until_probed("ok")
        r = app.probes[0]
        self.assertEqual((r.method, r.target, r.get("User-Agent"),
                          r.get("Host")),
                         ("GET", "/up?x", "spillway-probe",
                          app.url.removeprefix("http://")))

    def test_who_is_not_well_gets_no_requests_until_it_is(self):
        one, two = App(self, "one"), App(self, "two")
        g = self.gate([one.url, two.url], PROBE)
        for trouble in ("500 Down", "404 Not Found"):
            one.status = trouble
            g.until(lambda: any("backend fails" in l for l in g.lines))
            served = one.served
            for _ in range(10):
                self.assertEqual(self.get(), (200, b"two"))
            self.assertEqual(one.served, served)
            one.status = "302 Found"
            g.until(lambda: self.get() == (200, b"one"))
            with g.changed:
                g.lines.clear()

    def test_who_is_gone_is_found_out_without_a_client(self):
        app = App(self, "a")
        g = self.gate([app.url], PROBE)
        self.assertEqual(self.get(), (200, b"a"))
        app.backend.close()
        app.status = "500 Down"  # on connections that there are
        g.wait_log("backend fails")
        self.assertEqual(self.get()[0], 503)
        back = App(self, "back", ("127.0.0.1", app.backend.port))
        g.until(lambda: self.get() == (200, b"back"))
        self.assertGreater(len(back.probes), 0)

    def test_a_reload_begins_and_ends_them(self):
        app = App(self, "a")
        g = self.gate([app.url])
        plain = f'backend = "{app.url}"\n'
        g.configure(plain + PROBE)
        g.signal(signal.SIGHUP)
        g.until(lambda: app.probes)
        g.configure(plain)
        g.signal(signal.SIGHUP)
        g.wait_log("configuration reloaded", 2)
        g.until(lambda: g.metric("backend_running") == 0)
        seen = len(app.probes)
        for _ in range(20):
            self.assertEqual(self.get(), (200, b"a"))
        self.assertEqual(len(app.probes), seen)

    def test_a_path_begins_with_a_slash(self):
        self.gateway.configure('backend-probe-path = "up"\n')
        r = subprocess.run([DAEMON, "-t", "-c", self.gateway.conf_path],
                           capture_output=True, text=True, check=False)
        self.assertEqual(r.returncode, 1)
        self.assertIn("write a backend-probe-path that begins with /",
                      r.stderr)


if __name__ == "__main__":
    main()
