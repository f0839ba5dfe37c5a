"""The backend is dead, slow, flapping or failing, and streams go on.

A thousand subscribers receive every event in order meanwhile; who sends gets
the truth; when the backend is back, so is the bridge, without a restart and
without everything arriving there at once.
"""

import json
import resource
import selectors
import threading
import unittest

from bridge_backend import SECRET, Backend
from gateway import GUARD, Gateway, Wire, request_head

SUBSCRIBERS = 1000
EVENTS = 5              # published in each trouble


class Crowd(threading.Thread):
    """Event streams, read by one thread: what each has seen, in order."""

    def __init__(self, port, path):
        super().__init__(daemon=True)
        self.changed = threading.Condition()
        self.seen, self.rest, self.error = {}, {}, None
        self.selector = selectors.DefaultSelector()
        for n in range(SUBSCRIBERS):
            wire = Wire(port)
            wire.send(request_head(path, [("Accept", "text/event-stream")]))
            status, _, _ = wire.response()
            assert status == 200, status
            self.seen[n], self.rest[n] = [], wire.data
            self.selector.register(wire.s, selectors.EVENT_READ, (n, wire))

    def run(self):
        while self.error is None:
            for key, _ in self.selector.select(0.1):
                self.read(*key.data)

    def read(self, n, wire):
        try:
            chunk = wire.s.recv(65536)
        except OSError as e:
            chunk, self.error = b"", e
        if not chunk:
            self.error = self.error or EOFError(n)
            return
        *blocks, self.rest[n] = (self.rest[n] + chunk).split(b"\n\n")
        for block in blocks:
            # Notices have names, events have ids.
            if b"\nevent: spillway." in b"\n" + block:
                continue
            for line in block.split(b"\n"):
                if line.startswith(b"data: "):
                    with self.changed:
                        self.seen[n].append(int(line[6:]))
                        self.changed.notify_all()

    def wait(self, events):
        with self.changed:
            done = self.changed.wait_for(
                lambda: self.error or all(len(s) >= events
                                          for s in self.seen.values()), GUARD)
        assert done and self.error is None, (self.error, events)

    def close(self):
        self.error = self.error or EOFError("closed")
        self.join(GUARD)
        for key in list(self.selector.get_map().values()):
            key.data[1].close()
        self.selector.close()


class Trouble(unittest.TestCase):
    timeout = "500ms"

    def setUp(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE,
                        (soft, hard))
        self.go_on = threading.Event()
        self.says = Backend.echo
        self.flying = self.most = 0
        self.lock = threading.Lock()
        self.backend = Backend(self.answer)
        self.addCleanup(lambda: self.backend.close())
        self.addCleanup(self.go_on.set)
        self.gateway = Gateway(f"""
backend = "http://127.0.0.1:{self.backend.port}"
bridge-secret = "{SECRET}"
bridge-timeout = "{self.timeout}"
backend-fail-time = "50ms"
outbox-retry-max = "200ms"
max-connections-per-address = 0
send = bridge
channel "stored" {{ message-mode = queue }}
""")
        self.addCleanup(self.gateway.close)
        self.gateway.start()

    def answer(self, event):
        with self.lock:
            self.flying += 1
            self.most = max(self.most, self.flying)
        try:
            return self.says(event)
        finally:
            with self.lock:
                self.flying -= 1

    def slow(self, event):
        self.go_on.wait()
        return Backend.echo(event)

    def away(self):
        self.backend.close()

    def back(self):
        self.go_on.set()
        self.says = Backend.echo
        self.backend = Backend(self.answer, self.backend.port,
                               self.backend.events)

    def post(self, body, channel="room"):
        status, _, answer = self.gateway.request(
            "POST", f"/stream/{channel}", body,
            {"Content-Type": "text/plain"})
        return status, answer

    def until_well(self):
        self.gateway.until(lambda: self.post("well?") == (200, b"well?"),
                           "the bridge at work again")


class Streams(Trouble):
    def test_streams_go_on_whatever_the_backend_does(self):
        crowd = Crowd(self.gateway.port, "/stream/live")
        self.addCleanup(crowd.close)
        crowd.start()
        published = 0

        def stream_goes_on():
            nonlocal published
            for _ in range(EVENTS):
                self.gateway.publish("live", published)
                published += 1
            crowd.wait(published)

        stream_goes_on()
        self.until_well()

        self.says = lambda event: (500, "text/plain", b"a stack trace")
        status, answer = self.post("failing")
        self.assertEqual(status, 502)
        self.assertNotIn(b"stack trace", answer)
        stream_goes_on()
        self.says = Backend.echo
        self.until_well()

        self.says = self.slow
        senders = [threading.Thread(target=self.post, args=(str(n),))
                   for n in range(20)]
        for sender in senders:
            sender.start()
        stream_goes_on()
        for sender in senders:
            sender.join(GUARD)
            self.assertFalse(sender.is_alive())
        # Too late, or not even tried any more: but never silence.
        self.assertIn(self.post("slow")[0], (503, 504))
        stream_goes_on()
        self.go_on.set()
        self.says = Backend.echo
        self.until_well()

        self.away()
        for _ in range(5):
            self.assertIn(self.post("dead")[0], (502, 503))
        stream_goes_on()
        self.back()
        self.until_well()

        for _ in range(3):
            self.away()
            self.post("flapping")
            self.back()
            stream_goes_on()
        self.until_well()

        numbers = list(range(published))
        for n, seen in crowd.seen.items():
            self.assertEqual(seen, numbers, n)


class Herd(Trouble):
    timeout = "5m"

    def test_what_is_stored_does_not_arrive_all_at_once(self):
        self.away()
        for n in range(300):
            self.assertEqual(self.post(str(n), "stored")[0], 202)
        self.gateway.until(
            lambda: self.gateway.metric("outbox_retries_total") >= 2)
        # Every one of them would have its own connection at once.
        self.says = self.slow
        self.go_on.clear()
        self.backend = Backend(self.answer, self.backend.port,
                               self.backend.events)
        self.backend.wait(1)
        self.gateway.until(lambda: self.most > 0)
        self.assertEqual(self.most, 1)
        # Not that the others only wait for a connection.
        self.assertEqual(self.gateway.metric("backend_running") +
                         self.gateway.metric("backend_waiting"), 1)
        self.says = Backend.echo
        self.go_on.set()
        self.gateway.until(
            lambda: self.gateway.metric("outbox_waiting") == 0)
        self.assertLessEqual(self.most, 64)
        seen = {json.loads(e.body) for e in self.backend.events}
        self.assertEqual(seen, set(range(300)))


if __name__ == "__main__":
    unittest.main()
