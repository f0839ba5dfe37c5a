"""What the backend was told: the oracle of the bridge.

Listener is the backend, in all moods; Story is what it has heard of one
connection. Whoever it has heard of has an end; what it is told is what the
client did, in that order, and nothing is missing without need; what it is told
again is the same.
"""

import collections
import json
import random
import threading
import time

from bridge_backend import Backend
from gateway import GUARD
from model_log import NEVER, Period
from model_passes import Pass

TOLD, QUEUED = ("told", "asked", "queued", "sworn"), ("queued",)
FICKLE = ("fickle",)    # reloads change whether and how it is told
KINDS = ("subscribe", "unsubscribe", "message", "connect")
COMING = KINDS[:2]      # and going: what is told again until it is taken
EXPIRES = "asked-3"  # what is granted of it may end soon
LAG = 1.5           # seconds: the gateway leaves alone what has failed
OF_A_KILL = {"crash", "restart", "peer", "io", "client", "kicked", "lease"}
REASONS = {"client": {"client"}, "fin": {"peer", "io"}, "reset": {"peer", "io"},
           "kicked": {"kicked"}, "broken": {"deleted", "expired"},
           "expired": {"expired"}}


def is_told(channel):
    return channel.partition("-")[0] in TOLD


def is_queued(channel):
    return channel.partition("-")[0] in QUEUED


def is_asked(channel):
    """The backend decides who comes to it."""
    return channel.partition("-")[0] in ("asked", "no")


def may_be_told(channel):
    return channel.partition("-")[0] in TOLD + FICKLE


def publishes(key):
    return int(key[1:]) % 3 == 0


class Listener:
    """Takes what it is told, or not: `mood` is a status, hold or None."""

    def __init__(self, seed):
        self.random = random.Random(f"{seed}-backend")
        self.expires = self.random.random() < 0.3
        self.mood, self.go_on = None, threading.Event()
        self.trouble = None     # the last one
        self.troubles = []
        self.backend = Backend(self.answer)
        self.events = self.backend.events
        self.port = self.backend.port

    def answer(self, event):
        event.came = time.monotonic()
        mood = self.mood
        if mood == "hold":
            assert self.go_on.wait(GUARD)
        elif mood is not None:
            return mood, None, b""
        if event.type == "spillway.connect":
            channels = json.loads(event.body)["channels"]
            if any(c.startswith("no-") for c in channels):
                return 403, None, b""
            if not self.expires or EXPIRES not in channels:
                return 204, None, b""
            end = time.time() + self.random.choice((0.02, 0.3, 1))
            return 200, "application/json", json.dumps(
                {"expires": int(1000 * end)}).encode()
        if event.type != "spillway.message":
            return 204, None, b""
        key = json.loads(event.body)
        if publishes(key):
            return 200, "application/spillway+json", json.dumps(
                {"reply": key, "publish": [
                    {"channel": "heard", "data": key}]}).encode()
        return 200, "application/json", event.body

    def begin_trouble(self):
        self.troubles.append(Period())
        kind = self.random.choice((503, 503, 500, 429, "hold", "away", "hang"))
        self.trouble = kind
        if kind == "away":
            self.backend.close()
        elif kind == "hang":
            self.backend.server.hang_up()
        else:
            self.go_on.clear()
            self.mood = kind

    def end_trouble(self):
        self.mood = None
        self.go_on.set()
        if not self.backend.thread.is_alive():
            self.backend = Backend(self.answer, self.port, self.events)
        self.troubles[-1].end()

    def read_all(self):
        """Behind a kill: what it has sent is read before it is back."""
        server = self.backend.server
        while self.mood is None and self.backend.thread.is_alive():
            with server.lock:
                if not server.open:
                    break
            time.sleep(0.005)

    def heard(self):
        with self.backend.changed:
            return list(self.events)

    def stories(self):
        stories = {}
        for e in self.heard():
            number = int(e.headers["ce-connection"])
            stories.setdefault(number, Story(number)).hear(e)
        return stories

    def close(self):
        self.go_on.set()
        self.backend.close()


def overlaps(periods, begin, end, lag=0):
    return any(p.began <= end and p.done + lag >= begin for p in periods)


