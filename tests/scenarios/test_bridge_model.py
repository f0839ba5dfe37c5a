"""Clients at random, and what the backend is told of them, against a model.

Sockets, event streams and sessions of polls come, go, send and vanish; the
backend has moods, and now and then the gateway is killed, or ends as it should.
When all is quiet, who is there is who the gateway lists, and who the backend
knows of; when all is over, model_backend.py says what it has to have heard.

    SPILLWAY_SEED=…     the same again, as far as threads do the same again
    SPILLWAY_ROUNDS=…   longer: so many rounds, each with the next seed
"""

import itertools
import json
import os
import random
import re
import sqlite3
import threading
import time
import unittest

from bridge_backend import SECRET
from certificates import certificate
from gateway import GUARD, Gateway, main
from model_backend import (FICKLE, LAG, Judge, Listener, is_told,
                           overlaps)
from model_guests import CHANNELS, Poller, Streamer
from model_log import NEVER, Period, Setting
from tokens import SECRET as TOKEN_SECRET

SEED = int(os.environ.get("SPILLWAY_SEED", "0")) or random.randrange(1 << 30)
ROUNDS = int(os.environ.get("SPILLWAY_ROUNDS", "1"))
STEPS = 10
LINES = 400     # of its story, after a failure
SHORT = "100ms"
SHOWN = "seen", "shown"     # they have events of who comes and goes


class Polled:
    """A session, as its client knows it."""

    def __init__(self, name):
        self.name, self.channels = name, {}
        self.asked = set()      # for these: all that is granted ends together
        self.is_vague = False   # the run before may have answered, or this one

    def joined(self, channels, run):
        self.channels.update((c, run) for c in channels)

    def left(self, channels):
        for c in channels:
            self.channels.pop(c, None)

    def now(self, run):
        """Sessions end with their gateway."""
        return sorted(c for c, r in self.channels.items() if r == run)


