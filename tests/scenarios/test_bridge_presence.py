"""What the backend believes of who is there is what it was told, to the end."""

import json
import sqlite3
import threading
import time
import unittest

import tokens
from bridge_backend import SECRET, TAKEN, Told
from gateway import (GUARD, Closed, EventStream, Gateway, WebSocket, Wire,
                     request_head)

FAILURE = (500, None, b"")


class Believed(Told, unittest.TestCase):
    channels = 'channel "told*" { bridge-presence = yes }'
    workers = 2

    def setUp(self):
        self.taken = []
        self.open_backend()
        self.gateway = Gateway(self.conf(self.channels), workers=self.workers)
        self.addCleanup(self.gateway.close)
        self.gateway.start()

    def conf(self, channels):
        return f"""
backend = "http://127.0.0.1:{self.backend.port}"
bridge-secret = "{SECRET}"
send = bridge
backend-fail-time = "50ms"
outbox-retry-max = "100ms"
session-lease = "1h"
close-timeout = "200ms"
message-rate = 0
message-byte-rate = 0
message-max = 2m
{channels}
"""

    def answer(self, event):
        """What it refuses it does not believe."""
        answer = super().answer(event)
        if answer[0] < 300:
            with self.backend.changed:
                self.taken.append(event)
                self.backend.changed.notify_all()
        return answer

    def story(self, number=None):
        """What was taken, each event once, as (what, where)."""
        seen, story = set(), []
        for e in self.taken:
            where = sorted(json.loads(e.body)["channels"]) \
                if e.type == "spillway.disconnect" else \
                e.headers["ce-channel"]
            if e.headers["webhook-id"] not in seen and \
                    number in (None, e.headers["ce-connection"]):
                story.append((e.type.removeprefix("spillway."), where))
            seen.add(e.headers["webhook-id"])
        return story

    def tells(self, story, number=None):
        """That, and nothing else: all that is stored has arrived by then."""
        with self.backend.changed:
            assert self.backend.changed.wait_for(
                lambda: len(self.story(number)) >= len(story), GUARD), \
                self.story(number)
        self.gateway.until_metric(0, "outbox_waiting")
        self.assertEqual(self.story(number), story)

    def socket(self, channels):
        ws = WebSocket(self.gateway.port, f"/stream/{channels}")
        self.addCleanup(ws.close)
        return ws, ws.message(type="spillway.hello")["connection"]

    def stream(self, channels):
        es = EventStream(self.gateway.port, f"/stream/{channels}")
        self.addCleanup(es.close)
        return es, json.loads(es.block()[1])["connection"]

    def do(self, ws, op, channel, **more):
        if channel is not None:
            more["channel"] = channel
        ws.command(op=op, ref=f"{op} {channel}", **more)
        return ws.message(ref=f"{op} {channel}")

    def will_letters(self):
        db = sqlite3.connect(self.gateway.store + "-outbox", timeout=60)
        try:
            return [d for d, in db.execute("SELECT data FROM will")]
        finally:
            db.close()

    def attempts(self, kind):
        return sum(e.type == f"spillway.{kind}" for e in self.backend.events)


class Reloads(Believed):
    """Who was told of is told of to the end; and nobody else is."""

    def reload(self, channels, count=1):
        self.gateway.configure(self.conf(channels))
        self.gateway.signal(1)
        self.gateway.wait_log("configuration reloaded", count)

    def test_whoever_was_told_of_has_an_end_although_nobody_else_is(self):
        ws, one = self.socket("told-1,told-2")
        es, two = self.stream("told-1")
        self.gateway.poll("told-1", session="s")
        self.gateway.until(lambda: len(self.story()) == 4)
        self.reload('channel "told*" { bridge-presence = no }')
        _, other = self.socket("told-1")
        self.do(ws, "unsubscribe", "told-2")
        self.do(ws, "subscribe", "told-3")
        ws.close()
        self.tells([("subscribe", "told-1"), ("subscribe", "told-2"),
                    ("unsubscribe", "told-2"), ("disconnect", ["told-1"])],
                   one)
        es.close()
        self.tells([("subscribe", "told-1"), ("disconnect", ["told-1"])], two)
        self.gateway.until_metric(1, "outbox_wills")
        # And a kill is such an end as well.
        self.gateway.kill9()
        self.gateway.start()
        self.gateway.until(lambda: len(self.story()) == 8)
        self.assertEqual(self.story()[-1], ("disconnect", ["told-1"]))
        self.tells([], other)

    def test_who_was_there_before_is_nobody(self):
        ws, one = self.socket("free-1,free-2")
        es, _ = self.stream("free-1")
        self.reload('channel "free*" { bridge-presence = yes }')
        self.do(ws, "unsubscribe", "free-2")
        es.close()
        self.do(ws, "subscribe", "free-3")
        ws.close()
        self.tells([("subscribe", "free-3"), ("disconnect", ["free-3"])])
        self.assertEqual({e.headers["ce-connection"] for e in self.taken},
                         {one})
        self.gateway.until_metric(0, "outbox_wills")


