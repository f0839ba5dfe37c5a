"""Memory runs out: who asks is refused, and nothing acknowledged is lost.

Every story is told again and again: first its first allocation fails, then its
second, and so on until the story needs no more.
"""

import http.client
import json
import resource
import shutil
import signal
import unittest

import preload
from gateway import (BINARY, Closed, DAEMON, Gateway, STREAMS, TEXT,
                     TRANSPORTS, WebSocket, Wire, main, request_head)
from post import DOORS, Publisher, lines, post

GONE = (EOFError, ConnectionError)


def sanitized():
    """A sanitizer has an allocator of its own, which cannot be preloaded."""
    with open(shutil.which(DAEMON), "rb") as f:
        binary = f.read()
    return b"__asan_init" in binary or b"__tsan_init" in binary


class Memory(preload.Fields):
    """What the preloaded oom.c does."""

    FIELDS = ("armed", "calls", "at", "share", "least", "failed", "seed")

    def __init__(self, case):
        super().__init__(case, "oom")

    def fail(self, **how):
        self.set(armed=0)
        self.set(calls=0, failed=0, at=0, share=0, least=0)
        self.set(**how)
        self.set(armed=1)

    def heal(self):
        """How many failed."""
        self.set(armed=0)
        return self.get("failed")


class Watcher:
    """Follows a channel whatever happens, and keeps what it was given."""

    def __init__(self, transport, gateway, channel):
        self.transport, self.gateway = transport, gateway
        self.channel, self.cursor = channel, "start"
        self.subscriber, self.seen = None, []

    def follow(self, last):
        """Up to and with the event `last`; memory does not fail now."""
        while not self.seen or self.seen[-1] != last:
            try:
                if self.subscriber is None:
                    self.subscriber = self.transport(
                        self.gateway, self.channel, self.cursor, limit=1000)
                event = self.subscriber.event()
            except (Closed, *GONE) as e:
                code = getattr(e, "code", None)
                # Out of memory, or without a word.
                assert code in (None, 1013, 1011, 503), e
                self.close()
                continue
            self.seen.append(event["id"])
            self.cursor = event["id"]

    def close(self):
        if self.subscriber is not None:
            self.subscriber.close()
        self.subscriber = None


@unittest.skipIf(sanitized(), "runs with a plain build")
class OutOfMemory(unittest.TestCase):
    conf = """
window-events = 20
message-max = "2m"
channel "open" { send = publish }
channel "echo" { send = echo }
channel "*" { history-events = 1000000 }
"""
    env = {}

    def setUp(self):
        self.memory = Memory(self)
        self.gateway = g = Gateway(self.conf,
                                   env={**self.memory.env, **self.env})
        self.addCleanup(g.close)
        g.start()
        self.count = 0
        self.stored = {}
        self.watchers = [Watcher(t, g, "a") for t in TRANSPORTS]

    # Publishing that is tried again until it is certain.

    def publish(self, channel="a", size=100, chunked=False, key=None):
        """One try; what became of it is seen to later."""
        self.count += 1
        key = key or f"k{self.count}"
        self.pending[key] = (channel, key.ljust(size, "."))
        self.try_one(key, chunked)

    def try_one(self, key, chunked=False):
        channel, data = self.pending[key]
        with Publisher(self.gateway, chunked) as p:
            status, _, answer = p.publish(
                channel, data, ("Content-Type", "text/plain"),
                ("Idempotency-Key", key))
        self.assertIn(status, (200, 201, 503), answer)
        if status != 503:
            self.pending.pop(key)
            self.stored[answer["id"]] = (channel, data)

    def settle(self):
        """Memory is back: what was refused, or not answered, is repeated."""
        self.assertIsNone(self.gateway.process.poll(),
                          "\n".join(self.gateway.lines[-20:]))
        for key in list(self.pending):
            self.try_one(key)
        self.assertEqual(self.pending, {})

    def tell(self, story, **how):
        """The story while memory fails; how many allocations did."""
        self.pending = {}
        self.memory.fail(**how)
        try:
            story()
        except GONE:
            pass
        except Closed as e:
            self.assertIn(e.code, (None, 503, 1011, 1013))
        finally:
            failed = self.memory.heal()
        self.settle()
        return failed

    def each_allocation(self, story, most=4000):
        for at in range(1, most):
            try:
                if self.tell(story, at=at) == 0:
                    break
            except Exception as e:
                e.add_note(f"allocation {at} failed")
                raise
        else:
            self.fail("the story has no end")
        self.all_is_there()
        return at

    def all_is_there(self):
        """Everything acknowledged, once, in order, on every transport."""
        g = self.gateway
        self.pending = {}
        self.publish("a")
        last = next(reversed(self.stored))
        mine = sorted((i for i, (c, _) in self.stored.items() if c == "a"),
                      key=lambda i: int(i.split("-")[1]))
        for w in self.watchers:
            w.follow(last)
            self.assertEqual(w.seen, mine, w.transport.name)
        events, cursor, more = [], "start", True
        while more:
            page = g.poll("a", after=cursor, limit=1000)
            events += page["events"]
            cursor, more = page["cursor"], page.get("more")
        self.assertEqual([(e["id"], e["data"]) for e in events],
                         [(i, self.stored[i][1]) for i in mine])
        self.assertEqual(g.request("GET", "/readyz")[0], 200)

    def tearDown(self):
        self.memory.heal()
        for w in self.watchers:
            w.close()
        g = self.gateway
        if g.process.poll() is None:
            g.until(lambda: g.request("GET", "/readyz")[0] == 200)
            g.until(lambda: g.metric("connections") == 1)
            self.assertEqual(g.stop(), 0)


