"""Loss is told: exactly when something is missing, and exactly what."""

import threading

from gateway import (GUARD, STREAMS, Closed, Gateway, Scenario,
                     ShortSubscriber, WebSocket, Wire, WsSubscriber, main,
                     request_head)


def parts(cursor):
    epoch, _, seq = cursor.partition("-")
    return epoch, int(seq)


class Gaps(Scenario):
    conf = 'channel "short*" { history-events = 10 }'

    def fill(self, channel, count):
        return self.gateway.batch([{"channel": channel, "data": n}
                                   for n in range(count)])

    def without_gap(self, s, count):
        """The ids of so many events, with no loss told before the last."""
        ids = []
        while len(ids) < count:
            e = s.next()
            self.assertNotEqual(e["type"], "spillway.gap", e)
            if "id" in e:
                ids.append(e["id"])
        return ids

    def test_a_cursor_older_than_what_is_kept(self):
        ids = self.fill("short", 50)
        kept = ids[-10:]
        for transport in self.each():
            for cursor in (ids[0], ids[38]):
                s = transport(self.gateway, "short", cursor)
                gap = s.notice("gap")
                self.assertEqual(
                    gap, {"type": "spillway.gap", "reason": "trimmed",
                          "after": cursor, "first": kept[0]})
                self.assertEqual([e["id"] for e in s.events(10)], kept)
                s.notice("caughtup")
                s.close()

    def test_a_cursor_just_old_enough_misses_nothing(self):
        ids = self.fill("short", 50)
        for transport in self.each():
            s = transport(self.gateway, "short", ids[39])
            self.assertEqual(self.without_gap(s, 10), ids[40:])
            s.close()

    def test_replaying_all_that_is_kept_is_no_loss(self):
        ids = self.fill("short", 50)
        self.check_replay_of_all_that_is_kept(ids)
        # Once more when the rows that are not kept are gone from the store.
        self.gateway.until(
            lambda: self.gateway.metric("store_removed_total") == 40)
        self.check_replay_of_all_that_is_kept(ids)

    def check_replay_of_all_that_is_kept(self, ids):
        for transport in self.each():
            s = transport(self.gateway, "short", "start")
            self.assertEqual(self.without_gap(s, 10), ids[-10:])
            s.close()
            s = transport(self.gateway, "short", None, last=30)
            self.assertEqual(self.without_gap(s, 10), ids[-10:])
            s.close()

    def test_a_cursor_of_another_log(self):
        ids = self.fill("a", 3)
        for transport in self.each():
            s = transport(self.gateway, "a", "zzzzz-2")
            self.assertEqual(
                s.notice("gap"), {"type": "spillway.gap", "reason": "epoch",
                                  "after": "zzzzz-2", "first": ids[0]})
            self.assertEqual([e["id"] for e in s.events(3)], ids)
            s.close()

    def test_one_loss_is_told_once(self):
        """Also where the other log had no event, and this one is trimmed."""
        ids = self.fill("short", 50)
        for transport in self.each():
            s = transport(self.gateway, "short", "zzzzz-0")
            self.assertEqual(
                s.notice("gap"), {"type": "spillway.gap", "reason": "epoch",
                                  "after": "zzzzz-0", "first": ids[40]})
            self.assertEqual([e["id"] for e in s.events(10)], ids[40:])
            s.close()

    def test_a_cursor_ahead_of_the_head(self):
        ids = self.fill("a", 3)
        epoch, seq = parts(ids[-1])
        ahead = f"{epoch}-{seq + 1}"
        for transport in self.each():
            s = transport(self.gateway, "a", ahead)
            self.assertEqual(
                s.notice("gap"), {"type": "spillway.gap", "reason": "ahead",
                                  "after": ahead, "first": ids[0]})
            self.assertEqual([e["id"] for e in s.events(3)], ids)
            s.close()

    def test_a_useless_cursor_on_an_empty_channel(self):
        for transport in self.each():
            s = transport(self.gateway, "empty", "zzzzz-2")
            gap = s.notice("gap")
            self.assertEqual((gap["reason"], gap["first"]), ("epoch", None))
            s.notice("caughtup")
            s.close()

    def test_gaps_survive_a_restart_and_nothing_is_invented(self):
        g = self.gateway
        ids = self.fill("short", 50)
        g.kill9()
        g.start()
        for transport in self.each():
            # No publish since: whoever had everything has everything.
            s = transport(g, "short", ids[-1], wait=0)
            s.notice("caughtup")
            s.close()
            s = transport(g, "short", ids[39])
            self.assertEqual([e["id"] for e in s.events(10)], ids[40:])
            s.close()
            s = transport(g, "short", ids[38])
            self.assertEqual(s.notice("gap")["first"], ids[40])
            s.close()

    def test_several_channels_name_the_one_that_lost(self):
        short = self.fill("short", 20)
        long = self.fill("long", 20)
        for transport in self.each(STREAMS):
            s = transport(self.gateway, "short,long", short[3])
            gap = s.notice("gap")
            self.assertEqual(gap, {"type": "spillway.gap",
                                   "reason": "trimmed", "after": short[3],
                                   "first": short[10], "channel": "short"})
            self.assertEqual([e["id"] for e in s.events(30)],
                             short[10:] + long)
            s.close()

    def test_a_changed_retention_is_exact_at_once(self):
        g = self.gateway
        ids = self.fill("a", 40)
        self.gateway.configure('channel "a" { history-events = 5 }')
        g.signal(1)
        g.wait_log("configuration reloaded")
        for transport in self.each():
            s = transport(g, "a", ids[10])
            self.assertEqual(s.notice("gap")["first"], ids[35])
            self.assertEqual([e["id"] for e in s.events(5)], ids[35:])
            s.close()