class Story:
    """What was heard of one connection, each event once."""

    def __init__(self, number):
        self.number, self.events, self.ids = number, [], {}
        self.there, self.session, self.end = set(), None, None
        self.user = None        # so far
        self.all = set()        # that it ever was told to be in

    def __str__(self):
        return f"connection {self.number}: " + ", ".join(
            f"{e.came:.3f} {self.kind(e)} {e.headers.get('ce-channel')} "
            f"{e.body.decode()}" for e in self.events)

    @staticmethod
    def kind(e):
        return e.type.removeprefix("spillway.")

    def hear(self, e):
        assert e.signed_by(), e.headers
        first = self.ids.setdefault(e.headers["ce-id"], e)
        if first is not e:
            names = ["ce-type", "ce-channel", "ce-session"]
            if not e.headers["ce-seq"]:  # what its client has said again
                names.append("ce-time")
            for name in names:
                assert first.headers[name] == e.headers[name], (
                    "the same id, and something else", name, str(self))
            assert first.body == e.body, str(self)
            return
        self.events.append(e)
        channel, kind = e.headers["ce-channel"], self.kind(e)
        self.user = e.headers["ce-user"]
        if e.headers["ce-transport"] in ("long", "short"):
            self.session = e.headers["ce-session"]
        # A request is in no lane.
        has_lane = e.headers["ce-transport"] != "post" and (
            kind != "connect" or e.headers["ce-transport"] in ("ws", "sse"))
        assert self.end is None or not has_lane, ("after the end", str(self))
        if kind == "subscribe":
            self.there.add(channel)
            self.all.add(channel)
        elif kind == "unsubscribe":
            self.there.discard(channel)
        elif kind == "disconnect":
            self.end = json.loads(e.body)
            self.before_end, self.there = self.there, set()

    def check_steps(self):
        """Nobody comes twice, or goes who is not there."""
        there = set()
        for e in self.events:
            channel, kind = e.headers["ce-channel"], self.kind(e)
            if kind == "subscribe":
                assert channel not in there, (channel, str(self))
                there.add(channel)
            elif kind == "unsubscribe":
                assert channel in there, (channel, str(self))
                there.discard(channel)

    def told(self, queued):
        """What is in its lane, or in that of the outbox."""
        for e in self.events:
            kind, channel = self.kind(e), e.headers["ce-channel"]
            if kind == "connect" and not queued:
                yield kind, tuple(json.loads(e.body)["channels"]), None
            elif kind in KINDS[:3] and \
                    e.headers["ce-transport"] != "post" and \
                    (kind == "message" or is_told(channel)) and \
                    is_queued(channel) == queued:
                yield kind, channel, json.loads(e.body) if e.body else None


class Op:
    """What a client did: `outcome` is None, ok or the code of an error."""

    def __init__(self, kind, channel, key=None):
        self.kind, self.channel, self.key = kind, channel, key
        self.sent, self.outcome = time.monotonic(), None
        self.is_first = False   # of all that the backend hears

    def step(self):
        return self.kind, self.channel, self.key

    def is_heard(self):
        return self.kind in ("message", "connect") or (
            self.kind in COMING and is_told(self.channel))

    def is_queued(self):
        return self.kind != "connect" and is_queued(self.channel)

    def is_refused(self):
        """Of a message that is refused the backend may have heard."""
        return self.kind in COMING and self.outcome not in (None, "ok")

    def __repr__(self):
        return f"{self.kind} {self.channel} {self.key} {self.outcome}"