class Modes(Believed):
    """A channel's order does not change with its `message-mode`."""

    def conf(self, channels):
        return super().conf(channels).replace(
            "bridge-presence", f"message-mode = {self.mode} bridge-presence")

    mode = "queue"

    def change(self, mode, count=1):
        self.mode = mode
        self.gateway.configure(self.conf(self.channels))
        self.gateway.signal(1)
        self.gateway.wait_log("configuration reloaded", count)

    def test_what_is_queued_is_not_overtaken_by_what_is_not(self):
        ws, number = self.socket("told-1")
        self.tells([("subscribe", "told-1")])
        self.says = lambda event: TAKEN if event.type == \
            "spillway.subscribe" else FAILURE
        self.do(ws, "unsubscribe", "told-1")
        self.gateway.until_metric(1, "outbox_waiting")
        self.change("sync")
        self.do(ws, "subscribe", "told-1")
        self.gateway.until_metric(2, "outbox_waiting")
        self.says = TAKEN
        self.tells([("subscribe", "told-1"), ("unsubscribe", "told-1"),
                    ("subscribe", "told-1")])
        # And again as directly as it says.
        stored = self.gateway.metric("outbox_stored_total")
        self.do(ws, "unsubscribe", "told-1")
        self.tells([*self.story()[:3], ("unsubscribe", "told-1")])
        self.assertEqual(self.gateway.metric("outbox_stored_total"), stored)

    def test_nor_does_it_overtake(self):
        self.change("sync")
        ws, number = self.socket("told-1")
        self.tells([("subscribe", "told-1")])
        go_on = threading.Event()
        self.addCleanup(go_on.set)
        self.says = lambda event: TAKEN if event.type != \
            "spillway.message" or go_on.wait(GUARD) else FAILURE
        ws.command(op="send", channel="told-1", data=1)
        self.do(ws, "unsubscribe", "told-1")
        self.change("queue", 2)
        self.do(ws, "subscribe", "told-1")
        go_on.set()
        self.tells([("subscribe", "told-1"), ("message", "told-1"),
                    ("unsubscribe", "told-1"), ("subscribe", "told-1")])


