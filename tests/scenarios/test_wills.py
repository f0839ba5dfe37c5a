"""A gateway that is killed: the backend hears of the end of all who were there."""

import json
import sqlite3
import threading
import unittest

from bridge_backend import SECRET, TAKEN, Told
from gateway import GUARD, EventStream, Gateway, WebSocket, Wire


class Wills(Told, unittest.TestCase):
    mode = "sync"

    def setUp(self):
        self.open_backend()
        self.gateway = Gateway(f"""
backend = "http://127.0.0.1:{self.backend.port}"
bridge-secret = "{SECRET}"
bridge-header = "Cookie"
send = bridge
message-mode = {self.mode}
backend-fail-time = "50ms"
outbox-retry-max = "100ms"
channel "told*" {{ bridge-presence = yes }}
channel "asked" {{ bridge-connect = yes  bridge-presence = yes }}
""")
        self.addCleanup(self.gateway.close)
        self.gateway.start()

    def of(self, kind):
        return [e for e in self.backend.events if e.type == "spillway." + kind]

    def once(self, kind):
        """A kill may come before it is known that the backend has it."""
        first = {}
        for e in self.of(kind):
            first.setdefault(e.headers["webhook-id"], e)
        return list(first.values())

    def told(self, kind, count):
        """The first so many; one that is told again is the same."""
        with self.backend.changed:
            assert self.backend.changed.wait_for(
                lambda: len(self.once(kind)) >= count,
                GUARD), self.backend.events
        return self.once(kind)[:count]

    def socket(self, channels, **options):
        """Of one who is there, and who it is."""
        ws = WebSocket(self.gateway.port, f"/stream/{channels}", **options)
        self.addCleanup(ws.close)
        return ws, ws.message(type="spillway.hello")["connection"]

    def stream(self, channels):
        es = EventStream(self.gateway.port, f"/stream/{channels}",
                         headers=[("Cookie", "a=b")])
        self.addCleanup(es.close)
        return es, json.loads(es.block()[1])["connection"]

    def kill(self):
        self.gateway.kill9()
        self.gateway.start()

    def until_metric(self, name, value):
        self.gateway.until_metric(value, name)

    def sql(self, text):
        """As somebody else who has the file open."""
        db = sqlite3.connect(self.gateway.store + "-outbox", timeout=60)
        try:
            with db:
                return db.execute(text).fetchall()
        finally:
            db.close()

    def break_file(self):
        for table in ("will", "letter"):
            self.sql(f"CREATE TRIGGER broken_{table} BEFORE INSERT ON {table} "
                     "BEGIN SELECT RAISE(ABORT, 'a test says so'); END")

    def mend_file(self):
        for table in ("will", "letter"):
            self.sql(f"DROP TRIGGER broken_{table}")


