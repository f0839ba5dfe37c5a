"""Clients of whom the backend is told: sockets, streams, sessions of polls.

Each does one thing after the other, and writes down what came of it; between
two things it may be asked to wait (World.checkpoint), so that there is a moment
at which nothing happens.
"""

import http.client
import json
import random
import ssl
import threading
import time

from gateway import (CLOSE, Closed, EventStream, WebSocket, Wire, query,
                     request_head)
from model_backend import EXPIRES, Life, Op, is_queued
from model_passes import Pass, needs_pass, random_pass

BROKEN = (EOFError, OSError, ssl.SSLError, Closed, http.client.HTTPException)
CHANNELS = [f"{kind}-{n}" for kind in
            ("told", "queued", "asked", "sworn", "fickle", "seen", "shown",
             "quiet")
            for n in (1, 2, 3)]
SENT = [c for c in CHANNELS if not c.startswith("fickle")]


def is_an_end(status, answer):
    """Of a poll that was let in: whoever asked is there all the same."""
    return status == 410 or answer.get("detail") == "the token has expired"


class Message:
    def __init__(self, key, channel, session, seq):
        self.key, self.channel = key, channel
        self.session, self.seq = session, seq
        self.tries, self.taken = 0, False
        self.users = set()      # as whom it may have been sent


class Guest(threading.Thread):
    def __init__(self, world, n):
        super().__init__(daemon=True)
        self.world, self.n, self.error = world, n, None
        self.random = random.Random(f"{world.seed}-guest-{n}")
        self.session, self.seq = f"guest-{n}", 0
        self.user = f"user-{n}"
        self.again = []         # messages that had no answer

    def run(self):
        try:
            while not self.world.over.is_set():
                self.world.checkpoint()
                try:
                    self.live()
                except BROKEN:
                    self.world.wait_up()
        except BaseException as e:  # reported by the test
            self.error = e
            self.world.failed.set()
        finally:
            self.world.leave()

    def some_channels(self):
        chosen = self.random.sample(CHANNELS, self.random.choice((1, 1, 2, 4)))
        return chosen + ["no-1"] * (self.random.random() < 0.05)

    def message(self, tokens):
        if self.again and self.random.random() < 0.7:
            m = self.again.pop(0)
        else:
            seq = None
            if self.random.random() < 0.6:
                self.seq += 1
                seq = self.seq
            m = Message(f"k{next(self.world.numbers)}",
                        self.random.choice(SENT), self.session, seq)
            self.world.messages.append(m)
        m.tries += 1
        m.users.update(t.user for t in tokens)
        return m

    def settled(self, m, taken):
        m.taken = m.taken or taken
        if not taken and m.seq is not None:
            self.again.append(m)

    def token(self):
        """What it shows with a request of its own."""
        return Pass()

    def post(self):
        token = self.token()
        m = self.message([token])
        try:
            status, _, body = self.world.gateway.request(
                "POST", f"/stream/{m.channel}" + query(
                    {"session": m.session, "seq": m.seq}), json.dumps(m.key),
                {"Content-Type": "application/json", **dict(token.headers)})
        except BROKEN:
            self.settled(m, False)
            raise
        self.settled(m, status < 300)
        if status < 300 and not is_queued(m.channel):
            assert json.loads(body) == m.key, (status, body)
        assert status < 300 or status >= 500 or status == 429 or (
            status == 401 and token.may_have_ended()), (status, body)


class Streamer(Guest):
    """One stream after the other."""

    def live(self):
        way = self.random.choice(("ws", "ws", "sse"))
        life = Life(way, self.some_channels(), self.world.run_number)
        if self.random.random() < 0.3 or any(map(needs_pass, life.channels)):
            life.token = random_pass(self.random, self.user)
        self.world.lives.append(life)
        (Socket if way == "ws" else Events)(self, life).run()