class Letters(Believed):
    """What the backend does not take is told again until it does."""

    def left_behind(self, channels="told-1", answer=FAILURE):
        """One who has left told-1, and the backend does not know."""
        ws, number = self.socket(channels)
        self.tells([("subscribe", c) for c in channels.split(",")], number)
        self.says = answer
        self.do(ws, "unsubscribe", "told-1")
        self.gateway.until_metric(1, "outbox_waiting")
        return ws, number

    def test_who_has_left_is_told_of_when_the_backend_is_back(self):
        for answer in FAILURE, (503, None, b""), (429, None, b""):
            with self.subTest(answer[0]):
                self.says = TAKEN
                ws, number = self.left_behind(answer=answer)
                self.says = TAKEN
                self.tells([("subscribe", "told-1"), ("unsubscribe", "told-1")],
                           number)
                self.gateway.until_metric(0, "outbox_wills")
                ws.close()
        told = [e for e in self.backend.events
                if e.headers["ce-connection"] == number and
                e.type == "spillway.unsubscribe"]
        self.assertGreater(len(told), 1)
        self.assertEqual(len({(e.headers["webhook-id"], e.headers["ce-time"])
                              for e in told}), 1)

    def test_a_refusal_is_an_answer(self):
        ws, number = self.socket("told-1")
        self.tells([("subscribe", "told-1")])
        self.says = (404, None, b"")
        self.do(ws, "unsubscribe", "told-1")
        self.gateway.until_metric(0, "outbox_wills")
        self.assertEqual(self.gateway.metric("outbox_stored_total"), 0)
        self.assertEqual(self.attempts("unsubscribe"), 1)

    def test_nobody_is_there(self):
        ws, number = self.socket("told-1,told-2")
        self.tells([("subscribe", "told-1"), ("subscribe", "told-2")])
        # Else it is told again, as the answer was on its way.
        self.gateway.until_metric(
            2, "bridge_events_total",
            '{type="spillway.subscribe",outcome="taken"}')
        self.away()
        self.do(ws, "unsubscribe", "told-1")
        self.do(ws, "subscribe", "told-3")
        self.gateway.until_metric(2, "outbox_waiting")
        self.back()
        story = [("subscribe", "told-1"), ("subscribe", "told-2"),
                 ("unsubscribe", "told-1"), ("subscribe", "told-3")]
        self.tells(story)
        ws.close()
        self.tells([*story, ("disconnect", ["told-2", "told-3"])])

    def test_what_follows_is_told_behind_it(self):
        ws, number = self.left_behind()
        self.says = lambda event: TAKEN if event.type in (
            "spillway.subscribe", "spillway.disconnect") else FAILURE
        self.do(ws, "subscribe", "told-1")
        self.do(ws, "subscribe", "told-2")
        self.do(ws, "unsubscribe", "told-2")
        ws.close()
        self.gateway.until_metric(5, "outbox_waiting")
        self.assertEqual(self.story(), [("subscribe", "told-1")])
        self.says = TAKEN
        self.tells([("subscribe", "told-1"), ("unsubscribe", "told-1"),
                    ("subscribe", "told-1"), ("subscribe", "told-2"),
                    ("unsubscribe", "told-2"), ("disconnect", ["told-1"])])
        self.gateway.until_metric(0, "outbox_wills")

    def test_then_it_is_told_in_one_order_with_messages_again(self):
        ws, number = self.left_behind()
        self.says = TAKEN
        self.tells([("subscribe", "told-1"), ("unsubscribe", "told-1")])
        stored = self.gateway.metric("outbox_stored_total")
        for n in range(5):
            ws.command(op="subscribe", channel="told-1")
            ws.command(op="send", channel="told-1", data=n)
            ws.command(op="unsubscribe", channel="told-1")
        self.do(ws, "send", "told-2", data=0)
        self.assertEqual(self.story()[2:], 5 * [
            ("subscribe", "told-1"), ("message", "told-1"),
            ("unsubscribe", "told-1")] + [("message", "told-2")])
        self.assertEqual(self.gateway.metric("outbox_stored_total"), stored)

    def test_who_comes_while_it_is_away_is_told_of_later(self):
        self.away()
        ws, number = self.socket("told-1")
        self.gateway.until_metric(1, "outbox_waiting")
        self.back()
        self.tells([("subscribe", "told-1")])
        self.do(ws, "unsubscribe", "told-1")
        self.tells([("subscribe", "told-1"), ("unsubscribe", "told-1")])

    def test_the_channels_of_a_session_as_well(self):
        answer = self.gateway.poll("told-1,told-2", session="s")
        self.tells([("subscribe", "told-1"), ("subscribe", "told-2")])
        self.says = FAILURE
        with Wire(self.gateway.port) as waiting:
            waiting.send(request_head(
                f"/stream/told-2?wait=50&session=s&after={answer['cursor']}"))
            self.gateway.until(lambda: self.gateway.api(
                "GET", "/v1/channels/told-2/presence")[1]["count"] == 1)
            self.lease("100ms")
            self.gateway.until_metric(1, "outbox_waiting")
            self.says = TAKEN
            self.tells([("subscribe", "told-1"), ("subscribe", "told-2"),
                        ("unsubscribe", "told-1")])
        self.gateway.until_metric(0, "sessions")
        self.tells([*self.story()[:3], ("disconnect", ["told-2"])])

    def lease(self, lease):
        self.gateway.configure(self.conf(self.channels).replace("1h", lease))
        self.gateway.signal(1)
        self.gateway.wait_log("configuration reloaded")

    # Kills, and ends.

    def restart(self, kill):
        if kill:
            self.gateway.kill9()
        else:
            self.assertEqual(self.gateway.stop(), 0)
        self.says = TAKEN
        self.gateway.start()

    def test_also_by_the_next_gateway(self):
        for kill in True, False:
            for channels in "told-1", "told-1,told-2":
                with self.subTest(kill=kill, channels=channels):
                    self.says = TAKEN
                    ws, number = self.left_behind(channels)
                    rest = channels.split(",")[1:]
                    # The will is another one by now, or is none.
                    self.gateway.until(lambda: self.wills() == (
                        [rest] if rest else []))
                    self.restart(kill)
                    self.tells(
                        [("subscribe", c) for c in channels.split(",")] +
                        [("unsubscribe", "told-1")] +
                        [("disconnect", rest)] * bool(rest), number)

    def wills(self):
        return [sorted(json.loads(d[d.index(b'{"reason"'):])["channels"])
                for d in self.will_letters()]

    def test_an_end_while_the_backend_thinks_of_it(self):
        """It is told again, as it may not have been heard; or its end is."""
        for kill in True, False:
            with self.subTest(kill=kill):
                go_on = threading.Event()
                self.addCleanup(go_on.set)
                self.says = TAKEN
                ws, number = self.socket("told-1")
                self.tells([("subscribe", "told-1")], number)
                before = self.attempts("unsubscribe")
                self.says = lambda event: go_on.wait(GUARD) and FAILURE
                self.do(ws, "unsubscribe", "told-1")
                self.gateway.until(
                    lambda: self.attempts("unsubscribe") > before)
                self.restart(kill)
                go_on.set()
                self.tells([("subscribe", "told-1"),
                            ("disconnect", ["told-1"]) if kill else
                            ("unsubscribe", "told-1")], number)

    def test_an_end_while_it_waits_for_its_turn(self):
        for kill in True, False:
            with self.subTest(kill=kill):
                go_on = threading.Event()
                self.addCleanup(go_on.set)
                self.says = TAKEN
                ws, number = self.socket("told-1")
                self.tells([("subscribe", "told-1")], number)
                self.says = lambda event: go_on.wait(GUARD) and FAILURE
                ws.command(op="send", channel="told-1", data=1)
                self.do(ws, "unsubscribe", "told-1")
                self.do(ws, "subscribe", "told-2")
                self.do(ws, "unsubscribe", "told-2")
                self.gateway.until(
                    lambda: self.wills() == [["told-1", "told-2"]])
                self.restart(kill)
                go_on.set()
                self.tells([("subscribe", "told-1")] + (
                    [("disconnect", ["told-1", "told-2"])] if kill else
                    [("unsubscribe", "told-1"), ("subscribe", "told-2"),
                     ("unsubscribe", "told-2")]), number)