class Kills(Wills):
    def test_those_who_were_there_are_told_of_and_nobody_else(self):
        gone, _ = self.socket("told")
        left, _ = self.stream("told")
        self.told("subscribe", 2)
        gone.close(), left.close()
        before = self.told("disconnect", 2)
        _, one = self.socket("told", headers=[("Cookie", "c=d")])
        _, two = self.stream("told-1,quiet,told-2")
        _, three = self.socket("asked")
        self.socket("quiet")
        # Polls come and go without a word.
        self.assertEqual(self.gateway.get("/stream/told")[0], 200)
        with Wire(self.gateway.port) as poll:
            poll.send(b"GET /stream/told?wait=50&last=0 HTTP/1.1\r\n"
                      b"Host: a\r\n\r\n")
            self.told("subscribe", 6)
            self.until_metric("outbox_wills", 3)
            self.until_metric("outbox_waiting", 0)
            self.kill()
        ends = {e.headers["ce-connection"]: e
                for e in self.told("disconnect", 5)[2:]}
        self.assertEqual(set(ends), {one, two, three})
        for e in ends.values():
            self.assertTrue(e.signed_by())
            self.assertEqual(json.loads(e.body)["reason"], "crash")
        self.assertEqual({c: sorted(json.loads(e.body)["channels"])
                          for c, e in ends.items()},
                         {one: ["told"], two: ["told-1", "told-2"],
                          three: ["asked"]})
        self.assertEqual(ends[one].headers["ce-channel"], "told")
        self.assertEqual(ends[one].headers["ce-transport"], "ws")
        self.assertEqual(ends[one].headers["Cookie"], "c=d")
        self.assertNotIn("ce-channel", ends[two].headers)
        self.assertEqual(ends[two].headers["ce-transport"], "sse")
        self.gateway.wait_log(r"warn outbox wills=3: ")
        self.until_metric("outbox_wills_executed_total", 3)
        self.until_metric("outbox_waiting", 0)
        # And only once.
        self.kill()
        self.until_metric("outbox_wills_executed_total", 0)
        self.until_metric("outbox_waiting", 0)
        self.assertEqual(self.once("disconnect")[:2], before)
        self.assertEqual(len(self.of("disconnect")), 5)

    def test_an_end_that_is_told_again_is_the_same(self):
        _, number = self.socket("told")
        self.told("subscribe", 1)
        self.says = lambda event: (500, None, b"")
        self.kill()
        self.again()
        self.kill()
        self.again()
        told = self.of("disconnect")
        self.says = TAKEN
        self.until_metric("outbox_delivered_total", 1)
        self.assertEqual(
            {(e.headers["webhook-id"], e.headers["ce-connection"],
              e.headers["ce-time"], e.body) for e in self.of("disconnect")},
            {(told[0].headers["webhook-id"], number,
              told[0].headers["ce-time"], told[0].body)})

    def again(self):
        """It is told twice more, at least."""
        seen = len(self.of("disconnect"))
        with self.backend.changed:
            assert self.backend.changed.wait_for(
                lambda: len(self.of("disconnect")) > seen + 1, GUARD)

    def test_no_number_of_a_connection_is_used_twice(self):
        seen = set()
        for life in range(3):
            numbers = {self.socket("told")[1] for _ in range(5)}
            self.assertEqual(numbers & seen, set())
            seen |= numbers
            self.told("subscribe", 5 * (life + 1))
            self.kill()
        self.assertEqual({e.headers["ce-connection"]
                          for e in self.told("disconnect", 15)}, seen)

    def test_the_end_has_the_channels_of_the_last_moment(self):
        ws, number = self.socket("told-1")
        other, _ = self.socket("told-1")
        for op, channel in (("subscribe", "told-2"), ("subscribe", "told-3"),
                            ("unsubscribe", "told-1")):
            ws.command(op=op, channel=channel, ref=channel)
            ws.message(ref=channel, op="ok")
        other.command(op="unsubscribe", channel="told-1", ref=1)
        other.message(ref=1, op="ok")
        self.told("unsubscribe", 2)
        self.until_metric("outbox_wills", 1)
        # A will is in the file, if not yet the last one.
        ws.command(op="send", channel="told-2", data=1, ref=2)
        ws.message(ref=2, op="ok")
        self.gateway.until(lambda: self.wills() == [["told-2", "told-3"]])
        self.kill()
        end, = self.told("disconnect", 1)
        self.assertEqual(end.headers["ce-connection"], number)
        self.assertEqual(sorted(json.loads(end.body)["channels"]),
                         ["told-2", "told-3"])
        self.until_metric("outbox_waiting", 0)
        self.assertEqual(len(self.once("disconnect")), 1)

    def left_untold(self, *commands):
        """
        One who was heard of, and did more: the backend still thinks of what
        was sent before. What another one has stored since is in the file.
        """
        go_on = threading.Event()
        self.addCleanup(go_on.set)
        ws, number = self.socket("told-1")
        ws.message(type="spillway.caughtup")
        self.gateway.until(lambda: number in {
            e.headers["ce-connection"] for e in self.of("subscribe")})
        self.says = lambda event: TAKEN if event.type != \
            "spillway.message" or go_on.wait() else None
        ws.command(op="send", channel="told-1", data=1)
        for op, channel in commands:
            ws.command(op=op, channel=channel, ref=channel)
            ws.message(ref=channel, op="ok")
        return ws, number, go_on

    def heard_of_another(self):
        self.socket("told-9")
        self.told("subscribe", 2)

    def end_of(self, number):
        self.kill()
        end = next(e for e in self.told("disconnect", 2)
                   if e.headers["ce-connection"] == number)
        return sorted(json.loads(end.body)["channels"])

    def test_who_leaves_has_a_will_until_that_is_told(self):
        _, number, _ = self.left_untold(("unsubscribe", "told-1"))
        self.heard_of_another()
        self.assertEqual(self.end_of(number), ["told-1"])

    def test_who_leaves_and_ends_has_a_will_until_that_is_told(self):
        ws, number, _ = self.left_untold(("unsubscribe", "told-1"))
        ws.close()
        self.gateway.wait_log(f"closed id={number} ")
        self.heard_of_another()
        self.assertEqual(self.end_of(number), ["told-1"])

    def test_who_comes_elsewhere_meanwhile_is_in_both(self):
        _, number, _ = self.left_untold(
            ("unsubscribe", "told-1"), ("subscribe", "told-2"))
        self.heard_of_another()
        self.assertEqual(self.end_of(number), ["told-1", "told-2"])

    def test_once_it_is_told_there_is_no_will(self):
        ws, _, go_on = self.left_untold(
            ("unsubscribe", "told-1"), ("subscribe", "told-2"))
        go_on.set()
        self.told("subscribe", 2)
        self.gateway.until(lambda: self.wills() == [["told-2"]])
        ws.close()
        self.told("disconnect", 1)
        self.until_metric("outbox_wills", 0)
        self.until_metric("outbox_waiting", 0)
        ws, _, go_on = self.left_untold(("unsubscribe", "told-1"))
        ws.close()
        go_on.set()
        self.told("unsubscribe", 2)
        self.until_metric("outbox_wills", 0)
        self.assertEqual(len(self.of("disconnect")), 1)

    def test_who_comes_to_its_first_such_channel_later_has_a_will(self):
        ws, number = self.socket("free")
        ws.command(op="subscribe", channel="told", ref=1)
        ws.message(ref=1, op="ok")
        self.gateway.until(lambda: self.wills() == [["told"]])
        self.kill()
        end, = self.told("disconnect", 1)
        self.assertEqual(end.headers["ce-connection"], number)

    def wills(self):
        found = []
        for data, in self.sql("SELECT data FROM will"):
            body = data[data.index(b'{"reason"'):]
            found.append(sorted(json.loads(body)["channels"]))
        return found

    def test_a_drain_tells_ends_as_ever_and_leaves_no_wills(self):
        numbers = {self.socket("told")[1], self.stream("told")[1]}
        self.told("subscribe", 2)
        self.assertEqual(len(self.sql("SELECT * FROM will")), 2)
        self.assertEqual(self.gateway.stop(), 0)
        self.assertEqual(self.sql("SELECT * FROM will"), [])
        self.gateway.start()
        ends = self.told("disconnect", 2)
        self.assertEqual({(e.headers["ce-connection"],
                           json.loads(e.body)["reason"]) for e in ends},
                         {(n, "restart") for n in numbers})
        self.until_metric("outbox_wills_executed_total", 0)
        self.until_metric("outbox_waiting", 0)
        self.assertEqual(len(self.once("disconnect")), 2)


