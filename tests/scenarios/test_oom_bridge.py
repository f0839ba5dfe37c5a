"""Memory runs out as somebody comes or goes: the backend hears of the end."""

import itertools

from bridge_backend import SECRET, Backend
from gateway import EventStream, Wire, main
from test_oom import OutOfMemory


class Coming(OutOfMemory):
    def setUp(self):
        self.backend = Backend(lambda event: (204, None, b""))
        self.addCleanup(self.backend.close)
        self.conf = f"""
backend = "http://127.0.0.1:{self.backend.port}"
bridge-secret = "{SECRET}"
backend-failures = 1000
bridge-timeout = "1s"
backend-response-timeout = "500ms"
outbox-retry-max = "50ms"
session-lease = "10ms"
channel "told" {{ bridge-presence = yes }}
channel "asked" {{ bridge-connect = yes  bridge-presence = yes }}
""" + self.conf
        super().setUp()

    def of(self, kind):
        return {e.headers["ce-connection"] for e in list(self.backend.events)
                if e.type == "spillway." + kind}

    def visit(self, channel):
        def story():
            es = EventStream(self.gateway.port, f"/stream/{channel}")
            try:
                self.assertIn(es.status, (200, 502, 503, 504))
                if es.status != 200:
                    return
                es.block()
                _, port = es.s.getsockname()
            finally:
                es.close()
            # Memory is short until the end, too.
            self.gateway.wait_log(f"closed id=.* peer=127.0.0.1:{port} ")
        return story

    def poll(self, channel):
        """A session of its own each time, whose lease is short."""
        names = itertools.count()

        def story():
            with Wire(self.gateway.port) as wire:
                _, port = wire.s.getsockname()
                wire.send(f"GET /stream/{channel}?session=s{next(names)} "
                          "HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                status = wire.response()[0]
            self.assertIn(status, (200, 502, 503, 504))
            if status == 200:
                self.gateway.wait_log(
                    f"session ended .* why=lease peer=127.0.0.1:{port}$")
        return story

    def settle(self):
        """Of one visitor no more than one allocation fails."""
        super().settle()
        self.gateway.until(lambda: self.gateway.metric("connections") == 1)

    def test_whoever_came_goes(self):
        for channel in ("told", "asked"):
            for coming in (self.visit, self.poll):
                self.each_allocation(coming(channel))
                for w in self.watchers:
                    w.close()
        # What could not be told is told by the next start at the latest.
        self.gateway.restart()
        self.gateway.until(
            lambda: self.of("subscribe") <= self.of("disconnect"),
            "the end of all who came")
        self.assertGreater(len(self.of("subscribe")), 5)


if __name__ == "__main__":
    main()
