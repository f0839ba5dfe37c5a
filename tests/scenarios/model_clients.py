"""Clients with whims, on all transports, which write down what they hear.

A Story is one connection, or one poll: what was asked for, and everything that
came, in order and with the time. tests/scenarios/model_check.py judges it when
all is over.
"""

import json
import random
import select
import ssl
import threading
import time

from gateway import (BINARY, CLOSE, GUARD, Closed, EventStream, WebSocket,
                     Wire, query, request_head)
from model_log import NEVER
from model_senders import Sender, Sending
from tokens import bearer, token

WAYS = ("ws", "ws", "ws", "ws raw", "sse", "sse raw", "long", "short",
        "history")
BROKEN = (EOFError, ConnectionError, ssl.SSLError, Closed)


def number(cursor):
    return int(cursor.rpartition("-")[2]) if cursor else None


class Start:
    """Where a subscription begins: live, start, last, cursor, epoch, ahead."""

    def __init__(self, kind, value=None):
        self.kind, self.value = kind, value

    @property
    def fresh(self):
        """With whatever is kept."""
        return self.kind in ("start", "last", "epoch", "ahead")

    def params(self, epoch):
        return {"live": {}, "start": {"after": "start"},
                "last": {"last": self.value},
                "cursor": {"after": f"{epoch}-{self.value}"},
                "epoch": {"after": "zzzz-5"},
                "ahead": {"after": f"{epoch}-999999999999"}}[self.kind]

    def __repr__(self):
        return f"{self.kind} {self.value or ''}"


class Token:
    """Valid for a second at most, or for ever."""

    def __init__(self, expires):
        self.text, self.ends = None, NEVER
        if expires is not None:
            now = time.time()
            end = int(now + 1) if expires else None
            claims = {"exp": end} if end else {}
            self.text = token(subscribe=["*"], expires=None, **claims)
            if end:
                self.ends = time.monotonic() + end - now

    @property
    def headers(self):
        return bearer(self.text) if self.text else []


class Story:
    """What one connection heard: entries of (time, what, ...)."""

    def __init__(self, way, channels, start):
        self.way, self.channels, self.start = way, channels, start
        self.began, self.connection = time.monotonic(), None
        self.entries = []
        self.tokens = []        # the one in force, and those on their way
        self.valid = 0          # until then, by any of them

    def show(self, *tokens):
        self.tokens += tokens
        self.valid = max([self.valid] + [t.ends for t in tokens])

    def note(self, *entry):
        self.entries.append((time.monotonic(), *entry))

    def __str__(self):
        lines = [f"{self.way} {','.join(self.channels)} from {self.start}, "
                 f"connection {self.connection}, began {self.began:.3f}"]
        return "\n".join(lines + [
            f"  {t:.3f} " + " ".join(map(str, e)) for t, *e in self.entries])


class Client(threading.Thread):
    """One life after the other; `world` has the gateway and the log."""

    def __init__(self, world, n):
        super().__init__(daemon=True)
        self.world, self.log = world, world.log
        self.random = random.Random(f"{world.seed}-client-{n}")
        self.stories, self.seen, self.error = [], {}, None
        self.resume = None  # channels and a number
        self.sender = Sender(self, n)

    def run(self):
        try:
            while not self.world.over.is_set():
                if self.random.random() < 0.3:
                    self.post()
                else:
                    self.live()
            self.sender.settle(self.world.gateway.port)
            self.live(last=True)
        except BaseException as e:  # reported by the test
            self.error = e
            self.world.failed.set()

    # How a life begins.

    def choose_start(self, channels):
        kind = self.random.choice(("live", "start", "last", "cursor",
                                   "cursor", "epoch", "ahead"))
        if kind == "last":
            return Start(kind, self.random.choice((1, 10, 300, 3000)))
        if kind == "cursor":
            return Start(kind, self.some_number(channels))
        return Start(kind)

    def some_number(self, channels):
        with self.log.changed:
            known = [n for n, e in self.log.by_id.items()
                     if e.channel in channels]
        recent = known[-100:] if self.random.random() < 0.5 else known
        return self.random.choice(recent or [0])

    def live(self, last=False):
        way = self.random.choice(WAYS)
        channels = self.random.sample(
            sorted(self.log.kinds), 1 if way == "history" else
            self.random.choice((1, 1, 2, 3, 5)))
        start = self.choose_start(channels)
        if self.resume and self.random.random() < 0.6:
            channels, at = self.resume
            channels = channels[:1] if way == "history" else channels
            start = Start("cursor", at)
        try:
            if way in ("long", "short", "history"):
                Poller(self, way, channels, start).live(last)
            else:
                self.stream(way, channels, start, not last).live(last)
        except BROKEN:
            assert not last or self.world.up.is_set()
            self.world.wait_up()
            if last:
                self.live(last)

    def post(self):
        try:
            self.sender.post(self.port())
        except BROKEN:
            self.world.wait_up()

    def token(self, lasts=False):
        """With which it asks: in some worlds it has to have one."""
        if not self.world.tokens:
            return Token(None)
        return Token(not lasts and self.random.random() < 0.6)

    def stream(self, way, channels, start, slow):
        return (Socket if way.startswith("ws") else Events)(
            self, way, channels, start, slow)

    def read_all(self):
        """What is left at the end, also of what had no answer."""
        for channel in self.log.kinds:
            Poller(self, "history", [channel], Start("start")).live(True)

    # What all of them need.

    def story(self, *what):
        self.stories.append(Story(*what))
        return self.stories[-1]

    def port(self):
        g = self.world.gateway
        return self.random.choice((g.port, g.plain_port, g.plain_port))

    def take(self, story, cursor, channel, data):
        """An event is what was published, to the byte."""
        e = self.log.by_key.get(data.split(" ", 1)[0])
        assert e is not None and e.has(data) and channel in (
            None, e.channel), ("never published", cursor, channel, data[:80])
        n = number(cursor)
        if n is not None:
            assert self.seen.setdefault(n, e.key) == e.key, (n, e)
        story.note("event", n, e.channel, e.key)
        return n, e.channel


