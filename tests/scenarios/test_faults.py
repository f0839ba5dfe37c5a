"""A disk that is full, read-only, slow or broken: nobody is lied to."""

import errno
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import tempfile
import unittest

import preload
from gateway import Gateway, STREAMS, TRANSPORTS, Wire, main
from post import Publisher, events_path, is_problem, lines, post


class Disk(preload.Fields):
    """What the preloaded disk.c does."""

    FIELDS = ("fail", "stall", "waiting", "syncs", "fail_sync")

    def __init__(self, case):
        super().__init__(case, "disk")


class Failing(unittest.TestCase):
    """The common story: the store fails for a while, and then does not."""

    size = 10000
    all_fails = True
    conf = """
window-events = 5
channel "memory" { durability = memory }
"""

    def gateway_on(self, disk, **options):
        self.gateway = g = Gateway(self.conf, **options)
        self.addCleanup(g.close)
        if disk is not None:
            g.env.update(disk.env, DISK_DIRECTORY=g.dir)
        return g.start()

    def publish(self, data, key=None, channel="a"):
        """Status, headers and answer of one event of ten kilobytes."""
        head = [("Content-Type", "text/plain")]
        if key is not None:
            head.append(("Idempotency-Key", key))
        with Publisher(self.gateway) as p:
            return p.publish(channel, (data + " ").ljust(self.size, "."),
                             *head)

    def everything(self, channel="a"):
        events, cursor, more = [], "start", True
        while more:
            answer = self.gateway.poll(channel, after=cursor, limit=1000)
            events += [(e["id"], e["data"].split()[0])
                       for e in answer["events"]]
            cursor, more = answer["cursor"], answer.get("more")
        return events

    def until_refused(self, stored, reason):
        for n in range(5000):
            status, headers, answer = self.publish(f"n{n}", f"k{n}")
            if status != 201:
                is_problem(self, status, headers, answer, 503)
                self.assertRegex(answer["detail"], reason)
                return n
            stored.append((answer["id"], f"n{n}"))
        raise AssertionError("it never failed")

    def unready(self, reason):
        """Not ready, and told why; alive all the same."""
        g = self.gateway

        def told():
            answers = [g.request("GET", "/readyz", api=api)
                       for api in (False, True)]
            store = g.get("/v1/stats", api=True)[1]["store"]
            if ([a[0] for a in answers] != [503, 503] or store["healthy"] or
                    g.metric("store_healthy") != 0):
                # What fits may have been tried in between.
                self.publish("x")
                return None
            return [json.loads(a[2])["detail"] for a in answers] + [
                store["reason"]]

        for text in g.until(told, "that it is not ready"):
            self.assertRegex(text, reason)
        for api in (False, True):
            self.assertEqual(g.request("GET", "/healthz", api=api)[0], 200)

    def streams_go_on(self, subscribers, stored):
        """Who listened, who comes back, who comes anew: all are served."""
        g = self.gateway
        for s in subscribers:
            self.assertEqual([s.event()["id"] for _ in stored],
                             [i for i, _ in stored])
        for transport in TRANSPORTS:
            for cursor, expected in ((stored[-2][0], stored[-1:]),
                                     ("start", stored)):
                s = transport(g, "a", cursor, limit=1000)
                self.assertEqual([e["id"] for e in s.events(len(expected))],
                                 [i for i, _ in expected])
                s.close()
        # Channels in memory need no store.
        s = STREAMS[0](g, "memory", "start")
        receipt = g.publish("memory", 1)
        events = [s.event()]
        while events[-1]["id"] != receipt["id"]:
            events.append(s.event())
        s.close()

    def story(self, spoil, mend, reason):
        """`spoil` makes the store fail, `mend` makes it work again."""
        g = self.gateway
        subscribers = [t(g, "a", "start") for t in TRANSPORTS]
        stored = []
        for n in range(20):
            status, _, answer = self.publish(f"b{n}")
            self.assertEqual(status, 201)
            stored.append((answer["id"], f"b{n}"))
        spoil()
        refused = self.until_refused(stored, reason)
        self.unready(reason)
        self.streams_go_on(subscribers, stored)
        if self.all_fails:
            self.refuses_everything(reason)
        mend()
        g.until(lambda: g.request("GET", "/readyz")[0] == 200, "recovery")
        g.until_metric(1, "store_healthy")
        # What was refused was not stored: its key is free.
        status, _, answer = self.publish("again", f"k{refused}")
        self.assertEqual((status, answer["duplicate"]), (201, False))
        stored.append((answer["id"], "again"))
        for s in subscribers:
            self.assertEqual(s.event()["id"], answer["id"])
            s.close()
        self.assertEqual(self.everything(), stored)
        g.kill9()
        g.start()
        self.assertEqual(self.everything(), stored)
        return stored

    def refuses_everything(self, reason):
        g = self.gateway
        with Publisher(g) as p:
            is_problem(self, *p.batch(lines(
                [{"channel": "a", "data": "x" * self.size}] * 3)), 503)
        status, _, answer = g.request("DELETE", "/v1/channels/a", api=True)
        self.assertEqual(status, 503)
        self.assertRegex(json.loads(answer)["detail"], reason)


