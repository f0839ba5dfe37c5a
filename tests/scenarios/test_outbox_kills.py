"""kill -9 at random: the backend hears of all, and in order.

WebSockets and sessions send messages that are queued, streams come and go, the
backend fails now and then, and the gateway is killed and started again. Every
message that was acknowledged arrives, every end of a stream that was stored
before an acknowledgement as well, and in each connection (for requests: each
session) nothing is first seen before what went before it, and nothing behind
its end; and every stream that came has one, whoever is left to tell it. With 20 kills these are 10,000 messages.
"""

import http.client
import json
import os
import random
import re
import threading
import unittest

from bridge_backend import SECRET, Backend
from gateway import GUARD, Closed, EventStream, Gateway, WebSocket

KILLS = int(os.environ.get("SPILLWAY_KILLS", "20"))
PER_LIFE = 480          # acknowledged between two kills, about
BURST = 20              # messages of a WebSocket at once
SEED = int(os.environ.get("SPILLWAY_SEED", "0")) or random.randrange(1 << 30)
LOST = (OSError, EOFError, Closed, ValueError, http.client.HTTPException)


class Actor(threading.Thread):
    """Does one thing again and again, whatever happens to the gateway."""

    def __init__(self, story, number):
        super().__init__(daemon=True)
        self.story, self.number, self.error = story, number, None

    def run(self):
        try:
            while not self.story.enough.is_set():
                try:
                    self.act()
                except LOST:
                    self.story.wait_life()
        except Exception as e:  # reported by the test
            self.error = e
            self.story.enough.set()


class Socket(Actor):
    """Sends over a WebSocket; a new one for every life of the gateway."""

    connections = 0

    def act(self):
        self.connections += 1
        ws = WebSocket(self.story.gateway.port, "/stream/told")
        try:
            lane, n = f"ws-{self.number}-{self.connections}", 1
            while not self.story.enough.is_set():
                burst = range(n, n + BURST)
                for n in burst:
                    ws.command(op="send", channel="told", data=[lane, n],
                               ref=n)
                for n in burst:
                    self.await_answer(ws, n)
                    self.story.acknowledge(lane, n)
                n += 1
        finally:
            ws.close()

    @staticmethod
    def await_answer(ws, ref):
        while True:
            message = json.loads(ws.read()[1])
            if message.get("ref") == ref:
                assert message["op"] == "ok", message
                return


class Session(Actor):
    """Sends requests; one without an answer again, with the same number."""

    n = 1

    def act(self):
        lane = f"session-{self.number}"
        status = self.story.post([lane, self.n], f"?session={lane}"
                                                 f"&seq={self.n}")
        if status == 202:
            self.story.acknowledge(lane, self.n)
            self.n += 1


class Visitor(Actor):
    """Opens a stream and leaves; a message behind it proves it is stored."""

    visits = 0

    def act(self):
        self.visits += 1
        visit = f"visit-{self.number}-{self.visits}"
        life = self.story.life
        es = EventStream(self.story.gateway.port, "/stream/told",
                         headers=[("Cookie", visit)])
        hello = json.loads(es.block()[1])
        es.close()
        self.story.wait_closed(hello["connection"], life)
        if self.story.post([visit, 0]) == 202 and self.story.life == life:
            self.story.acknowledge(visit, 0)
            self.story.gone.add(visit)


class Guest(Actor):
    """Is let in by the backend; some stay until the gateway is killed."""

    visits = 0

    def act(self):
        self.visits += 1
        story, life = self.story, self.story.life
        es = EventStream(story.gateway.port, "/stream/asked")
        try:
            if es.status != 200:
                return  # the backend has failed
            story.guests.add(json.loads(es.block()[1])["connection"])
            if self.visits % 2 == 0:
                with story.changed:
                    story.changed.wait_for(
                        lambda: story.life != life or story.enough.is_set(),
                        GUARD)
        finally:
            es.close()


class Story:
    def __init__(self, gateway):
        self.gateway, self.life = gateway, 0
        self.changed = threading.Condition()
        self.enough = threading.Event()
        self.acknowledged, self.gone, self.running = [], set(), True
        self.guests = set()

    def acknowledge(self, lane, n):
        with self.changed:
            self.acknowledged.append((lane, n))
            self.changed.notify_all()

    def wait_acknowledged(self, count):
        with self.changed:
            return self.changed.wait_for(
                lambda: len(self.acknowledged) >= count or
                self.enough.is_set(), GUARD)

    def wait_life(self):
        with self.changed:
            self.changed.wait_for(lambda: self.running, GUARD)

    def end(self):
        self.enough.set()
        with self.changed:
            self.changed.notify_all()

    def kill(self):
        with self.changed:
            self.running = False
        self.gateway.kill9()
        self.gateway.start()
        with self.changed:
            self.life += 1
            self.running = True
            self.changed.notify_all()

    def wait_closed(self, connection, life):
        """The gateway has noticed; or that life of it is over."""
        mark = f"closed id={connection} "
        g = self.gateway
        with g.changed:
            g.changed.wait_for(lambda: self.life != life or g.ended or any(
                mark in line for line in g.lines), GUARD)
        if self.life != life or not any(mark in line for line in g.lines):
            raise EOFError

    def post(self, body, query=""):
        return self.gateway.request(
            "POST", "/stream/told" + query, json.dumps(body),
            {"Content-Type": "application/json"})[0]