class Life:
    """One stream, as its client knows it."""

    def __init__(self, way, channels, run):
        self.way, self.channels, self.began = way, channels, time.monotonic()
        self.number, self.how, self.gone = None, None, NEVER
        self.run, self.is_vague = run, False
        self.ops, self.now = [], set()
        self.came = {}          # to a channel: each time between when and when
        self.polled = None      # the session whose place it takes
        self.token = Pass()     # the one in force

    def opened(self, number, run):
        """`is_vague`: perhaps in the run before, which has ended."""
        self.number = number
        for c in self.channels:
            self.comes(c, self.began)
        self.is_vague = run != self.run

    def comes(self, channel, since):
        self.now.add(channel)
        self.came.setdefault(channel, []).append((since, time.monotonic()))

    def is_there(self, run):
        return self.number is not None and self.how is None and \
            self.run == run

    def ended(self, how):
        self.how, self.gone = how, time.monotonic()

    def __str__(self):
        return (f"{self.way} {self.number} of {self.channels}, {self.began:.3f}"
                f"-{self.gone:.3f} {self.how}: {self.ops}")

    def possible(self):
        """All channels that it may have had."""
        return set(self.channels) | {o.channel for o in self.ops
                                     if o.kind == "subscribe"}

    def may_have_ended(self, listener, deletes):
        """By itself, and its client need not have noticed."""
        had = self.possible()
        return listener.expires and EXPIRES in had or any(
            c in had and overlaps([d], self.began, self.gone + LAG, LAG)
            for c, d in deletes)

    def tokens(self):
        """The one in force, and those that may be."""
        return [self.token] + [o.key for o in self.ops
                               if o.kind == "auth" and o.outcome is None]

    def may_have_expired(self, by=None):
        return any(t.may_have_ended(by) for t in self.tokens())

    def asks(self):
        """What it did, and what the backend was asked for before that."""
        granted = set()
        if any(map(is_asked, self.channels)):
            granted.update(self.channels)
            first = self.question(self.channels, "ok")
            first.is_first = True
            yield first
        for o in self.ops:
            if o.kind == "subscribe" and is_asked(o.channel) and \
                    o.channel not in granted:
                yield self.question([o.channel], o.outcome)
                if o.outcome == "ok":
                    granted.add(o.channel)
            yield o

    @staticmethod
    def question(channels, outcome):
        """Of what failed nobody knows whether it was asked."""
        op = Op("connect", tuple(channels))
        op.outcome = "ok" if outcome in ("ok", "forbidden") else None
        return op

    def is_open_ended(self):
        """Of some of what it did nobody knows whether it was read."""
        return self.how == "broken" or any(o.outcome is None for o in self.ops)


