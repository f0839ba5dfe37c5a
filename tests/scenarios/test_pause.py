"""A gateway that stands still: its machine is moved, or it is stopped."""

import signal
import threading
import time

from gateway import STREAMS, Scenario, Wire, main

PAUSE = 8


class Pause(Scenario):
    """Each of these times is shorter than the pause."""

    conf = """
heartbeat = "2s"
stall-timeout = "5s"
header-timeout = "6s"
session-lease = "6s"
channel "room" { presence-events = yes }
"""

    def listen(self, kind, read):
        s = kind(self.gateway, "a")
        self.addCleanup(s.close)
        s.notice("caughtup")
        # For a WebSocket: who reads answers pings.
        reader = threading.Thread(target=read, args=(s,))
        reader.start()
        return reader

    def test_nobody_pays_for_it(self):
        g, beats = self.gateway, {}

        def read(s):
            self.assertEqual(s.event()["data"], "behind it")
            for _ in range(4):  # longer than anybody may be silent
                s.notice("heartbeat")
            beats[s.name] = True
        readers = [self.listen(kind, read) for kind in STREAMS * 2]
        poll = "/stream/room?session=12345678901234567890"
        self.assertEqual(g.get(poll)[0], 200)
        with Wire(g.port) as w:
            w.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n")
            for kind in STREAMS:
                g.until_metric(2, "subscribers",
                               f'{{transport="{kind.name}"}}')
            g.signal(signal.SIGSTOP)
            time.sleep(PAUSE)  # it is the time that matters here
            g.signal(signal.SIGCONT)
            w.send(b"\r\n")
            self.assertEqual(w.response()[0], 200)
        g.wait_log("warn the process stood still for [0-9]{4} ms")
        self.assertEqual(g.get(poll)[0], 200)
        g.publish("a", "behind it")
        for r in readers:
            r.join()
        self.assertEqual(sorted(beats), ["sse", "ws"])
        status, answer = g.api("GET", "/v1/channels/room/events?after=start")
        self.assertEqual([e["type"] for e in answer["events"]],
                         ["spillway.join"])


if __name__ == "__main__":
    main()
