"""A clock that is set while all goes on: nothing is lost by that, or stuck."""

import json
import struct
import time
import unittest

import preload
import tokens
from gateway import (Closed, EventStream, Gateway, TRANSPORTS, WebSocket,
                     main)
from tokens import SECRET, bearer

DAY = 24 * 3600


class Clock(preload.Preload):
    """What the preloaded clock.c adds to the machine's time."""

    def __init__(self, case):
        super().__init__(case, "clock")

    def set(self, seconds):
        self.offset = int(seconds)
        struct.pack_into("q", self.map, 0, self.offset)

    def now(self):
        return time.time() + self.offset


class SetClock(unittest.TestCase):
    conf = ""

    def setUp(self):
        self.clock = Clock(self)
        self.clock.set(0)
        self.gateway = Gateway(self.conf, env=self.clock.env)
        self.addCleanup(self.gateway.close)
        self.gateway.start()

    def set(self, seconds):
        """The gateway has seen that it was set, and says so."""
        leap = seconds - self.clock.offset
        before = sum("warn clock: " in l for l in self.gateway.lines)
        self.clock.set(seconds)
        self.gateway.wait_log("warn clock: set " + (
            "forward" if leap > 0 else "back"))
        self.gateway.wait_log("warn clock: ", before + 1)

    def publish(self, data, key=None, channel="a"):
        headers = {"Idempotency_Key": key} if key else {}
        return self.gateway.publish(channel, json.dumps(data), **headers)

    def behind(self, receipt):
        """By how many seconds the event is older than the clock."""
        return self.clock.now() - receipt["time"] / 1000


class Leaps(SetClock):
    conf = """
history-age = 7d
idempotency-age = 1h
channel "memory" { durability = memory }
"""

    def test_streams_and_times_follow_it_and_nothing_is_lost(self):
        g = self.gateway
        subscribers = [t(g, "a") for t in TRANSPORTS]
        for s in subscribers:
            s.notice("caughtup")
        ids = []
        for seconds in (0, DAY, 365 * DAY, 0, -DAY, 0):
            if seconds != self.clock.offset:
                self.set(seconds)
            for n in range(3):
                receipt = self.publish([seconds, n])
                self.assertLess(abs(self.behind(receipt)), 30)
                ids.append(receipt["id"])
            # While it is ahead, what is there grows too old.
            for s in subscribers:
                self.assertEqual([e["id"] for e in s.events(3)], ids[-3:])
        for s in subscribers:
            s.close()
        numbers = [int(i.partition("-")[2]) for i in ids]
        self.assertEqual(numbers, sorted(numbers))

    def test_what_is_too_old_by_it_goes_and_is_told(self):
        g = self.gateway
        old = self.publish(1)["id"]
        self.publish(2)
        self.set(30 * DAY)
        self.publish(3)
        for transport in TRANSPORTS:
            s = transport(g, "a", old)
            self.assertEqual(s.notice("gap")["reason"], "trimmed")
            self.assertEqual(s.event()["data"], 3)
            s.close()

    def test_a_clock_without_a_battery_makes_nothing_too_old(self):
        """What was published in 1970 is there when the clock is right."""
        g = self.gateway
        self.publish(1)
        self.set(-int(time.time()))
        receipt = self.publish(2)
        self.assertLess(abs(time.time() - receipt["time"] / 1000), 30)
        self.set(0)
        self.publish(3)
        self.assertEqual([e["data"] for e in
                          g.poll("a", after="start")["events"]], [1, 2, 3])

    def test_keys_of_a_clock_that_was_ahead(self):
        """They are known after it is put right, and not for a year."""
        for channel in ("a", "memory"):
            with self.subTest(channel=channel):
                # What is forgotten a second later need not be.
                self.clock.set(365 * DAY)
                ahead = self.publish(2, "ahead", channel)["id"]
                self.clock.set(0)
                self.assertEqual(self.publish(3, "ahead", channel)["id"],
                                 ahead)
                hours = 0
                while self.publish(5, "ahead", channel)["duplicate"]:
                    hours += 2
                    self.assertLess(hours, 24)
                    self.set(hours * 3600)
                self.set(0)


class Tokens(SetClock):
    conf = f'token-key = {{ "HS256:{SECRET}" }}\nheartbeat = 1s\n'

    def test_a_stream_ends_when_its_token_has(self):
        """By the clock, not an hour later because a timer says so."""
        g = self.gateway
        held = tokens.token(subscribe=["a"], expires=3600)
        ws = WebSocket(g.port, "/stream/a", headers=bearer(held))
        sse = EventStream(g.port, "/stream/a", headers=bearer(held))
        self.assertEqual((ws.status, sse.status), (101, 200))
        self.set(DAY)
        with self.assertRaises(Closed) as closed:
            while True:
                ws.read()
        self.assertEqual(closed.exception.code, 4401)
        sse.rest()
        self.assertEqual(
            g.get("/stream/a", dict(bearer(held)))[0], 401)
        # A clock that was ahead has refused it; now it is good again.
        self.set(0)
        self.assertEqual(
            g.get("/stream/a", dict(bearer(held)))[0], 200)


if __name__ == "__main__":
    main()