class Polls(Believed):
    """Who polls is there until its lease ends, whatever it was answered."""

    channels = Believed.channels + """
channel "asked*" { bridge-connect = yes  bridge-presence = yes }
"""

    def answer(self, event):
        if event.type != "spillway.connect":
            return super().answer(event)
        return 200, "application/json", json.dumps(
            {"expires": int(1000 * time.time()) + 500}).encode()

    def held(self, channels):
        """A poll that has to wait; its session is new, as all of them are."""
        _, cursor = self.gateway.get("/stream/free")
        wire = Wire(self.gateway.port)
        self.addCleanup(wire.close)
        wire.send(request_head(
            f"/stream/{channels}?wait=50&session=s&after={cursor['cursor']}"))
        self.tells([("subscribe", c) for c in channels.split(",")])
        return wire

    def is_there(self, channels):
        names = channels.split(",")
        for c in names:
            _, answer = self.gateway.api("GET", f"/v1/channels/{c}/presence")
            self.assertEqual([m["session"] for m in answer["members"]], ["s"])
        self.tells([("subscribe", c) for c in names])
        self.gateway.configure(self.conf(self.channels).replace("1h", "100ms"))
        self.gateway.signal(1)
        self.gateway.until_metric(0, "sessions")
        self.tells([*(("subscribe", c) for c in names),
                    ("disconnect", sorted(names))])
        self.gateway.until_metric(0, "outbox_wills")

    def test_that_a_channel_is_deleted(self):
        wire = self.held("told-1,told-2")
        self.gateway.api("DELETE", "/v1/channels/told-2")
        self.assertEqual(wire.response()[0], 410)
        self.is_there("told-1,told-2")

    def test_that_what_was_granted_has_ended(self):
        wire = self.held("told-1,asked")
        self.assertEqual(wire.response()[0], 401)
        self.is_there("told-1,asked")