class Progress:
    """How far each channel of a connection has come: enough to know an end."""

    def __init__(self):
        self.at, self.alone = {}, set()

    def event(self, channel, n):
        joined = [c for c in self.at if c not in self.alone]
        for c in [channel] if channel in self.alone else joined:
            self.at[c] = max(self.at[c], n)

    def to(self, channel, n):
        """A gap or a caughtup; without a channel, of all that are joined."""
        for c in [channel] if channel else set(self.at) - self.alone:
            if c in self.at:
                self.at[c] = max(self.at[c], n)

    def has(self, ends):
        return all(n >= ends[c] for c, n in self.at.items())


class Poller:
    """One poll after the other, on a connection that is kept."""

    def __init__(self, client, way, channels, start):
        self.client, self.way, self.channels = client, way, channels
        self.start, self.world = start, client.world
        self.random = client.random
        self.wire, self.more = None, False

    def path(self):
        params = self.start.params(self.world.epoch)
        limit = self.random.choice((None, 1, 7, 100, 500))
        if limit is not None:
            params["limit"] = limit
        if self.way == "history":
            params.pop("last", None)
            return f"/v1/channels/{self.channels[0]}/events" + query(params)
        if self.way == "long":
            params["wait"] = self.random.choice((1, 20))
        return f"/stream/{','.join(self.channels)}" + query(params)

    def new_token(self, last):
        """The operator's API knows no clients' tokens."""
        return Token(None) if self.way == "history" else \
            self.client.token(last)

    def live(self, last):
        self.token = self.new_token(last)
        if self.way == "history" and not self.start.kind == "cursor":
            self.start = Start("start")
        for _ in range(1 << 20 if last else self.random.randrange(1, 20)):
            if not self.poll():
                break
            if self.random.random() < 0.2:
                self.token = self.new_token(last)
            at = self.start.value
            if last and not self.more and all(
                    at >= self.world.ends[c] for c in self.channels):
                break
            if not last and self.random.random() < 0.3:
                self.world.pause(self.random)
        if self.wire is not None:
            self.wire.close()

    def poll(self):
        story = self.client.story(self.way, self.channels, self.start)
        story.show(self.token)
        if self.wire is None:
            self.wire = Wire(self.world.gateway.api_port if
                             self.way == "history" else self.client.port())
        if self.random.random() < 0.03 and self.way == "long":
            return self.abandon()
        self.ask()
        try:
            status, headers, body = self.wire.response()
        except BROKEN:
            story.note("end", None)
            raise
        if headers.get("connection") == "close":
            self.wire.close()
            self.wire = None
        if status != 200:
            story.note("end", status, body.decode())
            return False
        self.take(story, json.loads(body))
        return True

    def ask(self):
        self.wire.send(request_head(self.path(), self.token.headers))

    def abandon(self):
        """Ask, and go away before there is an answer."""
        self.ask()
        self.client.stories.pop()
        self.wire.reset()
        self.wire = None
        return False

    def take(self, story, answer):
        if "gap" in answer:
            gap = answer["gap"]
            story.note("gap", gap["reason"], number(gap["after"]),
                       number(gap["first"]), gap.get("channel"))
        for e in answer["events"]:
            self.client.take(story, e["id"], e["channel"], e["data"])
        at = number(answer["cursor"])
        if answer["events"]:
            assert answer["cursor"] == answer["events"][-1]["id"], answer
        else:
            assert not answer.get("more"), answer
        story.note("caughtup", at, None)
        self.more = answer.get("more")
        self.start = Start("cursor", at)
        self.client.resume = self.channels, at


