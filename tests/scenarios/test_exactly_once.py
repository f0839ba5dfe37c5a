"""Every acknowledged event reaches every subscriber once, in order of ids.

Four publishers and forty subscribers, ten per transport: some slow, some
disconnecting at random and resuming, some changing transport on the way with
the same cursor; while the daemon is killed with -9 and started again, twenty
times. Nobody may lose, repeat or reorder anything that was acknowledged, and
nothing may appear that was not published.
"""

import http.client
import json
import os
import random
import threading
import time
import unittest

from gateway import Closed, GUARD, Gateway, TRANSPORTS, main

KILLS = int(os.environ.get("SPILLWAY_KILLS", "20"))
EVENTS_PER_LIFE = 150   # acknowledged between two kills
SEED = int(os.environ.get("SPILLWAY_SEED", "0")) or random.randrange(1 << 30)
CHANNELS = ["a", "b", "c"]


class Publisher(threading.Thread):
    """Publishes with keys, again and again until it gets an answer."""

    def __init__(self, story, number):
        super().__init__(daemon=True)
        self.story, self.number = story, number
        self.random = random.Random(f"{SEED}-publisher-{number}")

    def run(self):
        n = 0
        while not self.story.enough.is_set():
            channel = self.random.choice(CHANNELS)
            key = f"{self.number}-{n}"
            # No answer: stored or not, the key makes the retry harmless.
            while not self.publish(channel, key):
                self.story.retries += 1
                time.sleep(0.005)
            n += 1

    def publish(self, channel, key):
        try:
            status, receipt = self.story.gateway.api(
                "POST", f"/v1/channels/{channel}/events",
                json.dumps({"key": key}), {"Idempotency-Key": key})
        except (OSError, EOFError, ValueError, http.client.HTTPException):
            return False
        if status == 503:
            return False
        assert status in (200, 201), (status, receipt)
        self.story.acknowledge(receipt["id"], channel, key)
        return True


class Listener(threading.Thread):
    """A subscriber with its whims; all it keeps is the cursor."""

    def __init__(self, story, number):
        super().__init__(daemon=True)
        self.story, self.number = story, number
        self.random = random.Random(f"{SEED}-listener-{number}")
        self.transport = TRANSPORTS[number % 4]
        self.slow = number % 5 == 1
        self.leaves = number % 5 in (2, 4)
        self.changes = number % 5 in (3, 4)
        self.got = []
        self.gaps = []
        self.error = None

    def run(self):
        try:
            self.listen()
        except Exception as e:  # reported by the test
            self.error = e

    def listen(self):
        cursor, subscriber = self.story.start, None
        # It may come before its publisher's answer does: so by its key.
        while not self.got or self.got[-1][1] != "last":
            try:
                if subscriber is None:
                    subscriber = self.transport(
                        self.story.gateway, ",".join(CHANNELS), cursor)
                event = subscriber.next()
            except (Closed, OSError, EOFError):
                subscriber = self.leave(subscriber)
                continue
            if event["type"] == "spillway.gap":
                self.gaps.append(event)
            elif not event["type"].startswith("spillway."):
                self.got.append((event["id"], event["data"]["key"]))
                cursor = event["id"]
            if self.slow and self.random.random() < 0.05:
                time.sleep(0.02)
            if self.leaves and self.random.random() < 0.02:
                subscriber = self.leave(subscriber)
                if self.changes:
                    self.transport = self.random.choice(TRANSPORTS)
        if subscriber is not None:
            subscriber.close()

    def leave(self, subscriber):
        if subscriber is not None:
            subscriber.close()
        time.sleep(self.random.random() * 0.02)
        return None


class Story:
    def __init__(self, gateway, start):
        self.gateway, self.start = gateway, start
        self.lock = threading.Condition()
        self.acknowledged = {}
        self.retries = 0
        self.enough = threading.Event()

    def acknowledge(self, event_id, channel, key):
        with self.lock:
            assert self.acknowledged.setdefault(event_id, key) == key
            self.lock.notify_all()

    def wait_for_more(self, count):
        with self.lock:
            target = len(self.acknowledged) + count
            assert self.lock.wait_for(
                lambda: len(self.acknowledged) >= target, GUARD)


def sequence(event_id):
    return int(event_id.split("-")[1])


class ExactlyOnce(unittest.TestCase):
    conf = ""
    kills = KILLS

    def end(self, g, life):
        """How one life of the daemon ends, and the next one begins."""
        g.kill9()
        g.start()

    def test_nothing_is_lost_twice_or_out_of_order(self):
        print(f"seed {SEED}")
        with Gateway(self.conf) as g:
            for name in CHANNELS:
                start = g.publish(name, {"key": "first"})["id"]
            story = Story(g, start)
            publishers = [Publisher(story, n) for n in range(4)]
            listeners = [Listener(story, n) for n in range(40)]
            for thread in publishers + listeners:
                thread.start()
            for life in range(self.kills):
                story.wait_for_more(EVENTS_PER_LIFE)
                self.end(g, life)
            story.wait_for_more(EVENTS_PER_LIFE)
            story.enough.set()
            for p in publishers:
                p.join(GUARD)
            # The last event of all tells everybody when to stop. It goes to
            # one channel only: a cursor spans them all.
            last = g.publish("a", {"key": "last"})["id"]
            story.acknowledge(last, "a", "last")
            for l in listeners:
                l.join(GUARD)
            self.check(story, listeners)

    def check(self, story, listeners):
        expected = [(i, story.acknowledged[i])
                    for i in sorted(story.acknowledged, key=sequence)]
        keys = [key for _, key in expected]
        self.assertEqual(len(set(keys)), len(keys), "a key was stored twice")
        for l in listeners:
            with self.subTest(listener=l.number, transport=l.transport.name):
                self.assertIsNone(l.error)
                self.assertFalse(l.is_alive())
                self.assertEqual(l.gaps, [])
                ids = [sequence(i) for i, _ in l.got]
                self.assertEqual(ids, sorted(set(ids)))
                self.assertEqual(l.got, expected)
        print(f"{len(expected)} events acknowledged, {self.kills} restarts, "
              f"{story.retries} retries, {len(listeners)} subscribers: "
              f"{len(listeners) * len(expected)} deliveries, each once")


class AcrossReloadAndDrain(ExactlyOnce):
    """The same when it is asked politely: SIGHUP and SIGTERM in turn."""

    kills = 6

    def end(self, g, life):
        if life % 2 == 0:
            g.signal(1)
            g.wait_log("configuration reloaded")
        else:
            self.assertEqual(g.stop(), 0)
            g.start()


class FromTheStore(ExactlyOnce):
    """The same with windows so small that everybody reads history."""

    conf = "window-events = 1"
    kills = 4


if __name__ == "__main__":
    main()