class Stream:
    wire, waiting = None, ()    # for answers

    def __init__(self, guest, life):
        self.guest, self.life, self.world = guest, life, guest.world
        self.random = guest.random

    def port(self):
        g = self.world.gateway
        return self.random.choice((g.port, g.plain_port, g.plain_port))

    def refused(self, code, reason=""):
        """Not let in: there is a reason."""
        channels = self.life.channels
        self.world.note(self.life.way, "refused", code, *channels)
        assert "no-1" in channels or self.world.is_troubled(self.life) or (
            code in (401, 4401) and (
                self.world.listener.expires and EXPIRES in channels or
                self.life.may_have_expired())) or (
            code in (403, 4403) and
            not all(map(self.life.token.allows, channels))), (
                "refused", code, reason, str(self.life))
        self.life.ended("refused")
        return False

    def welcome(self, hello):
        assert "no-1" not in self.life.channels and all(
            map(self.life.token.allows, self.life.channels)), str(self.life)
        self.life.opened(int(hello["connection"]), self.world.run_number)
        self.world.note(self.life.way, self.life.number, "comes to",
                        *self.life.channels)
        if self.life.polled:
            self.life.polled.left(self.life.channels)

    def walk(self):
        for _ in range(self.random.randrange(10)):
            self.world.checkpoint()
            if self.world.over.is_set():
                break
            self.do_something()
            if self.waiting:
                break
        self.leave()

    def leave(self):
        how = self.random.choice(("fin", "reset", "kicked", "client"))
        if how == "kicked":
            status, _ = self.world.gateway.api(
                "DELETE", f"/v1/connections/{self.life.number}")
            if status != 204:
                raise Closed()  # by the end of its gateway
        elif how == "client" and self.life.way == "ws":
            self.wire.say(b"\x03\xe8", CLOSE)
            self.until_closed(1000)
        elif how == "reset":
            self.wire.reset()
        else:
            how = "fin"
            self.wire.close()
        self.ended(how)

    def ended(self, how):
        self.life.ended(how)
        self.world.note(self.life.way, self.life.number, "ends:", how)

    def run(self):
        """From its beginning to its end."""
        try:
            if self.open():
                self.walk()
        except BROKEN:
            self.ended("expired" if self.life.may_have_expired() else "broken")
            raise
        finally:
            self.close()

    def close(self):
        if self.wire is not None:
            self.wire.close()


class Events(Stream):
    def open(self):
        self.wire = EventStream(
            self.port(), f"/stream/{','.join(self.life.channels)}" + query(
                {"session": self.guest.session}), self.life.token.headers)
        if self.wire.status != 200:
            return self.refused(self.wire.status, self.wire.body)
        self.welcome(json.loads(self.wire.block()[1]))
        return True

    def do_something(self):
        if self.random.random() < 0.5:
            self.guest.post()
        else:
            self.world.pause(self.random)


class Socket(Stream):
    def open(self):
        self.waiting, self.refs = {}, 0
        # Whoever needs a token may show it in the first message.
        first = self.random.random() < 0.5 and any(
            map(needs_pass, self.life.channels))
        self.wire = WebSocket(
            self.port(), f"/stream/{','.join(self.life.channels)}" + query(
                {"session": self.guest.session}),
            headers=() if first else self.life.token.headers)
        if self.wire.status != 101:
            return self.refused(self.wire.status, self.wire.body)
        try:
            if first:
                self.wire.command(op="auth", token=self.life.token.text)
                assert self.wire.message()["op"] == "ok"
            self.welcome(self.wire.message())
        except Closed as e:
            if e.code is None or e.code == 1012:
                raise
            return self.refused(e.code, e.reason)
        return True

    def do_something(self):
        for _ in range(self.random.choice((1, 2, 5, 20))):
            self.command()
        if self.random.random() < 0.95:
            self.read_answers()

    def command(self):
        kind = self.random.choice(("subscribe", "unsubscribe", "message"))
        if self.random.random() < 0.05:
            kind = "auth"
        self.refs += 1
        if kind == "message":
            m = self.guest.message(self.life.tokens())
            op = Op(kind, m.channel, m.key)
            op.message = m
            command = {"op": "send", "data": m.key, "seq": m.seq}
            if m.seq is None:
                del command["seq"]
        elif kind == "auth":
            op = Op(kind, None, random_pass(self.random, self.random.choice(
                (*3 * (self.guest.user,), "somebody"))))
            command = {"op": kind, "token": op.key.text}
        else:
            op = Op(kind, self.random.choice(
                CHANNELS + ["no-1"] * (kind == "subscribe")))
            command = {"op": kind}
        self.life.ops.append(op)
        self.waiting[self.refs] = op
        if op.channel is not None:
            command["channel"] = op.channel
        self.wire.command(ref=self.refs, **command)

    def read_answers(self):
        while self.waiting:
            m = self.wire.message()
            if "op" in m:
                self.answer(self.waiting.pop(m["ref"]), m)

    def answer(self, op, m):
        op.outcome = m["code"] if m["op"] == "error" else "ok"
        self.world.note("ws", self.life.number, op)
        if op.kind == "message":
            self.guest.settled(op.message, op.outcome == "ok")
            assert m["op"] != "reply" or m["data"] == op.key, (m, op)
        elif op.kind == "auth":
            self.renewed(op, m)
        elif op.outcome != "ok":
            assert m["code"] == self.expected(op) or \
                self.world.is_troubled(self.life), (m, op)
        elif op.kind == "subscribe":
            assert self.life.token.allows(op.channel), op
            assert op.channel not in self.life.now, op
            self.life.comes(op.channel, op.sent)
        else:
            self.life.now.remove(op.channel)

    def expected(self, op):
        """Why something is refused."""
        token = self.life.token
        if op.kind == "subscribe" and op.channel == "no-1":
            return "forbidden"
        if op.kind == "subscribe" and not token.allows(op.channel):
            return "forbidden" if token.text else "unauthorized"
        return "subscribed" if op.channel in self.life.now else "not-found"

    def renewed(self, op, m):
        """Another token takes the place of the one before; or it may not."""
        if op.outcome == "unauthorized":
            assert op.key.may_have_ended(), (m, op)
            return
        token, self.life.token = self.life.token, op.key
        if token.user not in (None, op.key.user) or \
                not all(map(op.key.allows, self.life.now)):
            assert op.outcome == "forbidden", (m, op)
            self.life.token = token
        else:
            assert op.outcome == "ok", (m, op)

    def until_closed(self, code):
        try:
            while True:
                m = self.wire.message()
                if "op" in m:
                    self.answer(self.waiting.pop(m["ref"]), m)
        except Closed as e:
            if e.code != code:
                raise

    def close(self):
        for op in self.waiting.values():
            if op.kind == "message":
                self.guest.settled(op.message, False)
        self.waiting = {}
        super().close()