class Asked(Wills):
    """The backend decides: who it is asked about has a will before."""

    def setUp(self):
        super().setUp()
        self.go_on = threading.Event()
        self.addCleanup(self.go_on.set)

    def holding(self, event):
        if event.type == "spillway.connect":
            self.go_on.wait(GUARD)
        return TAKEN

    def begin(self, accept, channels="asked,quiet"):
        wire = Wire(self.gateway.port)
        self.addCleanup(wire.close)
        wire.send((f"GET /stream/{channels} HTTP/1.1\r\nHost: a\r\n"
                   f"Accept: {accept}\r\nCookie: me\r\n\r\n").encode())
        return wire

    def test_who_was_let_in_has_a_will(self):
        for n, (streams, kind) in enumerate((
                (self.socket, "ws"), (self.stream, "sse"))):
            _, number = streams("asked")
            self.assertEqual(len(self.sql("SELECT * FROM will")), n + 1, kind)
            connect = self.told("connect", n + 1)[n]
            self.assertEqual(connect.headers["ce-connection"], number)

    def test_a_kill_while_the_backend_thinks_is_an_end(self):
        self.says = self.holding
        self.begin("text/event-stream")
        connect, = self.told("connect", 1)
        self.says = TAKEN
        self.kill()
        end, = self.told("disconnect", 1)
        for name in ("ce-connection", "ce-transport", "ce-address", "Cookie"):
            self.assertEqual(end.headers[name], connect.headers[name], name)
        self.assertEqual(end.headers["ce-channel"], "asked")
        self.assertEqual(json.loads(end.body),
                         {"reason": "crash", "channels": ["asked"]})

    def test_that_end_has_all_channels_that_are_told_of(self):
        self.says = self.holding
        self.begin("text/event-stream", "told,quiet,asked")
        self.told("connect", 1)
        self.says = TAKEN
        self.kill()
        end, = self.told("disconnect", 1)
        self.assertNotIn("ce-channel", end.headers)
        self.assertEqual(json.loads(end.body),
                         {"reason": "crash", "channels": ["told", "asked"]})

    def test_who_is_refused_or_leaves_has_no_will(self):
        self.says = lambda event: (403, None, b"")
        with self.begin("text/event-stream") as wire:
            self.assertEqual(wire.response()[0], 403)
        self.until_metric("outbox_wills", 0)
        self.says = self.holding
        wire = self.begin("text/event-stream")
        self.told("connect", 2)
        self.until_metric("outbox_wills", 1)
        wire.close()
        self.gateway.until_metric(1, "connections")  # who asks for it
        self.go_on.set()
        self.until_metric("outbox_wills", 0)
        # Nor has a poll.
        self.assertEqual(self.gateway.get("/stream/asked")[0], 200)
        self.assertEqual(self.sql("SELECT * FROM will"), [])
        self.kill()
        self.until_metric("outbox_wills_executed_total", 0)
        self.assertEqual(self.of("disconnect"), [])

    def test_a_drain_while_the_backend_thinks_leaves_none(self):
        self.says = self.holding
        self.begin("text/event-stream")
        self.told("connect", 1)
        self.assertEqual(len(self.sql("SELECT * FROM will")), 1)
        self.assertEqual(self.gateway.stop(), 0)
        self.assertEqual(self.sql("SELECT * FROM will"), [])