class EachAllocation(OutOfMemory):
    def test_publishing_through_both_doors(self):
        for chunked in DOORS:
            for size in (100, 40000):
                self.each_allocation(
                    lambda: self.publish(size=size, chunked=chunked))

    def test_pipelined_publishing(self):
        def story():
            keys = [f"p{self.count}-{n}" for n in range(5)]
            self.count += 1
            self.pending.update((k, ("a", k)) for k in keys)
            with Wire(self.gateway.api_port) as w:
                w.send(b"".join(post(
                    "/v1/channels/a/events", k,
                    [("Idempotency-Key", k), ("Content-Type", "text/plain")])
                    for k in keys))
                for k in keys:
                    status, _, body = w.response()
                    self.assertIn(status, (200, 201, 503))
                    if status != 503:
                        self.stored[json.loads(body)["id"]] = \
                            self.pending.pop(k)

        self.each_allocation(story)

    def test_a_batch_is_stored_as_a_whole_or_not_at_all(self):
        def story():
            self.count += 1
            keys = [f"b{self.count}-{n}" for n in range(4)]
            before = dict(self.pending)
            self.pending.update((k, ("a", k)) for k in keys)
            with Publisher(self.gateway) as p:
                status, _, answer = p.batch(lines(
                    [{"channel": "a", "key": k, "data": k} for k in keys]))
            self.assertIn(status, (201, 503), answer)
            if status == 201:
                self.pending = before
                self.stored.update(zip(answer["ids"],
                                       (("a", k) for k in keys)))

        self.each_allocation(story)

    def stream_story(self, transport, **params):
        def story():
            s = transport(self.gateway, "a", self.before, **params)
            try:
                for expected in self.known:
                    self.assertEqual(s.event()["id"], expected)
                self.publish()
                if self.pending:
                    return
                self.assertEqual(s.event()["id"],
                                 next(reversed(self.stored)))
            finally:
                s.close()

        return story

    def prepare(self, count):
        """So many events behind a cursor."""
        self.pending = {}
        self.publish()
        self.before = next(reversed(self.stored))
        for _ in range(count):
            self.publish()
        self.known = list(self.stored)[-count:]

    def test_live_streams_and_polls(self):
        for transport in TRANSPORTS:
            with self.subTest(transport=transport.name):
                def story():
                    self.before = next(reversed(self.stored))
                    self.known = []
                    self.stream_story(transport)()

                self.prepare(1)
                self.each_allocation(story)

    def test_catching_up_from_the_store(self):
        for transport in TRANSPORTS:
            with self.subTest(transport=transport.name):
                self.prepare(200)

                def story():
                    # Of one channel, reads are shared for a while.
                    s = transport(self.gateway, "a,b", self.before)
                    try:
                        for expected in self.known:
                            self.assertEqual(s.event()["id"], expected)
                    finally:
                        s.close()

                self.each_allocation(story)

    def test_several_channels_and_a_cursor_of_no_use(self):
        self.prepare(5)
        # More than are looked through one by one.
        names = ",".join(["a", "b", *(f"c{n}" for n in range(17))])
        for transport in TRANSPORTS:
            def story():
                s = transport(self.gateway, names, "zzzzz-1", limit=2)
                try:
                    s.notice("gap")
                    s.events(3)
                finally:
                    s.close()

            with self.subTest(transport=transport.name):
                self.each_allocation(story)

    def test_a_deflated_websocket_with_commands_and_fragments(self):
        def answer(ws):
            """Of a command: done, or out of memory."""
            while True:
                m = ws.message()
                if m.get("op"):
                    # Not subscribed, if that had failed before.
                    self.assertIn(m.get("code"),
                                  (None, "no-memory", "not-found"), m)
                    return m

        def story():
            self.publish(size=2000)
            ws = WebSocket(self.gateway.port, "/stream/a?last=2",
                           extensions="permessage-deflate")
            self.assertIn(ws.status, (101, 503))
            if ws.status == 503:
                return
            try:
                for op in ({"op": "subscribe", "channel": "b", "ref": "r"},
                           {"op": "unsubscribe", "channel": "b"},
                           {"op": "send", "channel": "echo",
                            "data": "x" * 300},
                           {"op": "ping"}):
                    text = json.dumps(op)
                    ws.say(text[:9], TEXT, fin=False)
                    ws.say("beat", 9)
                    ws.say(text[9:], 0)
                    answer(ws)
                ws.say(b"\x03\xe8", 8)
                with self.assertRaises(Closed):
                    while True:
                        ws.message()
            finally:
                ws.close()

        self.each_allocation(story)

    def test_a_raw_websocket_that_sends_and_posts_of_clients(self):
        def story():
            ws = WebSocket(self.gateway.port, "/stream/echo?format=raw")
            self.assertIn(ws.status, (101, 503))
            try:
                if ws.status == 101:
                    ws.say(b"\0\1\2" * 1000, BINARY)
                    self.assertEqual(ws.read(), (BINARY, b"\0\1\2" * 1000))
            finally:
                ws.close()
            for chunked in DOORS:
                with Wire(self.gateway.port) as w:
                    w.send(post("/stream/echo", "hello", chunked=chunked))
                    status, _, body = w.response()
                    self.assertIn((status, body == b"hello"),
                                  ((200, True), (503, False)))

        self.each_allocation(story)

    def test_the_operators_calls(self):
        self.prepare(5)

        def story():
            g = self.gateway
            for method, path in (("GET", "/v1/channels"),
                                 ("GET", "/v1/channels/a"),
                                 ("GET", "/v1/channels/a/events?last=3"),
                                 ("GET", "/v1/connections"),
                                 ("GET", "/v1/stats"), ("GET", "/metrics"),
                                 ("DELETE", "/v1/channels/b"),
                                 ("GET", "/readyz")):
                try:
                    status, _, body = g.request(method, path, api=True)
                except (http.client.HTTPException, *GONE):
                    continue
                self.assertIn(status, (200, 204, 404, 503), (path, body))
                if body and path not in ("/metrics", "/readyz"):
                    json.loads(body)

        self.each_allocation(story)

    def test_a_reload(self):
        """
        When all of it is gone: libconfuse cannot cope with less. The old
        configuration stays in use.
        """
        g = self.gateway
        with open(g.conf_path, "a", encoding="utf-8") as f:
            f.write('retry = "9s"\n')

        def story():
            g.signal(signal.SIGHUP)
            g.wait_log("error reload: memory ran out")

        self.assertGreater(self.tell(story, share=1000), 0)
        self.assertEqual(g.poll("a")["retry"], 2000)
        g.signal(signal.SIGHUP)
        g.wait_log("info configuration reloaded")
        self.assertEqual(g.poll("a")["retry"], 9000)