class Stream:
    """A connection that lasts."""

    def __init__(self, client, way, channels, start, slow):
        self.client, self.world, self.random = (
            client, client.world, client.random)
        self.buffer = self.random.choice((4096, 4096, None)) if slow else None
        self.raw = way.endswith("raw")
        self.story = client.story(way, channels, start)
        self.story.show(client.token(not slow))
        self.progress = Progress()
        for c in channels:
            self.progress.at[c] = 0
        self.open("/stream/" + ",".join(channels) + query(
            dict(start.params(client.world.epoch), **self.params())))

    def ready(self, wire):
        s = wire.s
        return bool(wire.data or getattr(s, "pending", int)() or
                    select.select([s], [], [], 0)[0])

    def live(self, last):
        try:
            if not last:
                self.walk()
                return
            deadline = time.monotonic() + GUARD
            while not self.progress.has(self.world.ends):
                assert time.monotonic() < deadline, (
                    "it does not come", self.progress.at,
                    str(self.story)[-3000:])
                self.read()
        except BROKEN as e:
            self.story.note("end", getattr(e, "code", None))
            # Killed or not: the next life knows.
        finally:
            at = max(self.progress.at.values(), default=0)
            if self.progress.at and at:
                self.client.resume = list(self.progress.at), at
            self.wire.close()
        if last and not self.progress.has(self.world.ends):
            raise Closed()

    def walk(self):
        for _ in range(self.random.randrange(1, 60)):
            if self.world.over.is_set():
                break
            chance = self.random.random()
            if chance < 0.5:
                self.read_some(self.random.choice((1, 5, 50, 300)))
            elif chance < 0.65:
                self.world.pause(self.random)
            else:
                self.do_something()
        self.leave()

    def read_some(self, count):
        if self.progress.at:
            self.read()
        while count > 0 and self.ready(self.wire) and \
                not self.world.over.is_set():
            self.read()
            count -= 1

    def leave(self):
        chance = self.random.random()
        if chance < 0.2:
            self.wire.reset()
        elif chance < 0.4 and self.story.connection:
            self.world.kick(self.story.connection)
            while True:
                self.read()

    def notice(self, m):
        """What is no event."""
        kind = m["type"].partition(".")[2]
        if kind == "hello":
            self.story.connection = m["connection"]
            self.story.note("hello", number(m["cursor"]))
            self.progress.to(None, number(m["cursor"]))
        elif kind == "gap":
            self.story.note("gap", m["reason"], number(m["after"]),
                            number(m["first"]), m.get("channel"))
            if m["first"]:
                self.progress.to(m.get("channel") or self.only(),
                                 number(m["first"]) - 1)
        elif kind == "caughtup":
            self.story.note("caughtup", number(m["cursor"]), m.get("channel"))
            self.progress.to(m.get("channel"), number(m["cursor"]))
            self.progress.alone.discard(m.get("channel"))

    def only(self):
        return next(iter(self.progress.at)) if len(
            self.progress.at) == 1 else None

    def event(self, cursor, channel, data):
        # A string of a batch is JSON, which raw forms leave as it is.
        if self.raw and data[:1] == '"':
            data = json.loads(data)
        n, channel = self.client.take(self.story, cursor, channel, data)
        if n is None:
            e = self.client.log.by_key[data.split(" ", 1)[0]]
            n = e.id or 0
        self.progress.event(channel, n)


class Events(Stream):
    """SSE, with envelopes or without."""

    def params(self):
        return {} if self.raw else {"format": "json"}

    def open(self, path):
        self.wire = EventStream(
            self.client.port(), path, self.story.tokens[0].headers,
            receive_buffer=self.buffer)
        if self.wire.status != 200:
            raise Closed(self.wire.status)

    def read(self):
        name, data = self.wire.block()
        if name.startswith("spillway."):
            self.notice(dict(json.loads(data), type=name))
        elif self.raw:
            self.event(self.wire.last_id, None, data)
        else:
            m = json.loads(data)
            assert m["id"] == self.wire.last_id, m
            self.event(m["id"], m["channel"], m["data"])

    def do_something(self):
        self.read()