class GapsThroughTheLibrary(Gaps):
    conf = Gaps.conf + "\nfirst-look = no"


class GapsFromTheStore(Gaps):
    conf = Gaps.conf + "\nwindow-events = 1"


class Deleting(Scenario):
    def test_streams_are_told_and_history_is_gone(self):
        g = self.gateway
        ids = g.batch([{"channel": "a", "data": n} for n in range(5)])
        ws = WebSocket(g.port, "/stream/a")
        sse = STREAMS[1](g, "a")
        for _ in range(2):
            ws.message()
            sse.next()
        with Wire(g.port) as poll:
            poll.send(request_head(f"/stream/a?wait=20&after={ids[-1]}"))
            g.until(lambda: g.metric("subscribers", '{transport="long"}') == 1)
            self.assertEqual(g.api("DELETE", "/v1/channels/a")[0], 204)
            status, headers, _ = poll.response()
            self.assertEqual(status, 410)
        with self.assertRaises(Closed) as closed:
            ws.message()
        self.assertEqual(closed.exception.code, 4410)
        with self.assertRaises(Closed):
            sse.next()
        self.assertEqual(g.poll("a", after="start")["events"], [])
        gap = g.poll("a", after=ids[2])["gap"]
        self.assertEqual((gap["reason"], gap["first"]), ("trimmed", None))
        after = g.publish("a", "new")["id"]
        answer = g.poll("a", after=ids[2])
        self.assertEqual(answer["gap"]["first"], after)
        self.assertEqual([e["id"] for e in answer["events"]], [after])
        # Whoever was at the head when it was deleted missed nothing.
        self.assertNotIn("gap", g.poll("a", after=ids[-1]))

    def test_a_deleted_channel_stays_deleted_after_a_crash(self):
        g = self.gateway
        ids = g.batch([{"channel": "a", "data": n} for n in range(5)])
        g.api("DELETE", "/v1/channels/a")
        g.kill9()
        g.start()
        self.assertEqual(g.poll("a", after="start")["events"], [])
        self.assertIn("gap", g.poll("a", after=ids[2]))


class InMemory(Scenario):
    conf = 'channel "m*" { durability = memory }'

    def test_a_channel_in_memory_replays_while_the_process_lives(self):
        g = self.gateway
        ids = g.batch([{"channel": "m", "data": n} for n in range(20)])
        for transport in self.each():
            s = transport(g, "m", ids[4])
            self.assertEqual([e["id"] for e in s.events(15)], ids[5:])
            s.close()

    def test_after_a_restart_the_loss_is_told_and_ids_go_on(self):
        g = self.gateway
        ids = g.batch([{"channel": "m", "data": n} for n in range(20)])
        for end in (g.kill9, g.stop):
            end()
            g.start()
            for transport in self.each():
                s = transport(g, "m", ids[4])
                self.assertEqual(s.notice("gap")["reason"], "trimmed")
                s.close()
            after = g.publish("m", "new")["id"]
            self.assertGreater(parts(after)[1], parts(ids[-1])[1])
            ids.append(after)

    def test_the_first_event_after_a_restart_does_not_hide_the_loss(self):
        g = self.gateway
        ids = g.batch([{"channel": "m", "data": n} for n in range(20)])
        for end in (g.kill9, g.stop):
            end()
            g.start()
            new = g.publish("m", "new")["id"]
            for transport in self.each():
                s = transport(g, "m", ids[4])
                gap = s.notice("gap")
                self.assertEqual((gap["reason"], gap["first"]),
                                 ("trimmed", new))
                self.assertEqual(s.event()["id"], new)
                s.close()

    def test_nothing_of_it_is_in_the_store(self):
        g = self.gateway
        g.publish("m", "secret-in-memory")
        g.stop()
        with open(g.store, "rb") as f:
            self.assertNotIn(b"secret-in-memory", f.read())
        g.start()


