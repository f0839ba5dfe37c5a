"""Who is there, who comes and who goes, and who has to go."""

import json
import time

import tokens
from gateway import Closed, EventStream, Scenario, WebSocket, Wire, main


class Presence(Scenario):
    conf = f"""
token-key = "HS256:{tokens.SECRET}"
channel "told*" {{ presence-events = yes }}
"""

    def bearer(self, user):
        return tokens.bearer(tokens.token(
            subscribe=["*"], send=["*"], **({"sub": user} if user else {})))

    def socket(self, channels, user=None):
        ws = WebSocket(self.gateway.port, f"/stream/{channels}",
                       headers=self.bearer(user))
        self.addCleanup(ws.close)
        self.assertEqual(ws.message()["type"], "spillway.hello")
        return ws

    def stream(self, channels, user=None):
        es = EventStream(self.gateway.port, f"/stream/{channels}",
                         headers=self.bearer(user))
        self.addCleanup(es.close)
        self.assertEqual(es.block()[0], "spillway.hello")
        return es

    def waiting(self, channel, user=None):
        """A long poll that waits: it is one of those who are there."""
        head = self.gateway.get(f"/stream/{channel}",
                                dict(self.bearer(user)))[1]["cursor"]
        wire = Wire(self.gateway.port)
        self.addCleanup(wire.close)
        lines = "".join(f"{k}: {v}\r\n" for k, v in self.bearer(user))
        wire.send((f"GET /stream/{channel}?wait=50&after={head} HTTP/1.1\r\n"
                   f"Host: a\r\n{lines}\r\n").encode())
        return wire

    def members(self, channel, query=""):
        status, answer = self.gateway.api(
            "GET", f"/v1/channels/{channel}/presence{query}")
        self.assertEqual(status, 200, answer)
        return answer

    def history(self, channel):
        return self.gateway.api(
            "GET", f"/v1/channels/{channel}/events?after=start")[1]["events"]

    def who(self, channel):
        return sorted((m["transport"], m.get("user"))
                      for m in self.members(channel)["members"])

    def event(self, ws, kind):
        while True:
            message = ws.message()
            if message["type"] == kind:
                return message

    # Who is there.

    def test_who_is_there_is_since_it_listens_not_since_it_connected(self):
        """Browsers and proxies use a connection again for a stream."""
        head = self.gateway.get("/stream/a", dict(self.bearer("ann")))[1]
        wire = Wire(self.gateway.port)
        self.addCleanup(wire.close)
        lines = "".join(f"{k}: {v}\r\n" for k, v in self.bearer("ann"))
        # It has had two seconds of another use.
        wire.send((f"GET /stream/a?wait=2&after={head['cursor']} HTTP/1.1\r\n"
                   f"Host: a\r\n{lines}\r\n").encode())
        self.assertEqual(wire.response()[0], 200)
        before = time.time() * 1000
        wire.send((f"GET /stream/a HTTP/1.1\r\nHost: a\r\n{lines}"
                   "Accept: text/event-stream\r\n\r\n").encode())
        wire.until(b"spillway.caughtup")
        member = self.members("a")["members"][0]
        self.assertGreater(member["since"], before - 1000)
        listed = self.gateway.api("GET", "/v1/connections")[1]
        age = listed["connections"][0]["ageSeconds"]
        self.assertLess(age, time.time() - before / 1000 + 1)
        self.gateway.api("DELETE", "/v1/connections?user=ann")
        line = self.gateway.wait_log(r"why=kicked.* seconds=")
        self.assertLess(float(line.rpartition("=")[2]), time.time() - before / 1000 + 1)

    def test_everybody_who_listens_is_there_on_every_transport(self):
        self.assertEqual(self.members("a"),
                         {"channel": "a", "members": [], "count": 0})
        ws = self.socket("a,b", "ann")
        es = self.stream("a", "bob")
        self.stream("b")
        poll = self.waiting("a", "cid")
        self.gateway.until(lambda: self.members("a")["count"] == 3)
        self.assertEqual(self.who("a"), [("long", "cid"), ("sse", "bob"),
                                         ("ws", "ann")])
        self.assertEqual(self.who("b"), [("sse", None), ("ws", "ann")])
        for limit in 1, 2, 3:
            answer = self.members("a", f"?limit={limit}")
            self.assertEqual(answer["count"], 3)
            # Whichever worker has them.
            self.assertEqual(len(answer["members"]), limit)
        ws.command(op="unsubscribe", channel="a", ref=1)
        self.assertEqual(self.event_ref(ws, 1)["op"], "ok")
        es.close()
        poll.close()
        self.gateway.until(lambda: self.members("a")["count"] == 0)
        self.assertEqual(self.who("b"), [("sse", None), ("ws", "ann")])

    def event_ref(self, ws, ref):
        while True:
            message = ws.message()
            if message.get("ref") == ref:
                return message

    def test_questions_that_make_no_sense_are_refused(self):
        for method, path, status in (
                ("GET", "/v1/channels/a/presence?limit=0", 400),
                ("POST", "/v1/channels/a/presence", 405),
                ("GET", "/v1/channels/a%20b/presence", 400),
                ("DELETE", "/v1/connections", 400),
                ("DELETE", "/v1/connections?user=", 400),
                ("PUT", "/v1/connections", 405)):
            self.assertEqual(self.gateway.api(method, path)[0], status, path)

    # Who comes and goes.

    def test_coming_and_going_are_events_of_the_channel(self):
        first = self.socket("told", "ann")
        self.assertEqual(self.event(first, "spillway.join")["data"]["user"],
                         "ann")
        second = self.stream("told,quiet", "bob")
        join = self.event(first, "spillway.join")
        self.assertEqual(join["channel"], "told")
        self.assertEqual({k: join["data"][k] for k in ("transport", "user")},
                         {"transport": "sse", "user": "bob"})
        second.close()
        leave = self.event(first, "spillway.leave")
        self.assertEqual(leave["data"], join["data"])
        first.command(op="subscribe", channel="told-2")
        first.command(op="unsubscribe", channel="told-2", ref=1)
        self.event_ref(first, 1)
        self.gateway.until(
            lambda: [(e["type"], e["data"]["user"])
                     for e in self.history("told-2")] ==
            [("spillway.join", "ann"), ("spillway.leave", "ann")])

    def heard(self, channel):
        """Who has come and gone, as its events say."""
        return sorted((e["data"]["user"], e["type"].removeprefix("spillway."))
                      for e in self.history(channel))

    def hears(self, channel, *stayed, gone=()):
        want = sorted([(who, "join") for who in (*stayed, *gone)] +
                      [(who, "leave") for who in gone])
        self.gateway.until(lambda: self.heard(channel) == want,
                           f"{channel}: {want}")

    def poll(self, channels, user):
        status, _ = self.gateway.get(f"/stream/{channels}?session=s",
                                     dict(self.bearer(user)))
        self.assertEqual(status, 200)

    def test_who_has_joined_leaves_and_nobody_else_whatever_reloads_say(self):
        ann, bob = self.socket("told,free", "ann"), self.stream(
            "told,free", "bob")
        eve = self.socket("told,free", "eve")
        self.poll("told,free", "cid")
        self.hears("told", "ann", "bob", "cid", "eve")
        self.gateway.configure(
            self.conf.replace('"told*"', '"free*"') + 'session-lease = "1h"')
        self.gateway.signal(1)
        self.gateway.wait_log("configuration reloaded")
        dan = self.socket("told", "dan")
        dan.command(op="subscribe", channel="free", ref=1)
        self.event_ref(dan, 1)
        self.poll("told,free", "fay")
        self.hears("free", "dan", "fay")
        for n, channel in enumerate(("told", "free")):
            ann.command(op="unsubscribe", channel=channel, ref=n)
            self.event_ref(ann, n)
        self.hears("told", "bob", "cid", "eve", gone=["ann"])
        self.hears("free", "dan", "fay")
        # Who comes again is somebody who comes now.
        ann.command(op="subscribe", channel="free", ref=2)
        ann.command(op="subscribe", channel="told", ref=3)
        self.event_ref(ann, 3)
        self.hears("free", "dan", "fay", "ann")
        for end in bob, eve, ann, dan:
            end.close()
        for user in "cid", "fay":
            self.assertEqual(self.gateway.api(
                "DELETE", f"/v1/connections?user={user}")[1]["count"], 1)
        self.hears("told", gone=["ann", "bob", "cid", "eve"])
        self.hears("free", gone=["ann", "dan", "fay"])

    def test_polls_come_and_go_without_a_word(self):
        self.waiting("told")
        self.gateway.until(lambda: self.members("told")["count"] == 1)
        self.assertEqual(self.history("told"), [])

    # Who has to go.

    def test_all_streams_of_a_user_can_be_ended(self):
        ann = [self.socket("a", "ann é"), self.socket("b", "ann é")]
        stream, poll = self.stream("a", "ann é"), self.waiting("a", "ann é")
        bob = self.socket("a", "bob")
        self.gateway.until(lambda: self.members("a")["count"] == 4)
        self.assertEqual(
            self.gateway.api("DELETE", "/v1/connections?user=ann+%C3%A9"),
            (200, {"count": 4}))
        for ws in ann:
            with self.assertRaises(Closed) as end:
                while True:
                    ws.read()
            self.assertEqual(end.exception.code, 4403)
        with self.assertRaises(Closed):
            while True:
                stream.block()
        self.assertEqual(poll.response()[0], 403)
        bob.command(op="ping", ref=1)
        self.assertEqual(self.event_ref(bob, 1)["op"], "ok")
        self.assertEqual(
            self.gateway.api("DELETE", "/v1/connections?user=ann+%C3%A9"),
            (200, {"count": 0}))

    def test_or_asked_to_come_back(self):
        ws, poll = self.socket("a", "ann"), self.waiting("a", "ann")
        self.gateway.until(lambda: self.members("a")["count"] == 2)
        self.assertEqual(self.gateway.api(
            "DELETE", "/v1/connections?user=ann&reconnect=yes"),
            (200, {"count": 2}))
        with self.assertRaises(Closed) as end:
            while True:
                ws.read()
        self.assertEqual(end.exception.code, 4000)
        status, _, body = poll.response()
        self.assertEqual((status, json.loads(body)["events"]), (200, []))


if __name__ == "__main__":
    main()
