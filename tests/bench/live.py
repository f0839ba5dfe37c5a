"""What the benchmarks in Python share: a daemon, a crowd, live latencies."""

import os
import selectors
import ssl
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "..", "scenarios"))

# Behind the path that it comes by.
# pylint: disable=wrong-import-position
from certificates import certificate  # noqa: E402
from gateway import (EventStream, Gateway, WebSocket)  # noqa: E402

PAYLOAD = "x" * 100
PAUSE = 0.01  # from one event to the next
TICK = os.sysconf("SC_CLK_TCK")


def gateway(conf="", workers=1):
    g = Gateway(conf, workers=workers, certificates=[certificate()])
    # Its own configuration is for tests, which want to see everything.
    with open(g.conf_path, encoding="utf-8") as f:
        text = f.read().replace("log-level = debug", "log-level = info")
    with open(g.conf_path, "w", encoding="utf-8") as f:
        f.write(text + 'heartbeat = "10m"\n')
    return g.start()


def cpu(g):
    """Seconds that the daemon has used."""
    with open(f"/proc/{g.process.pid}/stat", encoding="ascii") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


class Crowd:
    def __init__(self, port, count, channel="a"):
        self.selector = selectors.DefaultSelector()
        self.got = 0
        self.sockets = []
        for _ in range(count):
            w = WebSocket(port, f"/stream/{channel}?format=raw",
                          "spillway.raw")
            assert w.status == 101
            w.s.setblocking(False)
            self.sockets.append(w)
            self.selector.register(w.s, selectors.EVENT_READ, w)

    def read(self, w):
        try:
            while True:
                data = w.s.recv(65536)
                if not data:
                    raise EOFError
                self.got += len(data)
        except (BlockingIOError, ssl.SSLWantReadError):
            pass

    def wait(self, size):
        while self.got < size:
            for key, _ in self.selector.select(1):
                self.read(key.data)

    def close(self):
        for w in self.sockets:
            w.close()


def latencies(g, seconds):
    """From publishing to the arrival on a stream, in ms: p50 and p99.

    One that is late makes those behind it late: they count from when they were
    due, so that a gateway which stalls cannot hide it behind a single one.
    """
    stream = EventStream(g.plain_port, "/stream/live")
    found = []
    due = time.monotonic()
    end = due + seconds
    while due < end:
        early = due - time.monotonic()
        if early > 0:
            time.sleep(early)
        # That we sleep too long is not its fault.
        began = time.monotonic() if early > 0 else due
        g.publish("live", PAYLOAD)
        while stream.block()[0] != "message":
            pass
        found.append((time.monotonic() - began) * 1000)
        due += PAUSE
    stream.close()
    quantiles = statistics.quantiles(found, n=100)
    return quantiles[49], quantiles[98]