class Mixed(Scenario):
    """Channels in memory beside one whose past is in the store."""

    conf = """
channel "m*" { durability = memory  history-events = 40 }
window-events = 64
"""

    def fill(self):
        return self.gateway.batch(
            [{"channel": "m" if n % 10 == 9 else "a", "data": n}
             for n in range(300)])

    def test_they_catch_up_together_and_in_order(self):
        ids = self.fill()
        for transport in self.each():
            for cursor, expected in (("start", ids), (ids[3], ids[4:]),
                                     (ids[9], ids[10:]),
                                     (ids[150], ids[151:])):
                s = transport(self.gateway, "a,m", cursor)
                got = []
                while len(got) < len(expected):
                    e = s.next()
                    self.assertNotEqual(e["type"], "spillway.gap", cursor)
                    if "id" in e:
                        got.append(e["id"])
                self.assertEqual(got, expected)
                s.notice("caughtup")
                s.close()

    def test_pages_of_a_poll_keep_their_limit(self):
        ids = self.fill()
        for limit in (1, 7, 100):
            got, cursor, more = [], "start", True
            while more:
                answer = self.gateway.poll("m,a", after=cursor, limit=limit)
                self.assertLessEqual(len(answer["events"]), limit)
                got += [e["id"] for e in answer["events"]]
                cursor, more = answer["cursor"], answer.get("more")
            self.assertEqual(got, ids)

    def test_the_newest_are_those_of_all(self):
        ids = self.fill()
        only = ids[9::10]
        for transport in self.each():
            for last in (1, 2, 11, 95):
                for channels, expected in (("a,m", ids), ("m", only),
                                           ("m,m-empty", only),
                                           ("m-empty,a,m", ids)):
                    s = transport(self.gateway, channels, last=last)
                    got = []
                    while True:
                        e = s.next()
                        if e["type"] == "spillway.caughtup":
                            break
                        if "id" in e:
                            got.append(e["id"])
                    self.assertEqual(got, expected[-last:], (channels, last))
                    s.close()

    def test_of_the_newest_only_those_kept(self):
        ids = self.gateway.batch([{"channel": "m", "data": n}
                                  for n in range(50)])
        for transport in self.each():
            s = transport(self.gateway, "m,a", last=45)
            self.assertEqual([e["id"] for e in s.events(40)], ids[10:])
            s.notice("caughtup")
            s.close()


class Kept(Scenario):
    """Windows have more than retention keeps: slow sockets may need it."""

    conf = """
channel "m*" { durability = memory  history-events = 5 }
channel "none*" { durability = memory  history-events = 0 }
channel "s*" { history-events = 5 }
"""

    def later(self, channel, cursor):
        """The same as a WebSocket's second channel."""
        s = WsSubscriber(self.gateway, "other")
        s.notice("caughtup")
        s.ws.command(op="subscribe", channel=channel, after=cursor)
        self.assertEqual(s.ws.message()["op"], "ok")
        return s

    def test_nobody_gets_more_than_is_kept(self):
        # One window has all of a channel, the other has dropped some.
        for count in (50, 100):
            for kind, kept in (("m", 5), ("none", 0), ("s", 5)):
                name = f"{kind}-{count}"
                ids = self.gateway.batch([{"channel": name, "data": n}
                                          for n in range(count)])
                useless = "xxxx-" + ids[0].partition("-")[2]
                for cursor in ("start", ids[1], ids[-9], useless):
                    for transport in self.each((*STREAMS, ShortSubscriber)):
                        self.check(transport(self.gateway, name, cursor),
                                   cursor, ids[count - kept:])
                    self.check(self.later(name, cursor), cursor,
                               ids[count - kept:])

    def check(self, s, cursor, kept):
        with self.subTest(transport=s.name, cursor=cursor, kept=len(kept)):
            got, gaps = [], []
            while (m := s.next())["type"] != "spillway.caughtup":
                if "id" in m:
                    got.append(m["id"])
                elif m["type"] == "spillway.gap":
                    gaps.append((m["after"], m["first"]))
            s.close()
            self.assertEqual(got, kept)
            self.assertEqual(
                gaps, [] if cursor == "start" else
                [(cursor, kept[0] if kept else None)])


