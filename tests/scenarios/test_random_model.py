"""Clients at random, on all transports, against a model of what they may hear.

Two publishers (single events, batches, repeated keys), a dozen clients that
subscribe, unsubscribe, read slowly, come back with their cursors elsewhere and
send (model_senders.py: again under its number until there is an answer), some
of them with tokens that expire, which they renew or not, an operator who
deletes channels, sends clients away and changes what is kept, how durable it is
and who may send, and now and then an end, most often a kill -9.
When all is over, what each connection heard is held against what was published
(model_check.py says what has to be so).

    SPILLWAY_SEED=…     the same again, as far as threads do the same again
    SPILLWAY_ROUNDS=…   longer: so many rounds, each with the next seed
"""

import http.client
import json
import os
import random
import threading
import time
import unittest

from certificates import certificate
from gateway import GUARD, Gateway, main
from model_check import Check
from model_clients import Client, number
from model_log import Kind, Log
from tokens import SECRET

SEED = int(os.environ.get("SPILLWAY_SEED", "0")) or random.randrange(1 << 30)
ROUNDS = int(os.environ.get("SPILLWAY_ROUNDS", "2"))
EVENTS, CLIENTS = 1500, 10
SIZES = (0, 10, 200, 200, 3000, 3000, 20000, 60000)
TROUBLE = (OSError, EOFError, ValueError, http.client.HTTPException)


def kinds():
    return [Kind("mem", 100, memory=True), Kind("few", 20),
            Kind("big", 100000, send="publish"),
            Kind("none", 0, memory=True, send="echo"), Kind("nil", 0),
            Kind("old", 100000, age=1), Kind("fat", 100000, size=100000)]


class Publisher(threading.Thread):
    """Publishes until there are enough; again and again, if it has a key."""

    def __init__(self, world, n):
        super().__init__(daemon=True)
        self.world, self.log = world, world.log
        self.random = random.Random(f"{world.seed}-publisher-{n}")
        self.mine, self.error = [], None

    def run(self):
        try:
            while self.log.acked_count < EVENTS and \
                    not self.world.failed.is_set():
                if self.random.random() < 0.5:
                    self.publish([self.draft()])
                else:
                    self.publish([self.draft() for _ in range(
                        self.random.choice((2, 5, 60)))])
        except BaseException as e:  # reported by the test
            self.error = e
            self.world.failed.set()

    def draft(self):
        """Key, channel, data, and whether the gateway is told the key."""
        if self.mine and self.random.random() < 0.1:
            return self.random.choice(self.mine[-100:])
        channel = self.random.choice(sorted(self.log.kinds))
        size = self.random.choice(SIZES)
        if self.world.small:
            size *= 3
        if self.random.random() < 0.002:
            size = 1500000
        key, data = self.log.draft(channel, size)
        return key, channel, data, self.random.random() < 0.8

    def publish(self, drafts):
        drafts = list({d[0]: d for d in drafts}.values())
        while True:
            answer = self.try_to(drafts)
            if answer is not None:
                break
            # Stored or not; only with a key it may be said again.
            drafts = [d for d in drafts if d[3]]
            if not drafts:
                return
        ids, durable = answer
        for (key, *_), cursor in zip(drafts, ids):
            self.log.acknowledged(key, number(cursor), durable)
        self.mine += [d for d in drafts if d[3]]

    def try_to(self, drafts):
        for key, channel, data, _ in drafts:
            self.log.publishing(key, channel, data)
        began = time.monotonic()
        try:
            status, receipt = self.send(drafts)
        except TROUBLE:
            self.world.wait_up()
            return None
        assert status in (200, 201), (status, receipt)
        if len(drafts) > 1:
            return receipt["ids"], None
        durable = receipt["durable"]
        assert durable in self.log.kinds[drafts[0][1]].durability.during(
            began, time.monotonic()), receipt
        # A repeated one is as it was.
        return [receipt["id"]], None if receipt["duplicate"] else durable

    def send(self, drafts):
        g = self.world.gateway
        if len(drafts) == 1:
            key, channel, data, told = drafts[0]
            headers = {"Content-Type": "text/plain; charset=utf-8"}
            if told:
                headers["Idempotency-Key"] = key
            return g.api("POST", f"/v1/channels/{channel}/events", data,
                         headers)
        lines = [json.dumps({"channel": c, "data": d, **({"key": k} if told
                                                         else {})})
                 for k, c, d, told in drafts]
        return g.api("POST", "/v1/events", "\n".join(lines),
                     {"Content-Type": "application/x-ndjson"})