class World:
    def __init__(self, seed):
        self.seed, self.random = seed, random.Random(seed)
        self.over, self.failed, self.up = (
            threading.Event(), threading.Event(), threading.Event())
        self.changed = threading.Condition()
        self.parking, self.parked, self.done = False, 0, 0
        self.steps = 0          # that guests have taken
        self.run_number = 0
        self.numbers = itertools.count()
        self.lives, self.messages, self.polled = [], [], []
        self.ends, self.deletes = [], []
        self.story = []         # for whoever reads it after a failure
        # Whether and how the backend is told of fickle channels.
        self.tells, self.mode = Setting("yes"), "sync"
        self.shows = Setting("yes")     # channels are, who comes and goes
        self.moods = self.random.random() < 0.7
        self.lease = self.random.choice(("1h", "1h", SHORT))
        self.listener = Listener(seed)
        self.gateway = Gateway(
            self.conf(), workers=self.random.choice((1, 2, 3)),
            certificates=[certificate()])

    def conf(self):
        return f"""
backend = "http://127.0.0.1:{self.listener.port}"
bridge-secret = "{SECRET}"
send = bridge
token-key = "HS256:{TOKEN_SECRET}"
token-leeway = 0
anonymous = yes
backend-fail-time = "20ms"
outbox-retry-max = "50ms"
close-timeout = "200ms"
session-lease = "{self.lease}"
heartbeat = "10m"
message-rate = 0
message-byte-rate = 0
channel "told-*" {{ bridge-presence = yes }}
channel "queued-*" {{ bridge-presence = yes  message-mode = queue }}
channel "fickle-*" {{
	bridge-presence = {self.tells.value}
	message-mode = {self.mode}
}}
channel "asked-*" {{ bridge-connect = yes  bridge-presence = yes }}
channel "sworn-*" {{ subscribe = token  bridge-presence = yes }}
channel "no-*" {{ bridge-connect = yes  bridge-presence = yes }}
channel "seen-*" {{ presence-events = yes  history-events = 100000 }}
channel "shown-*" {{
	presence-events = {self.shows.value}
	history-events = 100000
}}
channel "heard" {{ history-events = 100000 }}
"""

    def __str__(self):
        return (f"SPILLWAY_SEED={self.seed} SPILLWAY_ROUNDS=1: workers = "
                f"{self.gateway.workers}, lease = {self.lease}, troubles "
                f"{self.listener.troubles}, ends {self.ends}, deletes "
                f"{self.deletes}, reloads {self.tells.steps[1:]}")

    def run(self):
        try:
            with self.gateway:
                self.up.set()
                self.guests = [
                    *(Streamer(self, n) for n in range(5)),
                    *(Poller(self, n) for n in range(5, 9))]
                for g in self.guests:
                    g.start()
                try:
                    for _ in range(STEPS):
                        self.pause(self.random, 150, GUARD)
                        if self.failed.is_set():
                            break
                        self.step()
                except BaseException:
                    self.failed.set()
                    raise
                self.end()
                return self.judge()
        finally:
            self.listener.close()

    def note(self, *words):
        if not self.failed.is_set():
            self.story.append(
                f"{time.monotonic():.3f} {' '.join(map(str, words))}")

    # What happens.

    def step(self):
        chance = self.random.random()
        if chance < 0.35 and self.moods:
            self.trouble()
        elif chance < 0.55:
            self.restart(kill=True)
        elif chance < 0.65:
            self.restart(kill=False)
        elif chance < 0.75:
            self.delete(self.random.choice(
                [c for c in CHANNELS if not c.startswith(SHOWN)]))
        elif chance < 0.9:
            self.change()
        # Or nothing happens; but mostly all is looked at.
        if self.random.random() < 0.8:
            self.rest()

    def trouble(self):
        self.listener.begin_trouble()
        self.note("trouble:", self.listener.trouble)
        self.pause(self.random, 100, 0.4)
        if self.random.random() < 0.3:
            self.restart(kill=self.random.random() < 0.7)
        self.listener.end_trouble()
        self.note("trouble is over")

    def restart(self, kill):
        self.up.clear()
        self.ends.append(Period())
        self.note("kill" if kill else "drain")
        if kill:
            self.gateway.kill9()
            self.listener.read_all()
        else:
            assert self.gateway.stop() == 0
        self.run_number += 1
        self.gateway.start()
        # Who was there is told of by then, and not by its will.
        assert kill or self.gateway.metric("outbox_wills_executed_total") == 0
        self.ends[-1].end()
        self.note("up again, run", self.run_number)
        self.up.set()

    def delete(self, channel):
        period = Period()
        self.deletes.append((channel, period))
        self.note("delete", channel)
        status, _ = self.gateway.api("DELETE", f"/v1/channels/{channel}")
        assert status in (204, 404), status
        period.end()
        self.note("deleted", channel, status)

    def change(self):
        periods = [setting.change(self.random.choice(("yes", "no")))
                   for setting in (self.tells, self.shows)]
        self.mode = self.random.choice(("sync", "queue"))
        self.reload()
        for period in periods:
            period.end()

    def reload(self):
        done = "configuration reloaded"
        self.gateway.configure(self.conf())
        count = sum(done in line for line in self.gateway.lines)
        self.note("reload: fickle-*", self.tells.value, self.mode, "shown-*",
                  self.shows.value)
        self.gateway.signal(1)
        self.gateway.wait_log(done, count + 1)
        self.note("reloaded")

    def was_deleted(self, channels):
        return any(c in channels for c, _ in self.deletes)

    def rest(self):
        """A moment at which nobody does anything."""
        with self.changed:
            self.parking = True
            assert self.changed.wait_for(
                lambda: self.parked + self.done >= len(self.guests) or
                self.failed.is_set(), GUARD)
        try:
            if not self.failed.is_set():
                self.check_rest()
        except BaseException:
            self.failed.set()
            raise
        finally:
            with self.changed:
                self.parking = False
                self.changed.notify_all()

    def end(self):
        self.over.set()
        with self.changed:
            self.changed.notify_all()
        for g in self.guests:
            g.join(GUARD)
        for g in self.guests:
            if g.error is not None:
                raise g.error
        assert not any(g.is_alive() for g in self.guests)
        self.lease = SHORT
        self.reload()
        # A will goes when the end of its connection is a letter.
        for name in ("sessions", "outbox_wills", "outbox_waiting"):
            self.gateway.until_metric(0, name)

    # What guests call.

    def checkpoint(self):
        with self.changed:
            self.steps += 1
            self.parked += 1
            self.changed.notify_all()
            assert self.changed.wait_for(
                lambda: not self.parking or self.failed.is_set(), 9 * GUARD)
            self.parked -= 1

    def leave(self):
        with self.changed:
            self.done += 1
            self.changed.notify_all()

    def pause(self, chance, most=20, seconds=0.2):
        """Until others have done something; or all of them wait."""
        with self.changed:
            target = self.steps + chance.randrange(1, most)
            self.changed.wait_for(
                lambda: self.steps >= target or self.parking or
                self.failed.is_set() or self.over.is_set(), seconds)

    def wait_up(self):
        assert self.up.wait(GUARD), "the gateway does not come back"

    def begin_session(self, name):
        self.polled.append(Polled(name))
        return self.polled[-1]

    def is_troubled(self, life):
        return overlaps(self.listener.troubles, life.began, NEVER, LAG) or \
            overlaps(self.ends, life.began, NEVER)

    def is_troubled_since(self, began):
        return overlaps(self.listener.troubles + self.ends, began - LAG, NEVER,
                        LAG)

    # What has to be so.

    def check_rest(self):
        self.gateway.until_metric(0, "outbox_waiting")
        run, now = self.run_number, time.monotonic()
        self.vague = {p.name for p in self.polled if p.is_vague} | {
            life.number for life in self.lives if life.how is None and (
                life.is_vague or now < life.token.ends < NEVER or
                life.may_have_ended(self.listener, self.deletes))}
        there = {c: {life.number for life in self.lives
                     if life.is_there(run) and c in life.now and
                     life.token.ends > now}
                 for c in CHANNELS}
        for p in self.polled:
            for c in p.now(run) if self.lease != SHORT else ():
                there[c].add(p.name)
        self.lists(there)
        self.knows(there)

    def lists(self, there):
        """Who is listed as there is there."""
        for c in CHANNELS:
            self.until_same(f"presence of {c}", there[c],
                            lambda c=c: self.presence(c))

    def presence(self, channel):
        status, answer = self.gateway.api(
            "GET", f"/v1/channels/{channel}/presence")
        assert status == 200, answer
        who = [m["connection"] if m["transport"] in ("ws", "sse")
               else m["session"] for m in answer["members"]]
        assert len(set(who)) == len(who), ("listed twice", channel, who)
        return set(who)

    def knows(self, there):
        """The backend thinks the same."""
        for c in filter(is_told, CHANNELS):
            self.until_same(f"what the backend knows of {c}", there[c],
                            lambda c=c: self.known(c))
        for c in CHANNELS:
            if c.startswith(FICKLE):
                self.knows_fickle(c, there[c])
        self.has_wills()

    def knows_fickle(self, channel, there):
        """Of those of whom it was told; whom a reload came amidst, perhaps."""
        sure = {life.number for life in self.lives
                if life.number in there and
                self.tells.during(*life.came[channel][-1]) == {"yes"}}
        self.until_same(f"what the backend knows of {channel}", sure,
                        lambda: self.known(channel) & (sure | self.vague) |
                        self.known(channel) - there)

    def has_wills(self):
        """Of whom the backend knows, of where it knows them, and as whom."""
        seen = [None]
        users = {life.number: life.token.user for life in self.lives}

        def same():
            wills = self.wills()
            known = {n: (s.session or n, (s.there, users.get(n, s.user)))
                     for n, s in self.listener.stories().items() if s.there}
            seen[0] = [(n, who, there, wills.get(n)) for n, (who, there)
                       in known.items() if wills.get(n) != there]
            return not [who for _, who, *_ in seen[0] if who not in self.vague]
        try:
            self.gateway.until(same)
        except AssertionError:
            raise AssertionError(f"other wills: {seen[0]}") from None
        if not self.vague:
            self.gateway.until_metric(len(self.wills()), "outbox_wills")

    def wills(self):
        db = sqlite3.connect(self.gateway.store + "-outbox", timeout=60)
        try:
            rows = db.execute("SELECT connection, data FROM will").fetchall()
        finally:
            db.close()
        return {n: self.will(*d.split(b'{"reason"')) for n, d in rows}

    @staticmethod
    def will(head, body):
        user = re.search(rb"user-\d|somebody", head)
        return set(json.loads(b'{"reason"' + body)["channels"]), \
            user and user[0].decode()

    def known(self, channel):
        return {story.session or number for number, story
                in self.listener.stories().items() if channel in story.there}

    def until_same(self, what, want, ask):
        """Those who have just gone may still be there, and leases last."""
        seen = [None]

        def same():
            seen[0] = ask()
            return seen[0] - self.vague == want - self.vague
        try:
            self.gateway.until(same)
        except AssertionError as e:
            if not str(e).startswith("never saw"):
                raise
            odd = (seen[0] ^ want) - self.vague
            raise AssertionError("\n".join([
                f"{what}: {seen[0]}, and not {want}",
                *(str(life) for life in self.lives if life.number in odd),
                *(f"{p.name} {p.channels}" for p in self.polled
                  if p.name in odd)])) from None

    def judge(self):
        judge = Judge(self.listener, self.ends, self.deletes,
                      [period for _, period in self.tells.steps[1:]])
        judge.check_stories()
        for life in self.lives:
            if life.number is not None:
                judge.check_life(life)
        judge.check_messages(
            self.messages, [e["data"] for e in self.history("heard")])
        for c in CHANNELS:
            if c.startswith(SHOWN):
                judge.check_seen(
                    c, self.shows if c.startswith("shown") else Setting("yes"),
                    [(e["type"], e["data"]["connection"])
                     for e in self.history(c)], self.lives)
        return {"connections": len(judge.stories), "streams": len(self.lives),
                "sessions": len(self.polled), "messages": len(self.messages),
                "told": len(self.listener.heard()), "ends": len(self.ends),
                "troubles": len(self.listener.troubles),
                "expired": sum(l.how == "expired" for l in self.lives),
                "deletes": len(self.deletes),
                "reloads": len(self.tells.steps) - 1}

    def history(self, channel):
        events, at = [], "start"
        while True:
            status, answer = self.gateway.api(
                "GET", f"/v1/channels/{channel}/events?limit=500&after={at}")
            if status == 404:
                return events
            events += answer["events"]
            at = answer["cursor"]
            if not answer.get("more"):
                return events


class BridgeModel(unittest.TestCase):
    def test_the_backend_hears_what_the_model_says(self):
        for seed in range(SEED, SEED + ROUNDS):
            print(f"SPILLWAY_SEED={seed} SPILLWAY_ROUNDS=1", flush=True)
            world = World(seed)
            try:
                print("   ", world.run(), flush=True)
            except BaseException as e:
                e.add_note("\n".join(world.story[-LINES:]))
                e.add_note(str(world))
                raise


if __name__ == "__main__":
    main()
