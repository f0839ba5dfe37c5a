"""The backend has a name: one that changes, is gone, or is never answered."""

import signal
import threading

import name_server
from backend import Backend, response
from gateway import GUARD, main
from test_backend_connections import Unanswering
from test_reverse_proxy import Proxied, asking

NAME = "backend.example"


class Names(Proxied):
    def setUp(self):
        super().setUp()
        self.server = name_server.NameServer()
        self.addCleanup(self.server.close)

    def named(self, more="", port=3000):
        return self.gate([f"http://{NAME}:{port}"],
                         'backend-fail-time = "10ms"\n' + more)

    def backend_at(self, address, port=3000, headers=""):
        b = Backend(lambda r, c: response(address.encode(), headers=headers),
                    address=(address, port))
        self.addCleanup(b.close)
        return b

    def get(self):
        status, _, body = self.ask("GET / HTTP/1.1\nHost: a\n")
        return status, body

    def test_a_name_server_that_is_silent_holds_up_nobody_else(self):
        self.server.names[NAME] = None
        g = self.named('backend-connect-timeout = "50ms"\n')
        # The system waits for a minute, and nobody with it.
        self.assertEqual(self.get()[0], 504)
        self.assertEqual(g.get("/healthz")[0], 200)
        self.server.wait_asked(NAME)

        w = self.wire()
        w.send(asking("GET / HTTP/1.1\nHost: a\n"))
        w.close()
        g.until(lambda: g.metric("proxied_requests") == 0)
        self.assertEqual(g.get("/healthz")[0], 200)

        self.assertEqual(g.stop(), 0)

    def test_a_name_that_nobody_knows_is_a_502_until_it_is_known(self):
        g = self.named()
        self.assertEqual(self.get()[0], 502)
        self.backend_at("127.0.0.2")
        self.server.names[NAME] = ["127.0.0.2"]
        g.until(lambda: self.get() == (200, b"127.0.0.2"))

    def test_one_address_of_several_is_enough(self):
        self.backend_at("127.0.0.2")
        self.server.names[NAME] = ["127.0.0.3", "127.0.0.2", "127.0.0.4"]
        self.named()
        for _ in range(5):
            self.assertEqual(self.get(), (200, b"127.0.0.2"))

    def test_a_silent_address_leaves_time_for_another(self):
        place = Unanswering(("127.0.0.3", 3000))
        self.addCleanup(place.close)
        self.backend_at("127.0.0.2")
        # Whichever the system takes for the first.
        for addresses in (["127.0.0.3", "127.0.0.2"],
                          ["127.0.0.2", "127.0.0.3"]):
            self.server.names[NAME] = addresses
            self.named('backend-connect-timeout = "1s"\n')
            self.assertEqual(self.get(), (200, b"127.0.0.2"))

    def test_a_name_that_leads_elsewhere_is_followed(self):
        old, new = (self.backend_at(f"127.0.0.{n}") for n in (2, 3))
        self.server.names[NAME] = ["127.0.0.2"]
        g = self.named('backend-resolve-interval = "1s"\n')
        self.assertEqual(self.get(), (200, b"127.0.0.2"))
        self.server.names[NAME] = ["127.0.0.3"]
        g.until(lambda: self.get() == (200, b"127.0.0.3"))
        seen = len(old.requests)
        for _ in range(10):
            self.assertEqual(self.get(), (200, b"127.0.0.3"))
        self.assertEqual(len(old.requests), seen)
        self.assertGreaterEqual(len(new.requests), 11)

    def test_without_the_name_server_it_goes_on(self):
        self.backend_at("127.0.0.2")
        self.backend_at("127.0.0.3")
        self.server.names[NAME] = ["127.0.0.2"]
        g = self.named('backend-resolve-interval = "1s"\n'
                       'backend-connect-timeout = "200ms"\n'
                       'backend-failures = 1\n')
        self.assertEqual(self.get(), (200, b"127.0.0.2"))
        for answer in (None, []):  # it is silent, it knows of no address
            self.server.names[NAME] = answer
            self.server.asked.clear()

            def asked_again():
                self.assertEqual(self.get(), (200, b"127.0.0.2"))
                return self.server.asked.count(NAME) >= 6
            g.until(asked_again, "that the name is asked for again")
        g.wait_log("warn backend's name cannot be looked up .* 127.0.0.2")
        self.server.names[NAME] = ["127.0.0.3"]
        g.until(lambda: self.get() == (200, b"127.0.0.3"))
        g.wait_log("info backend's name is known again")

    def test_an_address_that_is_no_good_any_more_is_doubted(self):
        """The name is asked for at once, not after its interval."""
        old = self.backend_at("127.0.0.2", headers="Connection: close\r\n")
        self.server.names[NAME] = ["127.0.0.2"]
        g = self.named('backend-resolve-interval = "1s"\n')
        self.assertEqual(self.get(), (200, b"127.0.0.2"))
        self.server.names[NAME] = []

        def asked():
            self.assertEqual(self.get(), (200, b"127.0.0.2"))
            return NAME in self.server.asked
        self.server.asked.clear()
        g.until(asked)
        with open(g.conf_path, "r+", encoding="utf-8") as f:
            conf = f.read().replace('"1s"', '"1h"')
            f.seek(0)
            f.write(conf)
        g.signal(signal.SIGHUP)
        g.wait_log("reloaded")
        self.server.asked.clear()
        g.until(asked)

        old.close()
        self.assertEqual(self.get()[0], 502)
        self.backend_at("127.0.0.3")
        self.server.names[NAME] = ["127.0.0.3"]
        g.until(lambda: self.get() == (200, b"127.0.0.3"))


class Ports(Proxied):
    """What else is our own here: how many ports there are."""

    def test_ports_that_are_used_up_are_not_its_fault(self):
        free = threading.Event()
        self.addCleanup(free.set)

        def answer(r, c):
            if r.target == "/slow":
                free.wait(GUARD)
            return response()
        g = self.serve(answer, 'backend-failures = 1\n'
                       'backend-fail-time = "1h"\n')
        wires = [self.wire() for _ in range(3)]
        with open("/proc/sys/net/ipv4/ip_local_port_range", "r+",
                  encoding="ascii") as f:
            before = f.read()
            f.seek(0)
            f.write("9000 9001")
            f.flush()
            for n in range(2):
                wires[n].send(asking("GET /slow HTTP/1.1\nHost: a\n"))
                self.backend.wait(n + 1)
            wires[2].send(asking("GET / HTTP/1.1\nHost: a\n"))
            self.assertEqual(wires[2].response()[0], 503)
            g.wait_log("end=crowded detail=.*ports")
            f.seek(0)
            f.write(before)
        free.set()
        for w in wires[:2]:
            self.assertEqual(w.response()[0], 200)
        wires[2].send(asking("GET / HTTP/1.1\nHost: a\n"))
        self.assertEqual(wires[2].response()[0], 200)


if __name__ == "__main__":
    name_server.enter()
    main()