class FailingWrites(Failing):
    def test_a_disk_that_is_full_read_only_or_broken(self):
        for number, reason in ((errno.ENOSPC, "[Nn]o space left"),
                               (errno.EROFS, "Read-only file system"),
                               (errno.EIO, "Input/output error"),
                               (errno.EDQUOT, "quota")):
            with self.subTest(errno=errno.errorcode[number]):
                disk = Disk(self)
                g = self.gateway_on(disk)
                log = []

                def mend():
                    log.extend(l for l in g.lines if "events are refused" in l)
                    disk.set(fail=0)
                    g.wait_log("info store: events are accepted again")

                self.story(lambda: disk.set(fail=number), mend, reason)
                # Said once, however many were refused.
                self.assertEqual(len(log), 1)
                self.assertRegex(log[0], " error store: .*" + reason)
                g.close()

    def test_the_end_comes_also_while_the_disk_is_full(self):
        disk = Disk(self)
        g = self.gateway_on(disk)
        stored = [(g.publish("a", f"n{n}")["id"], f"n{n}")
                  for n in range(10)]
        disk.set(fail=errno.ENOSPC)
        self.until_refused(stored, "[Nn]o space left")
        self.assertEqual(g.stop(), 0)
        disk.set(fail=0)
        g.start()
        self.assertEqual(self.everything(), stored)
        # The ids of what was refused may be skipped, never given again.
        self.assertEqual(self.publish("after")[0], 201)
        self.assertEqual([d for _, d in self.everything()][-1], "after")

    def test_what_was_acknowledged_last_is_there_after_all(self):
        """Events that come quickly are rows of the database a little later."""
        for number, end in enumerate(("kill9", "stop", "go on")):
            with self.subTest(end=end):
                disk = Disk(self)
                g = self.gateway_on(disk)
                stored = []
                with Publisher(g) as p:
                    for n in range(5000):
                        if n == 40 + number:
                            disk.set(fail=errno.ENOSPC)
                        status, _, answer = p.publish(
                            "a", f"n{n} ".ljust(self.size, "."))
                        if status != 201:
                            break
                        stored.append((answer["id"], f"n{n}"))
                self.assertEqual(status, 503)
                self.assertGreaterEqual(len(stored), 40 + number)
                if end != "go on":
                    getattr(g, end)()
                disk.set(fail=0)
                if end != "go on":
                    g.start()
                g.until(lambda: g.request("GET", "/readyz")[0] == 200)
                self.assertEqual(self.publish("after")[0], 201)
                self.assertEqual(self.everything()[:-1], stored)
                g.close()

    def test_a_sync_that_fails_is_no_acknowledgement(self):
        self.conf = 'channel "full" { durability = full }'
        disk = Disk(self)
        g = self.gateway_on(disk)
        self.assertEqual(self.publish("1", channel="full")[0], 201)
        disk.set(fail=errno.EIO)
        self.assertEqual(self.publish("2", channel="full")[0], 503)
        disk.set(fail=0)
        g.until(lambda: g.request("GET", "/readyz")[0] == 200)
        self.assertEqual(self.publish("3", channel="full")[0], 201)

    def test_what_could_not_be_synced_is_not_there(self):
        """Neither for readers, nor for a retry, nor as a row of its own."""
        self.conf = 'channel "full" { durability = full }'
        disk = Disk(self)
        g = self.gateway_on(disk)
        stored = []
        for n in range(3):
            status, _, answer = self.publish(f"a{n}", f"a{n}", "full")
            self.assertEqual(status, 201)
            stored.append((answer["id"], f"a{n}"))
        disk.set(fail_sync=errno.EIO)
        for n in range(3):
            self.assertEqual(self.publish(f"b{n}", f"b{n}", "full")[0], 503)
        self.assertEqual(self.everything("full"), stored)
        disk.set(fail_sync=0)
        g.until(lambda: g.request("GET", "/readyz")[0] == 200)
        for n in range(3):
            status, _, answer = self.publish(f"b{n}", f"b{n}", "full")
            self.assertEqual((status, answer["duplicate"]), (201, False))
            stored.append((answer["id"], f"b{n}"))
            self.assertEqual(self.everything("full"), stored)
        g.kill9()
        g.start()
        self.assertEqual(self.everything("full"), stored)

    def test_only_full_durability_syncs_every_commit(self):
        self.conf = 'channel "full" { durability = full }'
        disk = Disk(self)
        g = self.gateway_on(disk)
        for channel in ("full", "normal"):
            g.publish(channel, 0)
        before = disk.get("syncs")
        for n in range(50):
            g.publish("normal", n)
        between = disk.get("syncs")
        for n in range(50):
            g.publish("full", n)
        self.assertLess(between - before, 10)
        self.assertGreaterEqual(disk.get("syncs") - between, 50)