class SinceTheStart(Scenario):
    """Who has caught up with nothing has a beginning all the same."""

    conf = """
channel "m*" { durability = memory  history-events = 5 }
channel "s*" { history-events = 5 }
"""

    def test_what_comes_later_may_be_lost(self):
        g = self.gateway
        for name in ("m", "s"):
            for path, later in ((f"{name}1,big", None),
                                ("big", f"{name}2")):
                ws = WebSocket(g.port, f"/stream/{path}?after=start",
                               receive_buffer=4096)
                self.addCleanup(ws.close)
                channel = later or f"{name}1"
                if later:
                    ws.command(op="subscribe", channel=later, after="start")
                while (m := ws.message()).get("channel") != later or \
                        m.get("type") != "spillway.caughtup":
                    pass
                # 4 MB as JSON: the socket is full, and stays so.
                g.publish("big", b"\x01" * 700000,
                          Content_Type="text/plain")
                ws.more()
                ids = g.batch([{"channel": channel, "data": n}
                               for n in range(100)])
                self.assertEqual(ws.message()["channel"], "big")
                gap = ws.message()
                self.assertEqual((gap["type"], gap.get("after")),
                                 ("spillway.gap", m["cursor"]))
                at = ids.index(gap["first"])
                self.assertGreater(at, 0)
                self.assertEqual([ws.message()["id"] for _ in ids[at:]],
                                 ids[at:])
                ws.close()
                g.api("DELETE", "/v1/channels/big")


class Memory(Scenario):
    """The whole store in memory."""

    def setUp(self):
        self.gateway = Gateway(store="memory")
        self.addCleanup(self.gateway.close)
        self.gateway.start()

    def test_everything_works_until_the_process_ends(self):
        g = self.gateway
        ids = g.batch([{"channel": "a", "data": n} for n in range(3000)])
        for transport in self.each():
            s = transport(g, "a", ids[99])
            self.assertEqual([e["id"] for e in s.events(2900)], ids[100:])
            s.close()
        g.restart()
        for transport in self.each():
            s = transport(g, "a", ids[0])
            self.assertEqual(s.notice("gap")["reason"], "epoch")
            s.close()


class SlowReader(Scenario):
    conf = """
channel "short" { history-events = 100 }
message-max = "1m"
window-bytes = "1m"
"""

    def test_a_slow_reader_falls_out_of_retention_and_is_told(self):
        g = self.gateway
        block = "x" * 50000
        for transport in self.each(STREAMS):
            s = transport(g, "short")
            s.notice("caughtup")
            before = None
            ids = []
            # More than any socket buffer holds, while nothing is read.
            for _ in range(400):
                ids.append(g.publish("short", block,
                                     Content_Type="text/plain")["id"])
            seen, gaps = [], []
            while not seen or seen[-1] != ids[-1]:
                e = s.next()
                if e["type"] == "spillway.gap":
                    gaps.append((before, e))
                elif "id" in e:
                    seen.append(e["id"])
                    before = e["id"]
            order = {i: n for n, i in enumerate(ids)}
            numbers = [order[i] for i in seen]
            self.assertEqual(numbers, sorted(set(numbers)))
            missing = set(range(400)) - set(numbers)
            told = set()
            for last, gap in gaps:
                first = 0 if last is None else order[last] + 1
                told |= set(range(first, order[gap["first"]]))
            self.assertEqual(missing, told)
            self.assertTrue(gaps)
            s.close()
            g.api("DELETE", "/v1/channels/short")

    def test_others_are_not_held_up_and_memory_stays(self):
        g = self.gateway
        slow = [t(g, "a") for t in STREAMS for _ in range(10)]
        for s in slow:
            s.notice("caughtup")
        fast = STREAMS[0](g, "a")
        fast.notice("caughtup")
        done = threading.Event()

        def read():
            fast.events(2100)
            done.set()

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        block = "x" * 50000
        for _ in range(300):
            g.publish("a", block, Content_Type="text/plain")
        before = g.memory()
        for _ in range(1800):
            g.publish("a", block, Content_Type="text/plain")
        self.assertTrue(done.wait(GUARD))
        grown = g.memory() - before
        # 90 MB more were published, and 20 clients have read none of it.
        self.assertLess(grown, 32 << 20)
        for s in slow:
            s.close()


if __name__ == "__main__":
    main()
