"""A damaged store is refused with a sentence; moved aside only on request."""

import contextlib
import glob
import json
import os
import random
import re
import sqlite3
import unittest

from gateway import Closed, Gateway, STREAMS, Scenario, TRANSPORTS, main

PAGE = 4096


def spoil(path, start, end, bytes=b"\xff"):
    with open(path, "r+b") as f:
        f.seek(start)
        f.write(bytes * (end - start))


def content(path):
    with open(path, "rb") as f:
        return f.read()


class AtRest(unittest.TestCase):
    """Found at the start."""

    def setUp(self):
        self.gateway = g = Gateway()
        self.addCleanup(g.close)
        g.start()
        self.ids = g.batch([{"channel": f"c{n % 50}", "data": "x" * 500}
                            for n in range(3000)])
        g.stop()
        self.sound = content(g.store)

    def damages(self):
        path, size = self.gateway.store, len(self.sound)
        noise = random.Random(1).randbytes(size)
        return {
            "no database at all": lambda: self.write(noise),
            "text": lambda: self.write(b"hello, world\n" * 1000),
            "the header": lambda: spoil(path, 0, 100),
            "the schema": lambda: spoil(path, 100, PAGE),
            "all but the header": lambda: spoil(path, PAGE, size),
            "cut in the first page": lambda: os.truncate(path, 2000),
            "cut behind the first page": lambda: os.truncate(path, PAGE),
            "cut in the middle": lambda: os.truncate(
                path, size // 2 // PAGE * PAGE),
        }

    def write(self, data):
        with open(self.gateway.store, "wb") as f:
            f.write(data)

    def test_it_is_refused_and_left_as_it_is(self):
        g = self.gateway
        for name, damage in self.damages().items():
            with self.subTest(damage=name):
                self.write(self.sound)
                damage()
                damaged = content(g.store)
                for _ in range(2):
                    g.start(expect_failure=True)
                    self.assertEqual(g.wait_end(), 1)
                    store = " store: " + re.escape(g.store)
                    self.assertRegex(
                        "\n".join(g.lines),
                        rf"warn{store}: .+\n.* error{store} is damaged: "
                        r"restore a copy \(see spillway\(8\)\), or set "
                        "corrupt-store")
                    self.assertEqual(content(g.store), damaged)
                self.assertEqual(glob.glob(g.store + ".corrupt*"), [])
        self.write(self.sound)
        g.start()
        self.assertEqual(
            [e["id"] for e in g.poll("c7", after="start")["events"]],
            self.ids[7::50])

    def test_a_key_that_was_never_given_is_damage(self):
        """SQLite finds nothing wrong with it."""
        g = self.gateway
        for key in 0, -5, (1 << 63) - 1:
            with self.subTest(key=key):
                self.write(self.sound)
                with contextlib.closing(sqlite3.connect(g.store)) as store:
                    store.execute("UPDATE channel SET key = ? "
                                  "WHERE name = 'c7'", (key,))
                    store.commit()
                g.start(expect_failure=True)
                self.assertEqual(g.wait_end(), 1)
                self.assertRegex("\n".join(g.lines), "is damaged: restore")

    def test_told_so_it_is_moved_aside_and_clients_hear_of_the_loss(self):
        g = self.gateway
        g.configure('corrupt-store = "move-aside"')
        damage = self.damages()["the header"]
        damage()
        damaged = content(g.store)
        g.start()
        g.wait_log("warn store: damaged, moved aside and begun anew")
        # There is nothing left to do about it.
        self.assertEqual([l for l in g.lines if " error " in l], [])
        kept = glob.glob(g.store + ".corrupt-*")
        self.assertEqual([content(k) for k in kept], [damaged])
        for transport in TRANSPORTS:
            s = transport(g, "c1", self.ids[1])
            gap = s.notice("gap")
            self.assertEqual((gap["reason"], gap["after"]),
                             ("epoch", self.ids[1]))
            s.close()
        id = g.publish("c1", "new")["id"]
        self.assertNotEqual(id.split("-")[0], self.ids[0].split("-")[0])
        # Once: the new one is sound.
        g.restart()
        self.assertEqual([e["id"] for e in
                          g.poll("c1", after="start")["events"]], [id])
        self.assertEqual(glob.glob(g.store + ".corrupt-*"), kept)

    def test_what_is_only_unreadable_is_not_moved_aside(self):
        """Another program's database, a directory: that is no damage."""
        g = self.gateway
        g.configure('corrupt-store = "move-aside"')
        os.unlink(g.store)
        os.mkdir(g.store)
        g.start(expect_failure=True)
        self.assertEqual(g.wait_end(), 1)
        self.assertTrue(os.path.isdir(g.store))
        self.assertEqual(glob.glob(g.store + ".corrupt*"), [])

    def test_an_empty_file_is_a_new_store(self):
        g = self.gateway
        self.write(b"")
        g.start()
        self.assertEqual(g.poll("c1", after="start")["events"], [])

    def test_a_limit_that_is_below_what_it_has_is_named(self):
        g = self.gateway
        g.configure("max-channels = 49")
        g.start(expect_failure=True)
        self.assertEqual(g.wait_end(), 1)
        errors = [l.partition(" error ")[2] for l in g.lines if " error " in l]
        self.assertEqual(errors, [
            f"store: {g.store} has more channels than max-channels allows: "
            "raise it", "not started"])
        g.configure("max-channels = 50")
        g.start()

    def test_an_older_copy_gets_another_name_as_the_manual_says(self):
        """Its ids are given again: who has seen them is told of a loss."""
        g = self.gateway
        g.start()
        seen = g.publish("c7", "lost")["id"]
        g.stop()
        self.write(self.sound)
        with open(os.path.join(os.path.dirname(__file__),
                               "../../conf/spillway.8"),
                  encoding="utf-8") as f:
            order, = re.findall(r'"(UPDATE state .*)"$', f.read(), re.M)
        with sqlite3.connect(g.store) as db:
            db.execute(order.replace("\\-", "-"))
        db.close()
        g.start()
        self.assertEqual(g.publish("c7", "again")["id"].partition("-")[2],
                         seen.partition("-")[2])
        answer = g.poll("c7", after=seen, limit=1000)
        self.assertEqual(answer["gap"]["reason"], "epoch")
        self.assertEqual([e["data"] for e in answer["events"]],
                         ["x" * 500] * 60 + ["again"])


class WhileRunning(Scenario):
    """Found when history is read: that fails, and nothing else does."""

    conf = "window-events = 1"
    large = False

    def setUp(self):
        super().setUp()
        g = self.gateway
        self.data = "x" * (40000 if self.large else 500)
        self.ids = [i for _ in range(30) for i in g.batch(
            [{"channel": "a", "data": self.data}] * 100)]
        # Everything is in the database, and in nobody's memory.
        g.restart()
        self.damage()

    def damage(self):
        size = os.path.getsize(self.gateway.store)
        spoil(self.gateway.store, size // 3 // PAGE * PAGE,
              size * 2 // 3 // PAGE * PAGE)

    def prefix(self, s):
        """What comes until the stream ends: no event may be wrong."""
        got = []
        while len(got) < len(self.ids):
            e = s.event()
            self.assertEqual(e["data"], self.data)
            got.append(e["id"])
        raise AssertionError("the damage was not seen")

    def test_reading_ends_with_a_reason_and_live_events_go_on(self):
        g = self.gateway
        live = [t(g, "a") for t in TRANSPORTS]
        for s in live:
            s.notice("caughtup")
        for transport in self.each():
            s = transport(g, "a", "start")
            with self.assertRaises(Closed) as closed:
                self.prefix(s)
            if transport.name == "ws":
                self.assertEqual(closed.exception.code, 1011)
            elif transport not in STREAMS:
                self.assertEqual(closed.exception.code, 503)
            s.close()
        g.wait_log("warn store: reading history failed: .*")
        status, headers, body = g.request(
            "GET", "/v1/channels/a/events?after=start", api=True)
        self.assertEqual((status, json.loads(body)["status"]), (503, 503))
        self.assertIn("retry-after", headers)
        for n in range(5):
            id = g.publish("a", n)["id"]
            for s in live:
                self.assertEqual(s.event()["id"], id)
        for s in live:
            s.close()
        # What is newer than the damage is read as ever.
        for transport in self.each():
            s = transport(g, "a", self.ids[-50])
            self.assertEqual([e["id"] for e in s.events(49)],
                             self.ids[-49:])
            s.close()


class LostPayloads(WhileRunning):
    """The same with the files of large payloads cut."""

    large = True

    def files(self):
        return sorted(glob.glob(self.gateway.store + "-payloads/*"))

    def damage(self):
        # The one with the oldest events that are history still.
        self.assertGreaterEqual(len(self.files()), 5)
        os.truncate(self.files()[-5], 1000000)

    def test_at_the_next_start_the_channels_begin_behind_the_loss(self):
        g = self.gateway
        cut = self.files()[-5]
        g.restart()
        g.wait_log("error store: payloads of [0-9]+ events are missing")
        answer = g.poll("a", after=self.ids[0])
        oldest = answer["events"][0]["id"]
        self.assertEqual((answer["gap"]["reason"], answer["gap"]["first"]),
                         ("trimmed", oldest))
        kept = self.ids[self.ids.index(oldest):]
        self.assertGreater(len(kept), 1000)
        for transport in self.each(STREAMS):
            s = transport(g, "a", "start")
            self.assertEqual([e["id"] for e in s.events(len(kept))], kept)
            s.close()
        # And it is said once: now the store says so itself.
        g.restart()
        self.assertFalse([l for l in g.lines if "are missing" in l])
        self.assertEqual(
            g.poll("a", after="start")["events"][0]["id"], oldest)
        self.assertTrue(os.path.exists(os.path.dirname(cut)))


if __name__ == "__main__":
    main()
