"""The benchmark's own figures: a server that stalls cannot hide it."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import unittest
from unittest import mock

from gateway import DAEMON, GUARD, TROUBLE, lean

HERE = os.path.dirname(os.path.abspath(__file__))
LOAD = os.path.join(os.path.dirname(DAEMON), "tests", "bench", "load")
sys.path.insert(0, os.path.join(HERE, "..", "bench"))


class Staller:
    """Takes events as the benchmark's own server does, the first one late."""

    def __init__(self, seconds):
        self.stamps = []  # when the events were due
        self.seconds = seconds
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        with self.listener, self.listener.accept()[0] as s, \
                s.makefile("rwb") as f:
            while line := f.readline():
                f.readline()
                payload = f.read(int(line.split()[1].rpartition(b"/")[2], 16))
                self.stamps.append(int(payload[20:36], 16))
                if len(self.stamps) == 1:
                    time.sleep(self.seconds)
                f.write(b"HTTP/1.1 202 Taken\r\nContent-Length: 0\r\n\r\n")
                f.flush()


class Load(unittest.TestCase):
    def test_what_was_due_is_published_after_a_stall_too(self):
        server = Staller(0.5)
        done = subprocess.run(
            [LOAD, "--dialect", "limit", "--subs", "0", "--rate", "100",
             "--seconds", "0.2", "--sub-port", str(server.port),
             "--pub-port", str(server.port)],
            env=lean(dict(os.environ)), capture_output=True, text=True,
            timeout=GUARD, check=False)
        server.thread.join(GUARD)
        self.assertNotRegex(done.stderr, TROUBLE)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["acks"], 20)
        self.assertEqual(
            [round((t - server.stamps[0]) / 1e7) for t in server.stamps],
            list(range(20)))


class Clock:
    """Moves when somebody sleeps, or works."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds + 0.002


class Live(unittest.TestCase):
    def test_a_stall_is_more_than_one_late_event(self):
        import live  # pylint: disable=import-outside-toplevel
        clock, published = Clock(), []

        def publish(*_):
            published.append(1)
            clock.sleep(1 if len(published) == 200 else -0.001)
        with mock.patch.object(live, "time", clock), \
                mock.patch.object(live, "EventStream") as stream:
            stream().block.return_value = ["message"]
            p50, p99 = live.latencies(mock.Mock(publish=publish), 5)
        self.assertEqual(len(published), 500)
        self.assertLess(p50, 1.5)
        self.assertGreater(p99, 900)


if __name__ == "__main__":
    unittest.main(verbosity=2)