class Chances(OutOfMemory):
    """Some of all allocations fail, for many clients at once."""

    def crowd(self, rounds):
        g = self.gateway
        for seed in range(rounds):
            self.pending = {}
            streams = []
            self.memory.fail(share=30 if seed % 2 else 200, seed=seed + 1)
            for n in range(40):
                try:
                    if n % 4 == 0:
                        streams.append(TRANSPORTS[n // 4 % 2](
                            g, "a", "start"))
                    self.publish(size=(100, 3000, 30000)[n % 3],
                                 chunked=n % 5 == 0)
                    if n % 10 == 0:
                        g.poll("a", limit=5, last=3)
                except (Closed, AssertionError, ValueError,
                        http.client.HTTPException, *GONE) as e:
                    # A poll's helper insists on 200; others do not fail so.
                    if isinstance(e, (AssertionError, ValueError)):
                        self.assertIn("503", str(e))
            self.memory.heal()
            for s in streams:
                s.close()
            self.settle()

    def test_everything_works_on_when_memory_is_back(self):
        self.crowd(20)
        self.all_is_there()

    def test_a_crash_meanwhile_takes_nothing_acknowledged(self):
        g = self.gateway
        for _ in range(3):
            self.crowd(2)
            self.memory.fail(share=100, seed=7)
            g.kill9()
            self.memory.heal()
            for w in self.watchers:
                w.close()
            g.start()
            self.all_is_there()

    def test_nothing_at_all_is_to_be_had(self):
        g = self.gateway
        self.pending = {}
        self.publish()
        streams = [t(g, "a") for t in STREAMS]
        for s in streams:
            s.notice("caughtup")
        kept = Publisher(g)
        self.assertEqual(kept.publish("b", "1")[0], 201)
        self.memory.fail(share=1000)
        for _ in range(50):
            # Nobody new comes in, and nobody is left waiting.
            for port in (g.port, g.api_port):
                with Wire(port) as w:
                    try:
                        w.send(request_head("/stream/a"))
                        self.assertEqual(w.rest(), b"")
                    except ConnectionError:
                        pass
        try:
            self.assertEqual(kept.publish("b", "2")[0], 503)
        except GONE:
            pass
        self.assertGreater(self.memory.heal(), 50)
        kept.close()
        for s in streams:
            # They slept through it.
            self.publish()
            self.assertEqual(s.event()["id"], list(self.stored)[
                -1 if s is streams[0] else -2])
            if s is streams[0]:
                continue
            self.assertEqual(s.event()["id"], next(reversed(self.stored)))
        for s in streams:
            s.close()
        self.settle()
        self.all_is_there()

    def test_only_large_ones_fail(self):
        """As when little is left: small things go on."""
        self.pending = {}
        self.publish()
        self.memory.fail(share=1000, least=100000)
        for n in range(20):
            self.publish(size=100)
        self.assertEqual(self.pending, {})
        for chunked in DOORS:
            try:
                self.publish(size=1 << 20, chunked=chunked)
            except GONE:
                pass
        self.assertEqual(len(self.pending), 2)
        for n in range(20):
            self.publish(size=100)
        self.memory.heal()
        self.settle()
        self.all_is_there()