class FailingPayloads(FailingWrites):
    """Large payloads have files of their own: the same stories again."""

    size = 40000


class Stalled(Failing):
    """A disk that does not answer at all, as network disks do."""

    conf = Failing.conf + "publish-queue-events = 64"

    def test_streams_go_on_and_what_waited_is_stored_in_the_end(self):
        disk = Disk(self)
        g = self.gateway_on(disk)
        first = [(g.publish("a", f"n{n}")["id"], f"n{n}") for n in range(20)]
        subscribers = [t(g, "a", "start") for t in TRANSPORTS]
        disk.set(stall=1)
        self.addCleanup(disk.set, stall=0)
        waiting = [Wire(g.api_port) for _ in range(3)]
        for n, w in enumerate(waiting):
            w.send(post("/v1/events", lines(
                [{"channel": "a", "data": f"w{n}"}] * 64)))
        g.until(lambda: disk.get("waiting") > 0)
        for s in subscribers:
            self.assertEqual([s.event()["id"] for _ in first],
                             [i for i, _ in first])
        # At most one is with the disk and one in the queue.
        g.until(lambda: g.metric("publish_refused_total") >= 1)
        g.until(lambda: g.request("GET", "/readyz")[0] == 503,
                "a store that is missed")
        self.unready("has not answered for")
        disk.set(stall=0)
        g.until(lambda: g.request("GET", "/readyz")[0] == 200, "recovery")
        g.wait_log(r"warn store: did not answer for \d+ ms")
        ids = []
        for w in waiting:
            status, headers, body = w.response()
            if status == 201:
                ids += json.loads(body)["ids"]
            else:
                is_problem(self, status, headers, json.loads(body), 503)
            w.close()
        self.assertTrue(ids)
        self.assertEqual([i for i, _ in self.everything()],
                         [i for i, _ in first] + sorted(
                             ids, key=lambda i: int(i.split("-")[1])))
        for s in subscribers:
            self.assertEqual([s.event()["id"] for _ in ids],
                             [i for i, _ in self.everything()][20:])
            s.close()


