"""What is published is received, or a gap says so; and no gap is invented.

Channels of all kinds, windows that are too small for them, and clients that
come and go with their cursors, on any transport, each at random. Whoever went
away has to be told what it missed for good, and nothing else.
"""

import os
import random
import threading

from gateway import STREAMS, TRANSPORTS, LongSubscriber, Scenario, main

EVENTS = 2000
KINDS = ("memory", "trimmed", "aged", "kept")
CHANNELS = [f"{kind}-{n}" for kind in KINDS for n in range(8)]
SIZES = (10, 100, 3000, 20000)
CLIENTS = 8


def number(cursor):
    return int(cursor.split("-")[1]) if cursor else None


class Client:
    """One set of channels, followed by one connection after another."""

    def __init__(self, gateway, chance):
        self.gateway, self.chance = gateway, chance
        self.channels = chance.sample(CHANNELS, chance.randrange(1, 6))
        self.cursor = gateway.poll(",".join(self.channels))["cursor"]
        self.start = number(self.cursor)
        self.received, self.gaps, self.story = [], [], []

    def take(self, m):
        self.story.append(m if "id" not in m else (m["id"], m["channel"]))
        if m["type"] == "spillway.gap":
            self.gaps.append((m.get("channel"), number(m["after"]),
                              number(m["first"])))
        if "id" in m:
            assert number(m["id"]) > number(self.cursor), self.story[-20:]
            self.cursor = m["id"]
            self.received.append((number(m["id"]), m["channel"]))

    def connect(self):
        # A poll has one gap for all of its channels.
        some = TRANSPORTS if len(self.channels) == 1 else STREAMS
        transport = self.chance.choice(
            [t for t in some if t is not LongSubscriber])
        s = transport(self.gateway, ",".join(self.channels), self.cursor)
        self.story.append((transport.name, self.cursor))
        try:
            for _ in range(self.chance.randrange(1, 10)):
                m = s.next()
                self.take(m)
                if m["type"] in ("spillway.caughtup", "spillway.heartbeat"):
                    break
        finally:
            s.close()

    def is_told(self, event):
        n, channel = event
        return any(which in (None, "", channel) and after < n and
                   (first is None or n < first)
                   for which, after, first in self.gaps)

    def check(self, log):
        """`log` is what was published, before the client was asked last."""
        received, published = set(self.received), set(log)
        assert len(received) == len(self.received), self.story
        assert received <= published, self.story
        mine = [e for e in log if e[0] > self.start and
                e[1] in self.channels]
        assert all(c in self.channels for _, c in received), self.story
        missing = [e for e in mine if e not in received]
        for event in missing:
            assert event[0] > number(self.cursor) or self.is_told(event), (
                event, self.story)
        for channel, after, first in self.gaps:
            assert any(channel in (None, "", c) and after < n and
                       (first is None or n < first)
                       for n, c in missing), (
                (channel, after, first), self.story)
        return len(received), len(missing), len(self.gaps)


class Losses(Scenario):
    conf = """window-bytes = 1m
window-events = 4
channel-age = 1s
channel "memory*" { durability = memory  history-events = 6 }
channel "trimmed*" { history-events = 5 }
channel "aged*" { history-age = 1s }
"""

    def publish_all(self, chance):
        for n in range(EVENTS):
            name = chance.choice(CHANNELS)
            receipt = self.gateway.publish(
                name, "x" * chance.choice(SIZES), Content_Type="text/plain")
            self.log.append((number(receipt["id"]), name))
            if n % (EVENTS // 4) == 0:
                self.gateway.until(self.all_aged_is_gone)

    def all_aged_is_gone(self):
        aged = ",".join(c for c in CHANNELS if c.startswith("aged"))
        return not self.gateway.poll(aged, after="start")["events"]

    def follow(self, chance, over):
        try:
            while not over.is_set():
                client = Client(self.gateway, chance)
                self.clients.append(client)
                for _ in range(chance.randrange(2, 6)):
                    client.connect()
                    over.wait(chance.random())
        except Exception as e:
            self.failures.append(e)

    def test_every_loss_is_told_and_none_is_invented(self):
        seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
        self.log, self.clients, self.failures = [], [], []
        over = threading.Event()
        threads = [threading.Thread(
            target=self.follow, args=(random.Random(seed + n), over))
            for n in range(CLIENTS)]
        for t in threads:
            t.start()
        try:
            self.publish_all(random.Random(seed))
        finally:
            over.set()
            for t in threads:
                t.join()
        try:
            for failure in self.failures:
                raise failure
            counts = [c.check(self.log) for c in self.clients]
            for n, what in enumerate(("received", "lost", "told")):
                self.assertGreater(sum(c[n] for c in counts), 0, what)
        except AssertionError as e:
            e.add_note(f"SEED={seed}")
            raise


if __name__ == "__main__":
    main()