class Kills(unittest.TestCase):
    def setUp(self):
        self.random = random.Random(SEED)
        self.fails = True
        self.reasons = set()
        self.backend = Backend(self.answer)
        self.addCleanup(self.backend.close)
        # One worker: what is acknowledged later was stored later.
        self.gateway = Gateway(f"""
backend = "http://127.0.0.1:{self.backend.port}"
bridge-secret = "{SECRET}"
bridge-header = "Cookie"
outbox-retry-max = "50ms"
backend-fail-time = "20ms"
max-connections-per-address = 0
channel "told" {{ send = bridge  message-mode = queue  bridge-presence = yes }}
channel "asked" {{ bridge-connect = yes  bridge-presence = yes }}
""", workers=1)
        self.addCleanup(self.gateway.close)
        self.gateway.start()

    def answer(self, _):
        chance = self.random.random() if self.fails else 1
        return (500 if chance < 0.1 else 503 if chance < 0.12 else 204,
                None, b"")

    def first_seen(self):
        """What the backend was told of each lane, repetitions left out."""
        seen = {}
        for event in self.backend.events:
            if event.type == "spillway.message":
                lane, n = json.loads(event.body)
                seen.setdefault(lane, {})[n] = True
        return seen

    def check_connections(self):
        """All that one did, in its order: coming, messages, going.

        Returns those that went.
        """
        told, last, lives, ended, seen = set(), {}, {}, set(), set()
        for event in self.backend.events:
            name = event.headers["webhook-id"]
            kind, life, number = re.match(r"(evt|end)_(.*)_(\d+)$|",
                                          name).groups()
            # A message of a session has no number of its own.
            if name in told or kind is None:
                continue
            told.add(name)
            connection = event.headers["ce-connection"]
            # No other life has a connection of this number.
            self.assertEqual(lives.setdefault(connection, life), life,
                             (connection, f"seed {SEED}"))
            if event.type == "spillway.disconnect":
                ended.add(connection)
                self.reasons.add(json.loads(event.body)["reason"])
                continue
            if event.type == "spillway.subscribe":
                seen.add(connection)
            # What is not stored may be read late, from a gateway that is dead.
            if event.headers.get("ce-channel") == "asked":
                continue
            self.assertNotIn(connection, ended, f"seed {SEED}")
            # Numbers ascend in each life.
            self.assertGreater(int(number), last.get(connection, 0),
                               (connection, f"seed {SEED}"))
            last[connection] = int(number)
        # Of whoever came, it was told that they went.
        self.assertEqual(seen - ended, set(), f"seed {SEED}")
        self.assertIn("crash", self.reasons, f"seed {SEED}")
        return ended

    def test_nothing_is_lost_and_nothing_changes_places(self):
        story = Story(self.gateway)
        actors = [kind(story, n)
                  for kind in (Socket, Session, Visitor, Guest)
                  for n in range(3)]
        for actor in actors:
            actor.start()
        count = 0
        for n in range(KILLS):
            count = n * PER_LIFE + self.random.randint(1, PER_LIFE)
            self.assertTrue(story.wait_acknowledged(count), f"seed {SEED}")
            if story.enough.is_set():
                break
            story.kill()
        story.wait_acknowledged((KILLS + 1) * PER_LIFE)
        story.end()
        for actor in actors:
            actor.join(GUARD)
            self.assertIsNone(actor.error, f"seed {SEED}")
        self.fails = False
        self.gateway.until_metric(0, "outbox_wills")
        self.wait_empty()
        self.check(story)
        self.assertEqual(story.guests - self.check_connections(), set(),
                         f"seed {SEED}")

    def wait_empty(self):
        """However many they are: as long as they become less."""
        waiting = self.gateway.metric("outbox_waiting")
        while waiting > 0:
            less = waiting
            self.gateway.until(
                lambda: self.gateway.metric("outbox_waiting") < less)
            waiting = self.gateway.metric("outbox_waiting")

    def check(self, story):
        seen = self.first_seen()
        self.assertGreaterEqual(len(story.acknowledged),
                                (KILLS + 1) * PER_LIFE, f"seed {SEED}")
        for lane, n in story.acknowledged:
            self.assertIn(n, seen.get(lane, {}), (lane, f"seed {SEED}"))
        for lane, numbers in seen.items():
            self.assertEqual(list(numbers), sorted(numbers),
                             (lane, f"seed {SEED}"))
        told = {e.headers["Cookie"] for e in self.backend.events
                if e.type == "spillway.disconnect"}
        self.assertGreater(len(story.gone), 0, f"seed {SEED}")
        self.assertEqual(story.gone - told, set(), f"seed {SEED}")


if __name__ == "__main__":
    unittest.main()