class Operator(threading.Thread):
    """Deletes channels and sends clients away, as the log grows."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world, self.log, self.error = world, world.log, None
        self.random = random.Random(f"{world.seed}-operator")

    def run(self):
        try:
            while self.world.wait_more(self.random.randrange(1, 150)):
                if self.random.random() < 0.7:
                    self.delete()
                else:
                    self.kick()
        except BaseException as e:  # reported by the test
            self.error = e
            self.world.failed.set()

    def delete(self):
        channel = self.random.choice(sorted(self.log.kinds))
        deleted = self.log.delete(channel)
        try:
            status, _ = self.world.gateway.api(
                "DELETE", f"/v1/channels/{channel}")
        except TROUBLE:
            self.world.wait_up()
            deleted.end(sure=False)
            return
        deleted.end(sure=status == 204)
        assert status in (204, 404), status

    def kick(self):
        try:
            _, answer = self.world.gateway.api("GET", "/v1/connections")
            ids = [c["id"] for c in answer["connections"]]
            if ids:
                self.world.kick(self.random.choice(ids))
        except TROUBLE:
            self.world.wait_up()


class World:
    """A gateway, its log, and everybody who has to do with it."""

    def __init__(self, seed):
        self.seed, self.random = seed, random.Random(seed)
        self.kinds = kinds()
        self.log = Log({f"{k.name}{n}": k for k in self.kinds for n in (1, 2)})
        self.over, self.failed, self.up = (
            threading.Event(), threading.Event(), threading.Event())
        self.kicks, self.ends, self.reloads = set(), {}, 0
        self.options = self.choose_options()
        self.moves = self.random.random() < 0.6  # durability changes
        self.gateway = Gateway(self.conf(), workers=self.random.choice(
            (1, 2, 3)), certificates=[certificate()])

    def choose_options(self):
        tight = self.random.random() < 0.5
        window = self.random.choice((1, 64, 1024))
        first_look = self.random.choice(("yes", "yes", "no"))
        # What is not kept between what is takes some of it for a while.
        self.small = self.random.random() < 0.3
        if self.small:
            self.log.capacity = 4 << 20
        self.log.late = 1 if first_look == "no" else 0
        self.tokens = self.random.random() < 0.4
        for k in self.kinds:
            k.tight, k.window = tight, max(64, window)
            k.closed = self.tokens and k.name in ("mem", "few", "big")
        return f"""
{f'token-key = "HS256:{SECRET}"' if self.tokens else ""}
token-leeway = 0
anonymous = yes
message-max = "4m"
batch-max = "16m"
window-bytes = "{1 if tight else 64}m"
window-events = {window}
channel-age = "{self.random.choice(("1s", "30d"))}"
first-look = {first_look}
store-max-bytes = "{"16m" if self.small else "10g"}"
heartbeat = "10m"
stall-timeout = "10m"
message-rate = 0
message-byte-rate = 0
"""

    def conf(self):
        return self.options + "".join(k.conf() for k in self.kinds)

    def run(self):
        with self.gateway as g:
            self.up.set()
            self.epoch = g.poll("any")["cursor"].partition("-")[0]
            publishers = [Publisher(self, n) for n in range(2)]
            self.clients = [Client(self, n) for n in range(CLIENTS)]
            threads = [*publishers, *self.clients, Operator(self)]
            for t in threads:
                t.start()
            try:
                self.trouble()
            finally:
                for t in publishers:
                    t.join(GUARD)
                threads[-1].join(GUARD)
                self.end()
            for t in threads:
                if t.error is not None:
                    raise t.error
            stuck = [t for t in threads if t.is_alive()]
            assert not stuck, stuck
            self.clients[0].read_all()
        return self.judge()

    # What happens.

    def trouble(self):
        while self.wait_more(self.random.randrange(100, 700)):
            if self.random.random() < 0.5:
                self.restart()
            else:
                self.reload()

    def restart(self):
        """After a kill, or as it should be; perhaps with other settings."""
        self.up.clear()
        period = self.log.kill()
        if self.random.random() < 0.7:
            self.gateway.kill9()
        else:
            assert self.gateway.stop() == 0
        often = 0.8 if self.moves else 0.5
        changes = self.change() if self.random.random() < often else []
        self.gateway.start()
        self.reloads = 0
        for p in [period, *changes]:
            p.end()
        self.up.set()

    def reload(self):
        changes = self.change()
        self.reloads += 1
        self.gateway.signal(1)
        self.gateway.wait_log("configuration reloaded", self.reloads)
        for period in changes:
            period.end()

    def change(self):
        """Other numbers of events for those kinds that keep some, and more."""
        changes = []
        for k in self.kinds:
            if k.name in ("few", "mem"):
                self.log.keep(k, self.random.choice((5, 20, 100)))
                if self.moves and self.random.random() < 0.7:
                    changes.append(k.durability.change(self.random.choice(
                        ("memory", "memory", "normal", "full"))))
            if not k.send.fixed:
                changes.append(k.send.change(self.random.choice(
                    ("publish", "publish", "echo", "off"))))
        self.gateway.configure(self.conf())
        return changes

    def kick(self, connection):
        self.kicks.add(connection)
        status, answer = self.gateway.api(
            "DELETE", f"/v1/connections/{connection}")
        assert status in (204, 404), (status, answer)

    def end(self):
        """A last event for each channel, and more for who came too late."""
        self.say_last()
        self.ends = {c: self.last[c] for c in self.log.kinds}
        self.over.set()
        with self.log.changed:
            self.log.changed.notify_all()
        for t in self.clients:
            for _ in range(int(GUARD * 10)):
                t.join(0.1)
                if not t.is_alive() or self.failed.is_set():
                    break
                self.say_last()

    def say_last(self):
        self.last = {}
        for channel in self.log.kinds:
            key, data = self.log.draft(channel, 10)
            self.log.publishing(key, channel, data)
            receipt = self.gateway.publish(channel, data,
                                           Content_Type="text/plain")
            self.last[channel] = number(receipt["id"])
            self.log.acknowledged(key, self.last[channel])

    # What the threads wait for.

    def wait_up(self):
        assert self.up.wait(GUARD), "the gateway does not come back"

    def wait_more(self, count):
        """Until so many more were published; false if that will not be."""
        log = self.log
        with log.changed:
            target = log.acked_count + count
            log.changed.wait_for(
                lambda: log.acked_count >= min(target, EVENTS) or
                self.failed.is_set() or self.over.is_set(), GUARD)
            return target < EVENTS and not self.failed.is_set() and \
                not self.over.is_set()

    def pause(self, chance):
        self.wait_more(chance.choice((1, 10, 50, 200)))

    def troubles(self):
        """What the gateway had to say of its last life."""
        return [line for line in self.gateway.lines
                if " warn " in line or " error " in line or "why=ove" in line]

    # What comes of it.

    def judge(self):
        seen = {}
        for c in self.clients:
            for n, key in c.seen.items():
                assert seen.setdefault(n, key) == key, (n, key, seen[n])
        self.log.settle(seen)
        sendings = [s for c in self.clients for s in c.sender.sendings]
        for s in sendings:
            s.check()
        checks = [Check(self.log, s, self.kicks)
                  for c in self.clients for s in c.stories]
        for check in checks:
            check.run()
        return {"connections": len(checks), "events": len(self.log.by_id),
                "sent": sum(len(s.order) for s in sendings),
                "received": sum(len(c.got) for c in checks),
                "gaps": sum(c.gaps for c in checks),
                "lost": sum(c.losses for c in checks),
                "deleted": sum(map(len, self.log.deletes.values())),
                "kills": len(self.log.kills),
                "expired": sum(c.is_expired() for c in checks),
                "repeated": self.log.repeated}


class RandomModel(unittest.TestCase):
    def test_everybody_hears_what_the_model_says(self):
        for seed in range(SEED, SEED + ROUNDS):
            print(f"SPILLWAY_SEED={seed} SPILLWAY_ROUNDS=1", flush=True)
            world = World(seed)
            try:
                print("   ", world.run(), flush=True)
            except BaseException as e:
                e.add_note(f"SPILLWAY_SEED={seed}; {world.options}"
                           f"workers = {world.gateway.workers}")
                e.add_note("\n".join(world.troubles()[-20:]))
                raise


if __name__ == "__main__":
    main()