class Socket(Stream):
    """A WebSocket that subscribes and unsubscribes; raw ones only listen."""

    def params(self):
        return {"session": self.client.sender.session}

    def open(self, path):
        self.pending, self.refs = {}, 0
        self.sender = self.client.sender
        self.sending = Sending(self.sender)
        self.echoes, self.own = [], []  # what a raw one waits for: keys
        self.wire = WebSocket(
            self.client.port(), path,
            protocol="spillway.raw" if self.raw else None,
            extensions=self.random.choice((None, "permessage-deflate")),
            headers=self.story.tokens[0].headers,
            receive_buffer=self.buffer)
        if self.wire.status != 101:
            raise Closed(self.wire.status)
        self.story.note("open")

    def read(self):
        opcode, payload = self.wire.read()
        assert opcode != BINARY
        if self.raw:
            self.frame(payload.decode())
            return
        m = json.loads(payload)
        if self.sender.is_ours(m):
            self.sender.replied(self.sending, m)
        elif "op" in m:
            self.answer(m)
        elif m["type"].startswith("spillway."):
            self.notice(m)
        else:
            self.event(m["id"], m["channel"], m["data"])

    def frame(self, data):
        """An event, or what the gateway has sent back."""
        key = data.split(" ", 1)[0]
        if key in self.echoes:
            assert key == self.echoes.pop(0), ("another echo first", key)
            assert self.client.log.by_key[key].has(data), key
            return
        if key in self.own:
            assert key == self.own.pop(0), ("another one first", key)
            self.client.log.is_over(key)
        self.event(None, None, data)

    def live(self, last):
        try:
            super().live(last)
        finally:
            self.sending.ended()

    def send(self):
        """Some messages, as long as there is room; a raw one to the first."""
        for _ in range(self.random.choice((1, 5, 30, 60))):
            if not self.raw:
                if self.sending.room():
                    self.sender.command(self.sending, self.wire)
                continue
            channel = self.story.channels[0]
            kind = self.client.log.kinds[channel]
            if kind.send.fixed and len(self.echoes) + len(self.own) < 4:
                keys = self.echoes if kind.send.value == "echo" else self.own
                keys.append(self.sender.raw(self.wire, channel))

    def do_something(self):
        if self.random.random() < 0.5:
            self.send()
        elif self.raw:
            self.read()
        elif self.random.random() < 0.1:
            self.wire.command(op="ping", ref="p")
        elif self.random.random() < 0.2 and self.client.world.tokens:
            self.renew()
        else:
            self.command(self.random.random() < 0.55)

    def command(self, subscribe):
        channel = self.random.choice(sorted(self.client.log.kinds))
        if any(c == channel for _, c, _, _ in self.pending.values()):
            return
        self.refs += 1
        ref, args, start = str(self.refs), {}, Start("live")
        if subscribe:
            start = self.client.choose_start([channel])
            start = Start("live") if start.kind == "last" else start
            args = start.params(self.world.epoch)
        op = "subscribe" if subscribe else "unsubscribe"
        self.pending[ref] = op, channel, start, time.monotonic()
        self.wire.command(op=op, channel=channel, ref=ref, **args)

    def renew(self):
        """Of several that are on their way the last one counts."""
        self.story.show(self.client.token())
        self.wire.command(op="auth", token=self.story.tokens[-1].text,
                          ref="auth")

    def renewed(self, m):
        """A token may have ended on its way; then the others count."""
        tokens = self.story.tokens
        if m["op"] == "ok":
            del tokens[0]
            return
        assert m["code"] == "unauthorized" and \
            tokens[1].ends <= time.monotonic(), m
        del tokens[1]

    def answer(self, m):
        if m.get("ref") == "auth":
            self.renewed(m)
        if m.get("ref") not in self.pending:
            return
        op, channel, start, began = self.pending.pop(m["ref"])
        known = channel in self.progress.at
        assert (m["op"] == "ok") == (known == (op == "unsubscribe")), (m, op)
        if m["op"] != "ok":
            self.story.note("refused", op, channel, m["code"])
        elif op == "unsubscribe":
            self.story.note("unfollow", channel)
            del self.progress.at[channel]
            self.progress.alone.discard(channel)
        else:
            self.story.note("follow", channel, start, began,
                            number(m["cursor"]))
            self.progress.at[channel] = number(m["cursor"])
            if start.kind != "live":
                self.progress.alone.add(channel)

    def leave(self):
        if self.random.random() < 0.3:
            self.wire.say(b"\x03\xe8", CLOSE)
            while True:
                self.read()
        super().leave()