class Poller(Guest):
    """A session of polls after the other; sometimes a stream takes over."""

    def __init__(self, world, n):
        super().__init__(world, n)
        self.sessions = 0
        self.polled = None
        self.waiting = None     # a poll that is held, and what it asked

    def live(self):
        self.sessions += 1
        self.polled = self.world.begin_session(
            f"poll-{self.n}-{self.sessions}")
        self.session = self.polled.name
        self.has_tokens = self.random.random() < 0.4
        try:
            for _ in range(self.random.randrange(1, 25)):
                if self.world.over.is_set():
                    break
                self.world.checkpoint()
                self.do_something()
            self.await_answer()
        finally:
            self.let_go()

    def let_go(self):
        if self.waiting is not None:
            self.world.note(self.session, "lets go")
            self.waiting[0].close()
        self.waiting = None

    def do_something(self):
        chance = self.random.random()
        if chance < 0.4:
            self.poll(self.some_channels())
        elif chance < 0.6 and self.waiting is None:
            self.hold()
        elif chance < 0.75:
            self.await_answer()
        elif chance < 0.8:
            self.take_over()
        elif chance < 0.83:
            self.kick()
        elif chance < 0.92:
            self.post()
        else:
            self.world.pause(self.random)

    def token(self):
        """All of a session are of one user; many do not last."""
        return Pass(self.user, expires=self.random.random() < 0.5) \
            if self.has_tokens else Pass()

    def poll(self, channels):
        run, token = self.world.run_number, self.token()
        self.world.note(self.session, "polls", *channels)
        asked = channels, token, run, time.monotonic()
        self.answered(*self.world.gateway.get(
            f"/stream/{','.join(channels)}?last=1&session={self.session}",
            dict(token.headers)), *asked)

    def take_over(self):
        """A stream of the same session: its polls have left."""
        channels = self.polled.now(self.world.run_number)
        if self.waiting is not None or not channels:
            return
        life = Life("sse", self.random.sample(
            channels, self.random.randrange(len(channels)) + 1),
            self.world.run_number)
        life.token = self.token()
        self.world.lives.append(life)
        life.polled = self.polled
        Events(self, life).run()

    def answered(self, status, answer, channels, token, run, began):
        self.world.note(self.session, status, *channels)
        if run != self.world.run_number:
            self.polled.is_vague = True
        self.polled.asked.update(channels)
        if status == 200 or is_an_end(status, answer):
            assert "no-1" not in channels and all(
                map(token.allows, channels)), answer
            self.polled.joined(channels, run)
        if status == 200:
            self.cursor = answer["cursor"]
            return
        assert "no-1" in channels and status == 403 or \
            status == 401 and (token.may_have_ended() or
                               not all(map(token.allows, channels))) or \
            EXPIRES in self.polled.asked and status == 401 and \
            self.world.listener.expires or \
            status == 410 and self.world.was_deleted(channels) or \
            self.world.is_troubled_since(began), (channels, status, answer)

    def kick(self):
        """It ends, and comes back as another one."""
        channels = self.polled.now(self.world.run_number)
        if self.waiting is not None or not channels:
            return
        _, answer = self.world.gateway.api(
            "GET", f"/v1/channels/{channels[0]}/presence")
        for m in answer["members"]:
            if m.get("session") == self.session and \
                    m["transport"] == "short":
                status, _ = self.world.gateway.api(
                    "DELETE", f"/v1/connections/{m['connection']}")
                self.world.note(self.session, "kicked", status)
                self.polled.left(channels)

    def hold(self):
        """Channels it has polled before: to be there is nothing new."""
        run = self.world.run_number
        channels = self.polled.now(run)[:3]
        if not channels:
            return
        self.world.note(self.session, "holds", *channels)
        wire, token = Wire(self.world.gateway.plain_port), self.token()
        self.waiting = wire, channels, token, run, time.monotonic()
        wire.send(request_head(
            f"/stream/{','.join(channels)}?wait=1&session={self.session}"
            f"&after={self.cursor}", token.headers))
        if run != self.world.run_number:
            self.polled.is_vague = True

    def await_answer(self):
        if self.waiting is None:
            return
        status, _, body = self.waiting[0].response()
        self.answered(status, json.loads(body), *self.waiting[1:])
        self.let_go()