class Limits(Failing):
    """Without any tricks: limits and locks that the system has itself."""

    def test_a_file_that_may_not_grow(self):
        self.all_fails = False
        g = self.gateway_on(None)

        def limit(bytes):
            resource.prlimit(g.process.pid, resource.RLIMIT_FSIZE,
                             (bytes, resource.RLIM_INFINITY))

        self.story(lambda: limit(os.path.getsize(g.store + "-wal") + 200000),
                   lambda: limit(resource.RLIM_INFINITY), "File too large")

    def test_a_file_of_payloads_that_may_not_grow(self):
        # What is small has room all the while.
        self.size, self.all_fails = 40000, False
        g = self.gateway_on(None)

        def limit(bytes):
            resource.prlimit(g.process.pid, resource.RLIMIT_FSIZE,
                             (bytes, resource.RLIM_INFINITY))

        self.story(lambda: limit(2000000),
                   lambda: limit(resource.RLIM_INFINITY), "File too large")

    def test_somebody_else_holds_the_lock(self):
        g = self.gateway_on(None)
        other = sqlite3.connect(g.store, isolation_level=None)
        self.addCleanup(other.close)
        self.story(lambda: other.execute("BEGIN IMMEDIATE"),
                   lambda: other.execute("ROLLBACK"), "locked")

    def test_a_lock_is_waited_for_once_and_not_by_each(self):
        g = self.gateway_on(None)
        g.publish("a", "first")
        other = sqlite3.connect(g.store, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        with Publisher(g) as p:
            p.ask(events_path("a"), "1")
            for n in range(39):
                p.send(post(events_path("a"), str(n)))
            for _ in range(40):
                is_problem(self, *p.answer(), 503)
        self.assertEqual(g.publish("memory", 1)["durable"], "memory")
        other.execute("ROLLBACK")
        g.until(lambda: g.request("GET", "/readyz")[0] == 200)
        g.publish("a", "last")
        self.assertEqual([d for _, d in self.everything()],
                         ["first", "last"])


@unittest.skipUnless(os.geteuid() == 0, "only root may mount")
class SmallDisk(Failing):
    """A file system of its own, of two megabytes."""

    def setUp(self):
        self.place = tempfile.mkdtemp(prefix="spillway-mount-")
        self.addCleanup(os.rmdir, self.place)
        self.mount("-t", "tmpfs", "-o", "size=2m", "tmpfs", self.place)
        self.addCleanup(subprocess.run, ["umount", "-l", self.place],
                        check=True)
        self.store = self.place + "/spillway.db"

    @staticmethod
    def mount(*args):
        subprocess.run(["mount", *args], check=True)

    def fill(self):
        """Take all that is left."""
        with open(self.place + "/ballast", "ab", buffering=0) as f:
            for size in (65536, 4096, 1):
                try:
                    while f.write(b"x" * size) == size:
                        pass
                except OSError as e:
                    self.assertEqual(e.errno, errno.ENOSPC)

    def test_it_fills_up_by_itself_and_is_cleared(self):
        self.gateway_on(None, store=self.store)
        self.story(self.fill, lambda: os.unlink(self.place + "/ballast"),
                   "[Nn]o space left")

    def test_a_start_without_space_says_so(self):
        self.fill()
        self.gateway = g = Gateway(self.conf, store=self.store)
        self.addCleanup(g.close)
        g.start(expect_failure=True)
        self.assertEqual(g.wait_end(), 1)
        self.assertTrue(any("error store: " in l and self.store in l and
                            "no space left" in l for l in g.lines), g.lines)
        os.unlink(self.place + "/ballast")
        g.start()
        self.assertEqual(self.publish("1")[0], 201)

    def test_a_start_on_a_read_only_disk_says_so(self):
        g = self.gateway_on(None, store=self.store)
        stored = [(g.publish("a", f"n{n}")["id"], f"n{n}")
                  for n in range(30)]
        g.stop()
        self.mount("-o", "remount,ro", self.place)
        g.start(expect_failure=True)
        self.assertEqual(g.wait_end(), 1)
        self.assertTrue(any("error store: " in l and self.place in l and
                            "Read-only file system" in l
                            for l in g.lines), g.lines)
        self.mount("-o", "remount,rw", self.place)
        g.start()
        self.assertEqual(self.everything(), stored)

    def test_a_crash_on_a_disk_that_is_full(self):
        """What the crash left is served; what comes, when there is room."""
        g = self.gateway_on(None, store=self.store)
        with Publisher(g) as p:
            stored = [(p.publish("a", f"n{n} ".ljust(self.size, "."))[2]["id"],
                       f"n{n}") for n in range(20)]
        g.kill9()
        self.fill()
        g.start()
        self.assertEqual(self.everything(), stored)
        for transport in TRANSPORTS:
            s = transport(g, "a", stored[3][0])
            self.assertEqual([e["id"] for e in s.events(16)],
                             [i for i, _ in stored[4:]])
            s.close()
        refused = self.until_refused(stored, "[Nn]o space left")
        self.assertEqual(self.everything(), stored)
        os.unlink(self.place + "/ballast")
        g.until(lambda: g.request("GET", "/readyz")[0] == 200, "recovery")
        status, _, answer = self.publish("again", f"k{refused}")
        self.assertEqual((status, answer["duplicate"]), (201, False))
        stored.append((answer["id"], "again"))
        self.assertEqual(self.everything(), stored)
        g.kill9()
        g.start()
        self.assertEqual(self.everything(), stored)

    def test_a_crash_on_a_disk_that_turned_read_only(self):
        """What the crash left is enough to read: history is served."""
        g = self.gateway_on(None, store=self.store)
        stored = [(g.publish("a", f"n{n}")["id"], f"n{n}")
                  for n in range(30)]
        g.kill9()
        self.mount("-o", "remount,ro", self.place)
        g.start()
        self.assertEqual(self.everything(), stored)
        for transport in TRANSPORTS:
            s = transport(g, "a", stored[3][0])
            self.assertEqual([e["id"] for e in s.events(26)],
                             [i for i, _ in stored[4:]])
            s.close()
        status, _, answer = self.publish("x")
        self.assertEqual(status, 503)
        self.assertRegex(answer["detail"], "read-?only")
        self.unready("read-?only")
        self.assertEqual(g.stop(), 0)
        self.mount("-o", "remount,rw", self.place)
        g.start()
        self.assertEqual(self.publish("after")[0], 201)
        self.assertEqual(self.everything()[:-1], stored)


class Displaced(Failing):
    """Files that are taken away from under the daemon, by rm or by mv."""

    reason = "database file was removed, renamed or replaced"

    def setUp(self):
        self.gateway = g = Gateway(self.conf)
        self.addCleanup(g.close)
        self.place, self.aside = g.dir + "/state", g.dir + "/aside"
        os.mkdir(self.place)
        g.store = self.place + "/spillway.db"
        g.configure(self.conf)
        g.start()

    def test_a_directory_that_is_renamed_and_back(self):
        self.story(lambda: os.rename(self.place, self.aside),
                   lambda: os.rename(self.aside, self.place), self.reason)

    def test_another_file_in_its_place(self):
        def replace():
            os.rename(self.gateway.store, self.aside)
            shutil.copy(self.aside, self.gateway.store)

        self.story(replace,
                   lambda: os.rename(self.aside, self.gateway.store),
                   self.reason)

    def test_what_is_removed_acknowledges_nothing_more(self):
        for name in ("", "-wal"):
            g = self.gateway
            self.assertEqual(self.publish("1")[0], 201)
            os.unlink(g.store + name)
            self.until_refused([], self.reason)
            self.unready(self.reason)
            # Not for those who look alone: history is there until the end.
            self.assertEqual(self.everything()[0][1], "1")
            self.assertEqual(g.stop(), 0)
            g.start()
            self.assertEqual(self.publish("2")[0], 201)
            g.api("DELETE", "/v1/channels/a")


class SmallDiskOfPayloads(SmallDisk):
    size = 40000


if __name__ == "__main__":
    main()