class AddressSpace(OutOfMemory):
    """The limit of the system itself, without any tricks."""

    # Arenas of threads reserve more than they use.
    env = {"MALLOC_ARENA_MAX": "1"}

    def used(self):
        with open(f"/proc/{self.gateway.process.pid}/statm",
                  encoding="ascii") as f:
            return int(f.read().split()[0]) * resource.getpagesize()

    def limit(self, bytes):
        resource.prlimit(self.gateway.process.pid, resource.RLIMIT_AS,
                         (bytes, resource.RLIM_INFINITY))

    def test_large_events_are_refused_until_the_limit_is_lifted(self):
        g = self.gateway
        self.pending = {}
        self.publish()
        self.limit(self.used() + (8 << 20))
        keys = [f"large{n}" for n in range(40)]
        self.pending.update((k, ("a", k.ljust(1 << 20, "."))) for k in keys)
        wires = []
        for n, k in enumerate(keys):
            whole = post("/v1/channels/a/events", self.pending[k][1],
                         [("Idempotency-Key", k),
                          ("Content-Type", "text/plain")] +
                         [("Trailer", "X")] * (n % 2))
            w = Wire(g.api_port)
            wires.append((w, k, whole[-1:]))
            try:
                w.send(whole[:-1])
            except ConnectionError:
                pass
        refused = 0
        for w, k, end in wires:
            # Those that it had room for are taken.
            try:
                w.send(end)
                status, _, body = w.response()
                self.assertIn(status, (201, 503))
                if status == 201:
                    self.stored[json.loads(body)["id"]] = self.pending.pop(k)
                refused += status == 503
            except GONE:
                refused += 1
            w.close()
        self.assertGreater(refused, 0)
        self.limit(resource.RLIM_INFINITY)
        self.settle()
        self.all_is_there()


if __name__ == "__main__":
    main()
