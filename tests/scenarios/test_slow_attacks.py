"""slowhttptest in its four modes, while five hundred others listen."""

import os
import re
import resource
import selectors
import shutil
import ssl
import subprocess
import time
import unittest

from gateway import (DAEMON, GUARD, EventStream, Scenario, TRANSPORTS,
                     WebSocket, main)

ATTACKERS = 2000
# Those who have two megabytes each in the system's buffers: all of what TCP may
# have would be taken from the tests beside this one, which lose connections.
READERS = 250
LISTENERS = 500
MARK = re.compile(rb"mark-(\d+);")
# More than their buffers and the library's would be a copy of what they read.
BYTES_EACH = 64 << 10


def is_built_with(what):
    with open(DAEMON, "rb") as f:
        return what in f.read()


class Crowd:
    """Listeners that take what comes at once, and remember the order."""

    def __init__(self, gateway):
        self.seen = {}
        self.selector = selectors.DefaultSelector()
        for n in range(LISTENERS):
            if n % 2:
                w = WebSocket(gateway.port, "/stream/a?format=raw",
                              "spillway.raw")
                assert w.status == 101
            else:
                w = EventStream(gateway.port, "/stream/a")
                assert w.status == 200
            w.s.setblocking(False)
            self.seen[w] = []
            self.selector.register(w.s, selectors.EVENT_READ, w)

    def take(self, w):
        while True:
            try:
                if not w.more():
                    raise AssertionError("a listener was thrown out")
            except (BlockingIOError, ssl.SSLWantReadError):
                break
        end = 0
        for match in MARK.finditer(w.data):
            self.seen[w].append(int(match.group(1)))
            end = match.end()
        w.data = w.data[end:][-64:]

    def wait(self, count):
        """Until each has seen so many, which are all there are, in order."""
        for w in self.seen:
            self.take(w)
        behind = {w for w in self.seen if len(self.seen[w]) < count}
        deadline = time.monotonic() + GUARD
        while behind:
            if time.monotonic() > deadline:
                raise AssertionError(f"{len(behind)} listeners wait in vain")
            for key, _ in self.selector.select(1):
                self.take(key.data)
            behind = {w for w in behind if len(self.seen[w]) < count}
        for numbers in self.seen.values():
            assert numbers == list(range(count)), numbers[-5:]

    def close(self):
        for w in self.seen:
            w.close()
        self.selector.close()


@unittest.skipUnless(shutil.which("slowhttptest"), "without slowhttptest")
class SlowAttacks(Scenario):
    conf = """
header-timeout = "4s"
request-timeout = "4s"
idle-timeout = "4s"
stall-timeout = "2s"
heartbeat = "10m"
send = publish
"""

    def setUp(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < 2 * (ATTACKERS + LISTENERS):
            self.skipTest("too few descriptors for a crowd")
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE,
                        (soft, hard))
        super().setUp()
        g = self.gateway
        g.stop()
        # Larger than what fits into any socket's buffer.
        os.mkdir(g.dir + "/web")
        with open(g.dir + "/web/large.js", "wb") as f:
            f.write(b"x" * (2 << 20))
        g.configure(self.conf + f'web-root = "{g.dir}/web"\n')
        g.start()
        self.crowd = Crowd(g)
        self.addCleanup(self.crowd.close)
        self.sent = 0
        self.base = g.memory()

    def everybody_hears(self):
        self.gateway.publish("a", f"mark-{self.sent};")
        self.sent += 1
        self.crowd.wait(self.sent)

    def state(self):
        """Connections now, those that ever came, limits reached."""
        _, body = self.gateway.get("/metrics", api=True)
        numbers = dict(line.rsplit(" ", 1)
                       for line in body.decode().splitlines()
                       if not line.startswith("#"))
        return (int(numbers["spillway_connections"]),
                int(numbers["spillway_connections_accepted_total"]),
                {name.split('"')[1]: int(value)
                 for name, value in numbers.items()
                 if name.startswith("spillway_limits_reached_total")})

    def attack(self, attackers, limit, path, *options):
        """Until all have come and gone; how much memory they took."""
        _, came, reached = self.state()
        peak = self.gateway.memory()
        attacker = subprocess.Popen(
            ["slowhttptest", "-c", str(attackers), "-r", "1000", "-l", "600",
             "-u", f"http://127.0.0.1:{self.gateway.plain_port}{path}",
             *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while True:
                self.everybody_hears()
                now, total, limits = self.state()
                peak = max(peak, self.gateway.memory())
                # Whoever asks is there, too, and perhaps a probe.
                if total - came >= attackers and now <= LISTENERS + 3:
                    break
                # It gives up when it sees that there is nobody left.
                if attacker.poll() is not None and total - came < attackers:
                    raise AssertionError("the attack was none")
        finally:
            attacker.terminate()
            attacker.wait(GUARD)
        if limit is not None:
            self.assertGreaterEqual(limits[limit] - reached[limit],
                                    attackers * 9 // 10, limits)
        return peak - self.base

    def check(self, attackers, *attack):
        factor = 6 if is_built_with(b"__tsan_init") else 1
        grown = self.attack(attackers, *attack)
        self.assertLess(grown, (attackers + LISTENERS) * BYTES_EACH * factor)
        for transport in TRANSPORTS:
            receipt = self.gateway.publish(transport.name, 1)
            s = transport(self.gateway, transport.name, "start")
            self.assertEqual(s.event()["id"], receipt["id"])
            s.close()

    def test_heads_that_never_end(self):
        self.check(ATTACKERS, "header-timeout", "/stream/a", "-H",
                   "-i", "1", "-x", "24")

    def test_bodies_that_never_end(self):
        self.check(ATTACKERS, "request-timeout", "/stream/a", "-B", "-i", "1",
                   "-s", "8192", "-x", "10")

    def test_a_thousand_ranges_of_one_page(self):
        # We serve no ranges: each is answered once, and goes by itself.
        self.check(READERS, None, "/spillway/large.js", "-R", "-t", "GET",
                   "-a", "1", "-b", "1000")

    def test_answers_that_are_hardly_read(self):
        self.check(READERS, "stall-timeout", "/spillway/large.js", "-X",
                   "-w", "512", "-y", "1024", "-n", "5", "-z", "32")


if __name__ == "__main__":
    main()