class Queued(Wills):
    mode = "queue"

    def test_the_end_comes_behind_what_was_sent(self):
        sockets = [self.socket("told") for _ in range(4)]
        self.told("subscribe", 4)
        self.until_metric("outbox_waiting", 0)
        self.away()
        for n in range(10):
            for ws, number in sockets:
                ws.command(op="send", channel="told", data=[number, n], ref=n)
        for n in range(10):
            for ws, _ in sockets:
                ws.message(ref=n, op="ok")
        self.kill()
        self.back()
        self.told("disconnect", 4)
        for _, number in sockets:
            lane = [e for e in self.backend.events
                    if e.headers["ce-connection"] == number]
            self.assertEqual(
                [json.loads(e.body) for e in lane[1:-1]],
                [[number, n] for n in range(10)])
            self.assertEqual(lane[-1].type, "spillway.disconnect")


class Broken(Wills):
    """The file takes nothing: streams go on, and are told of when it does."""

    def test_who_comes_meanwhile_is_let_in_and_has_a_will_later(self):
        self.break_file()
        ws, number = self.socket("told")
        self.told("subscribe", 1)
        _, other = self.socket("asked")
        ws.command(op="send", channel="told", data=1, ref=1)
        ws.message(ref=1, op="ok")
        self.until_metric("outbox_wills", 0)
        self.mend_file()
        self.until_metric("outbox_wills", 2)
        self.kill()
        self.assertEqual({e.headers["ce-connection"]
                          for e in self.told("disconnect", 2)},
                         {number, other})

    def test_who_goes_meanwhile_is_told_of_later_and_once(self):
        old, first = self.socket("told")
        self.told("subscribe", 1)
        self.break_file()
        new, second = self.socket("told")
        self.told("subscribe", 2)
        old.close(), new.close()
        self.gateway.wait_log(f"closed id={first} ")
        self.gateway.wait_log(f"closed id={second} ")
        self.mend_file()
        ends = self.told("disconnect", 2)
        self.assertEqual({e.headers["ce-connection"] for e in ends},
                         {first, second})
        self.until_metric("outbox_wills", 0)
        self.until_metric("outbox_waiting", 0)
        self.kill()
        self.until_metric("outbox_wills_executed_total", 0)
        self.until_metric("outbox_waiting", 0)
        self.assertEqual(len(self.of("disconnect")), 2)

    def test_wills_that_cannot_be_read_at_the_start_are_read_later(self):
        _, first = self.socket("told")
        self.told("subscribe", 1)
        self.break_file()
        self.kill()
        self.gateway.wait_log("reading wills")
        ws, second = self.socket("told")
        self.told("subscribe", 2)
        self.assertNotEqual(first, second)
        self.mend_file()
        end, = self.told("disconnect", 1)
        self.assertEqual(end.headers["ce-connection"], first)
        self.until_metric("outbox_wills", 1)
        ws.close()
        self.assertEqual(self.told("disconnect", 2)[1]
                         .headers["ce-connection"], second)
        self.until_metric("outbox_wills", 0)


if __name__ == "__main__":
    unittest.main()