class Tokens(Believed):
    """Whose token has ended is gone, once; who has another one is not."""

    channels = Believed.channels + f"""
token-key = "HS256:{tokens.SECRET}"
token-leeway = 0
anonymous = yes
channel "own*" {{ subscribe = token  bridge-presence = yes }}
"""

    def token(self, expires=600, subscribe=("*",)):
        return tokens.token(sub="ann", expires=expires, subscribe=subscribe)

    def socket(self, channels, token=None):
        ws = WebSocket(self.gateway.port, f"/stream/{channels}", headers=(
            tokens.bearer(token) if token else ()))
        self.addCleanup(ws.close)
        return ws, ws.message(type="spillway.hello")["connection"]

    def ending(self, ws):
        with self.assertRaises(Closed) as end:
            while True:
                ws.message()
        return end.exception.code

    def user_of_the_end(self, number):
        return {e.headers["ce-user"] for e in self.taken
                if e.type == "spillway.disconnect" and
                e.headers["ce-connection"] == number}

    def test_an_end_that_all_are_told_of(self):
        renewed, one = self.socket("own-1", self.token(3))
        self.assertEqual(self.do(
            renewed, "auth", None, token=self.token())["op"], "ok")
        shortened, four = self.socket("own-2", self.token())
        self.assertEqual(self.do(
            shortened, "auth", None, token=self.token(3))["op"], "ok")
        ws, two = self.socket("own-1,own-2,told-3", self.token(3))
        self.do(ws, "unsubscribe", "told-3")
        es = EventStream(self.gateway.port, "/stream/own-2",
                         tokens.bearer(self.token(3)))
        self.addCleanup(es.close)
        three = json.loads(es.block()[1])["connection"]
        with self.assertRaises(Closed):
            while True:
                es.block()
        self.assertEqual(self.ending(ws), 4401)
        self.tells([("subscribe", "own-1"), ("subscribe", "told-3"),
                    ("subscribe", "own-2"), ("unsubscribe", "told-3"),
                    ("disconnect", ["own-1", "own-2"])], two)
        self.assertEqual(self.ending(shortened), 4401)
        for number in three, four:
            self.tells([("subscribe", "own-2"), ("disconnect", ["own-2"])],
                       number)
        self.assertEqual({json.loads(e.body)["reason"] for e in self.taken
                          if e.type == "spillway.disconnect"}, {"expired"})
        # The other is still there; it began before both.
        self.tells([("subscribe", "own-1")], one)
        self.do(renewed, "ping", None)
        self.gateway.until_metric(1, "outbox_wills")

    def test_who_may_not_have_it_keeps_what_it_has(self):
        ws, number = self.socket("own-1,own-2", self.token())
        m = self.do(ws, "auth", None, token=self.token(subscribe=["*-2"]))
        self.assertEqual(m["code"], "forbidden")
        self.do(ws, "unsubscribe", "own-1")
        m = self.do(ws, "auth", None, token=self.token(subscribe=["*-2"]))
        self.assertEqual(m["op"], "ok")
        m = self.do(ws, "subscribe", "own-1")
        self.assertEqual(m["code"], "forbidden")
        ws.close()
        self.tells([("subscribe", "own-1"), ("subscribe", "own-2"),
                    ("unsubscribe", "own-1"),
                    ("disconnect", ["own-2"])], number)

    def test_an_end_is_that_of_whom_the_last_token_names(self):
        for kill in False, True:
            with self.subTest(kill=kill):
                ws, number = self.socket("told-1")
                self.do(ws, "auth", None, token=self.token())
                self.tells([("subscribe", "told-1")], number)
                self.gateway.until(
                    lambda: [b"ann" in d for d in self.will_letters()] ==
                    [True])
                if kill:
                    self.gateway.kill9()
                    self.gateway.start()
                else:
                    ws.close()
                self.tells([("subscribe", "told-1"),
                            ("disconnect", ["told-1"])], number)
                self.assertEqual(self.user_of_the_end(number), {"ann"})


