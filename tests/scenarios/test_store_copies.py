"""A store is copied while it is in use, put back, and older than the daemon."""

import contextlib
import os
import re
import shutil
import sqlite3
import threading
import unittest

from gateway import Gateway, Scenario, main
from test_documents import displays


def statement(word):
    """The SQL with that word that spillway(8) shows."""
    text, = [d for d in displays("spillway.8", "EXAMPLES") if word in d]
    return re.search(r'"(.*)"', text)[1]


def run(path, sql):
    with contextlib.closing(sqlite3.connect(path, timeout=60)) as db:
        rows = db.execute(sql).fetchall()
        db.commit()
        return rows


class Copies(Scenario):
    def publish_all_the_time(self):
        """Small ones and large ones, until it is told to end."""
        def payload(n):
            return "x" * (20000 if n % 50 == 0 else n % 200)

        def go_on():
            for n in range(1000000):
                if over.is_set():
                    return
                answer = self.gateway.publish("a", [n, payload(n)])
                with self.some:
                    self.acked.append(answer["id"])
                    self.some.notify_all()

        self.acked, self.some = [], threading.Condition()
        over = threading.Event()
        thread = threading.Thread(target=go_on)
        thread.start()

        def end():
            over.set()
            thread.join()
        self.addCleanup(end)
        return end

    def await_acked(self, count):
        with self.some:
            self.assertTrue(self.some.wait_for(
                lambda: len(self.acked) >= count, 60))

    def read_all(self, gateway):
        events, after = [], "start"
        while True:
            status, answer = gateway.api(
                "GET", f"/v1/channels/a/events?after={after}&limit=1000")
            self.assertEqual(status, 200)
            events += answer["events"]
            after = answer["cursor"]
            if not answer.get("more"):
                return events

    def test_one_made_while_events_come_has_all_up_to_somewhere(self):
        end = self.publish_all_the_time()
        # The last one is large, which is committed with all before it.
        self.await_acked(401)
        store = self.gateway.store
        other = Gateway()
        self.addCleanup(other.close)
        run(store, statement("VACUUM").replace(
            "/backup/spillway.db", other.store))
        shutil.copytree(store + "-payloads", other.store + "-payloads")
        self.await_acked(len(self.acked) + 100)
        end()
        self.assertEqual(run(other.store, statement("UPDATE state")), [])
        other.start()
        copied = self.read_all(other)
        self.assertGreaterEqual(len(copied), 401)
        self.assertLess(len(copied), len(self.acked))
        mine = self.read_all(self.gateway)
        self.assertEqual([e["id"] for e in mine], self.acked)
        for theirs, ours in zip(copied, mine):
            self.assertEqual(theirs["data"], ours["data"])
            self.assertEqual(theirs["id"].partition("-")[2],
                             ours["id"].partition("-")[2])
        # Who was there before may have lost something, and hears of it.
        answer = other.poll("a", after=self.acked[-1])
        self.assertEqual(answer["gap"]["reason"], "epoch")
        # What is new has an id that nobody has seen.
        new = other.publish("a", "new")["id"]
        self.assertGreater(int(new.partition("-")[2]),
                           int(self.acked[-1].partition("-")[2]))

    def test_a_large_payload_that_went_meanwhile_is_told(self):
        large = self.gateway.publish("a", "x" * 20000)["id"]
        small = self.gateway.publish("a", "y")["id"]
        alone = self.gateway.publish("b", "z")["id"]
        other = Gateway()
        self.addCleanup(other.close)
        run(self.gateway.store, statement("VACUUM").replace(
            "/backup/spillway.db", other.store))
        os.mkdir(other.store + "-payloads")
        other.start()
        other.wait_log("error store: payloads of 1 events are missing")
        self.assertEqual([e["id"] for e in self.read_all(other)], [small])
        self.assertEqual(other.poll("a", after=large)["events"][0]["id"],
                         small)
        self.assertEqual(
            [e["id"] for e in other.poll("b", after="start")["events"]],
            [alone])


class Older(unittest.TestCase):
    """Stores of the versions before, as their schema was."""

    # What the steps have added, the newest first.
    added = {3: ("forgotten", "mark", "mark_ms"), 2: ("tail",),
             1: ("payloads_synced",)}

    def test_each_is_brought_up_to_date_and_says_so(self):
        for version in self.added:
            with self.subTest(version=version):
                self.is_brought_up_to_date(version)

    def is_brought_up_to_date(self, version):
        g = Gateway()
        self.addCleanup(g.close)
        g.start()
        self.assertFalse([l for l in g.lines if "brought up" in l])
        ids = [g.publish("a", n)["id"] for n in range(3)]
        g.stop()
        newest, = run(g.store, "PRAGMA user_version")[0]
        self.assertEqual(max(self.added) + 1, newest)
        for before, names in self.added.items():
            if before >= version:
                run(g.store, "DELETE FROM state WHERE name IN "
                    f"({', '.join(repr(n) for n in names)})")
        run(g.store, f"PRAGMA user_version = {version}")
        g.start()
        g.wait_log(f"info store brought up to date schema={newest} "
                   f"before={version}")
        self.assertEqual(
            [e["id"] for e in g.poll("a", after="start")["events"]], ids)
        g.publish("a", "more")
        g.stop()
        self.assertEqual(run(g.store, "PRAGMA user_version"), [(newest,)])
        # Of one that is, nothing is said.
        g.start()
        self.assertFalse([l for l in g.lines if "brought up" in l])


if __name__ == "__main__":
    main()