class Judge:
    def __init__(self, listener, ends, deletes, reloads):
        self.listener, self.ends, self.deletes = listener, ends, deletes
        self.reloads = reloads
        self.stories = listener.stories()

    def is_troubled(self, life):
        return overlaps(self.listener.troubles, life.began, life.gone + LAG,
                        LAG)

    def is_amidst(self, life):
        """A reload: who comes and goes may wait for what was queued before."""
        return overlaps(self.reloads, life.began, life.gone + LAG, LAG)

    def is_cut(self, life):
        """A kill or a drain came before all was told, or a DELETE."""
        return overlaps(self.ends, life.began, life.gone + LAG) or \
            life.may_have_ended(self.listener, self.deletes)

    def check_life(self, life):
        story = self.stories.get(life.number) or Story(life.number)
        try:
            assert life.how != "broken" or self.is_cut(life), "it was ended"
            for queued in (False, True):
                self.check_told(life, story, queued)
            self.check_end(life, story)
            self.check_answers(life, story)
        except AssertionError as e:
            e.add_note(str(life))
            e.add_note(str(story))
            raise

    def check_told(self, life, story, queued):
        """What it was told, in that order, is what was done."""
        if queued or not (self.is_troubled(life) or self.is_amidst(life)):
            self.check_order(life, story, queued, KINDS)
        else:
            # Who comes and goes is told later then, and nothing else is.
            self.check_order(life, story, queued, COMING)
            self.check_order(life, story, queued, KINDS[2:],
                             gaps=self.is_troubled(life))

    def check_order(self, life, story, queued, kinds, gaps=False):
        told = [step for step in story.told(queued) if step[0] in kinds]
        cut = self.is_cut(life)
        ops = [o for o in life.asks() if o.is_heard() and o.kind in kinds and
               o.is_queued() == queued and not o.is_refused()]
        opening = {("subscribe", c, None) for c in life.channels
                   if is_told(c) and is_queued(c) == queued} \
            if "subscribe" in kinds else set()
        if ops and ops[0].is_first:
            assert told and told.pop(0) == ops.pop(0).step(), "not asked first"
        while told and told[0] in opening:
            opening.discard(told.pop(0))
        assert cut or not opening, ("not told", opening)
        for step in told:
            while ops and ops[0].step() != step:
                o = ops.pop(0)
                assert gaps or o.outcome != "ok", ("not told", o, step)
            assert ops, ("nobody did that", step)
            o = ops.pop(0)
            assert gaps or cut or o.outcome in (None, "ok"), ("an error", o)
        left = [o for o in ops if o.outcome == "ok"]
        assert gaps or cut or not left, ("not told", left)

    def check_end(self, life, story):
        cut = self.is_cut(life)
        if story.end is None:
            assert cut or life.is_open_ended() or not any(
                map(is_told, life.now)), "no end"
            return
        has = set(story.end["channels"])
        reasons = set(REASONS[life.how])
        if overlaps(self.ends, life.began, life.gone + LAG):
            reasons |= OF_A_KILL
        if life.may_have_ended(self.listener, self.deletes):
            reasons |= REASONS["broken"]
        if life.may_have_expired(life.gone + LAG):
            reasons |= REASONS["expired"]
        assert story.end["reason"] in reasons, story.end
        assert has <= life.possible() and all(map(may_be_told, has)), story.end
        if cut or life.is_open_ended():
            return
        assert set(filter(is_told, has)) == set(filter(is_told, life.now)), (
            "another end", has, life.now)
        assert story.user == life.token.user, (
            "another user", story.user, life.token)

    def check_seen(self, channel, shows, history, lives):
        """Who has joined has left, and not twice; and all have who came."""
        there, joined = {}, collections.Counter()
        for kind, who in history:
            joins = kind == "spillway.join"
            assert joins != there.get(who, False), (channel, kind, who)
            there[who] = joins
            joined[who] += joins
        assert self.ends or not any(there.values()), ("never left", there)
        for life in lives:
            if life.number is None or self.is_cut(life):
                continue
            assert not there.get(life.number), ("never left", str(life))
            said = [shows.during(*came) for came in life.came.get(channel, ())]
            unsure = sum(o.outcome is None for o in life.ops
                         if o.step()[:2] == ("subscribe", channel))
            assert said.count({"yes"}) <= joined[life.number] <= \
                len(said) - said.count({"no"}) + unsure, (
                    "joined", joined[life.number], said, str(life))

    def check_answers(self, life, story):
        keys = {json.loads(e.body) for e in story.events
                if story.kind(e) == "message"}
        for o in life.ops:
            if o.kind == "message" and o.outcome == "ok":
                assert o.key in keys, ("taken, but not told", o)
            elif o.kind == "message" and o.outcome is not None:
                assert self.is_troubled(life) or self.is_cut(life), (
                    "refused", o)

    def check_stories(self):
        """
        Whoever was heard of has an end: also those whose clients do not know
        their number, and sessions.
        """
        for number, story in self.stories.items():
            first = story.events[0].came if story.events else 0
            last = story.events[-1].came
            story.check_steps()
            if story.end is None:
                assert not story.there, ("no end", str(story))
            elif story.end["reason"] == "crash":
                has = set(story.end["channels"])
                sync = {c for c in story.before_end
                        if is_told(c) and not is_queued(c)}
                assert sync <= has, (
                    "the will is too old", str(story))
            elif not overlaps(self.ends, first, last + LAG):
                assert set(story.end["channels"]) == story.before_end, (
                    "not those of whom it was told", str(story))

    def check_messages(self, messages, history):
        """Of each that was taken there is one, known by one id."""
        ids, by_key = {}, {}
        for e in self.listener.heard():
            if e.type == "spillway.message":
                key = json.loads(e.body)
                by_key.setdefault(key, []).append(e)
                assert ids.setdefault(e.headers["ce-id"], key) == key
        for m in messages:
            heard = by_key.get(m.key, [])
            assert heard or not m.taken, ("taken, but not told", m.key)
            names = {e.headers["ce-id"] for e in heard}
            most = len(m.users) if m.seq is not None else m.tries
            assert len(names) <= most, (
                "another id when told again", m.key, names)
            assert all(e.headers["ce-channel"] == m.channel for e in heard)
            if publishes(m.key) and (m.taken or is_queued(m.channel)):
                count = history.count(m.key)
                if not is_queued(m.channel):
                    most = max(1, len(heard))
                assert int(m.taken) <= count <= most, (
                    "published", count, m.key, m.channel)