class Rooms(Believed):
    """Nothing grows, whatever clients do while the backend is away."""

    channels = Believed.channels + "\noutbox-max-bytes = 2k"

    def test_who_is_not_told_of_as_there_is_no_room_need_not_leave(self):
        ws, number = self.socket("told-1")
        self.tells([("subscribe", "told-1")])
        self.says = FAILURE
        for n in range(50):
            for op in "subscribe", "unsubscribe":
                self.assertEqual(self.do(ws, op, "told-2")["op"], "ok")
        self.do(ws, "unsubscribe", "told-1")
        self.gateway.until(lambda: self.gateway.metric("outbox_waiting") ==
                           101 - 2 * self.lost(), "what became of them")
        waiting = 101 - 2 * self.lost()
        self.assertIn(waiting, range(3, 50))
        # Three letters at most: who leaves has always room, and was there.
        self.assertLess(self.gateway.metric("outbox_bytes"), 3 << 10)
        self.says = TAKEN
        story = [("subscribe", "told-1")] + (waiting - 1) // 2 * [
            ("subscribe", "told-2"), ("unsubscribe", "told-2")] + [
            ("unsubscribe", "told-1")]
        self.tells(story)
        ws.close()
        self.gateway.until_metric(0, "outbox_wills")
        self.tells(story)

    def lost(self):
        return sum("type=spillway.subscribe" in line and "lost=" in line
                   for line in self.gateway.lines)


class Crowded(Believed):
    """The bridge has no room: what is not told now is stored."""

    channels = Believed.channels + "\nbridge-queue-bytes = 1m"
    workers = 1

    def test_what_has_no_room_in_memory_is_stored(self):
        go_on = threading.Event()
        self.addCleanup(go_on.set)
        ws, number = self.socket("told-1")
        self.tells([("subscribe", "told-1")])
        # Until then that one is in the room.
        self.gateway.until_metric(
            1, "bridge_events_total",
            '{type="spillway.subscribe",outcome="taken"}')

        def says(event):
            if event.type == "spillway.message":
                go_on.wait(GUARD)
            return TAKEN

        self.says = says
        post = threading.Thread(target=self.gateway.request, args=(
            "POST", "/stream/told-1", "x" * (1 << 20),
            {"Content-Type": "text/plain"}))
        post.start()
        self.gateway.until(lambda: self.attempts("message") >= 1)
        self.do(ws, "unsubscribe", "told-1")
        self.do(ws, "subscribe", "told-2")
        self.gateway.until_metric(2, "outbox_waiting")
        # The letters have no room yet either, and that is said.
        self.gateway.until(lambda: self.gateway.metric(
            "limits_reached_total", '{limit="bridge-queue-bytes"}') > 0)
        go_on.set()
        post.join(GUARD)
        self.tells([("subscribe", "told-1"), ("unsubscribe", "told-1"),
                    ("subscribe", "told-2")], number)


class Broken(Believed):
    """Neither the backend nor the file takes anything."""

    def sql(self, text):
        db = sqlite3.connect(self.gateway.store + "-outbox", timeout=60)
        try:
            with db:
                db.execute(text)
        finally:
            db.close()

    def test_it_is_told_when_either_does(self):
        ws, number = self.socket("told-1,told-2")
        self.tells([("subscribe", "told-1"), ("subscribe", "told-2")])
        for table in "will", "letter":
            self.sql(f"CREATE TRIGGER broken_{table} BEFORE INSERT ON {table} "
                     "BEGIN SELECT RAISE(ABORT, 'a test says so'); END")
        self.says = FAILURE
        self.do(ws, "unsubscribe", "told-1")
        self.gateway.until_metric(
            1, "bridge_events_total",
            '{type="spillway.unsubscribe",outcome="refused"}')
        self.do(ws, "subscribe", "told-3")
        self.gateway.wait_log("outbox: storing letters")
        self.says = TAKEN
        self.do(ws, "unsubscribe", "told-3")
        self.assertEqual(len(self.story()), 2)
        for table in "will", "letter":
            self.sql(f"DROP TRIGGER broken_{table}")
        story = [("subscribe", "told-1"), ("subscribe", "told-2"),
                 ("unsubscribe", "told-1"), ("subscribe", "told-3"),
                 ("unsubscribe", "told-3")]
        self.tells(story)
        self.gateway.kill9()
        self.gateway.start()
        self.tells([*story, ("disconnect", ["told-2"])])


if __name__ == "__main__":
    unittest.main()
