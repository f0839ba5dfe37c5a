"""Our own client, in Node, against the real daemon: nothing lost, or twice."""

import json
import os
import queue
import subprocess
import threading
import unittest

import bridge_backend
from gateway import GUARD, Gateway, Scenario, main
from test_third_party import node_modules
from tokens import SECRET

FOLLOW = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                      "..", "web", "follow.js")
ALL = "ws,sse,long,short"


class Follower:
    """The client as a process; what it was told, in order."""

    def __init__(self, port, transports, channel="a", secret=""):
        self.told = queue.Queue()
        self.messages, self.seen = [], []
        self.process = subprocess.Popen(
            ["node", FOLLOW, f"http://127.0.0.1:{port}/stream/{channel}",
             transports], cwd=node_modules(), text=True, encoding="utf-8",
            env=dict(os.environ, SECRET=secret),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.told.put(json.loads(line))

    def until(self, enough):
        """Listen on until it is enough."""
        while not enough():
            m = self.told.get(timeout=GUARD)
            if "message" in m:
                self.messages.append((m["message"]["id"],
                                      m["message"]["data"]))
            else:
                self.seen.append(m)

    def all(self, kind):
        return [m for m in self.seen if kind in m]

    def say(self, data):
        self.process.stdin.write(json.dumps(data) + "\n")
        self.process.stdin.flush()

    def close(self):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait(GUARD)
        self.reader.join(GUARD)
        self.process.stdout.close()


class Client(Scenario):
    conf = """
retry = "100ms"
channel "talk" { send = publish }
channel "closed" { send = off }
"""

    def follower(self, transports, channel="a"):
        f = Follower(int(self.gateway.port), transports, channel)
        self.addCleanup(f.close)
        return f

    def follow(self, transports):
        g = self.gateway
        expected = [(g.publish("a", n)["id"], n) for n in range(150)]
        f = self.follower(transports)
        for life in range(4):
            expected += [(g.publish("a", {"live": n})["id"], {"live": n})
                         for n in range(10)]
            f.until(lambda: len(f.messages) >= len(expected))
            self.assertEqual(f.messages, expected)
            # It dies with news that nobody has read, or ends in good order.
            if life % 2 == 0:
                expected.append((g.publish("a", "last")["id"], "last"))
                g.kill9()
                g.start()
            else:
                g.restart()
        expected.append((g.publish("a", "end")["id"], "end"))
        f.until(lambda: len(f.messages) >= len(expected))
        self.assertEqual(f.messages, expected)
        self.assertEqual(f.all("gap") + f.all("closed"), [])
        return f

    def test_restarts_cost_nothing_over_a_websocket(self):
        f = self.follow("ws")
        self.assertEqual({m["transport"] for m in f.all("transport")}, {"ws"})
        self.assertGreaterEqual(len(f.all("transport")), 5)

    def test_restarts_cost_nothing_over_sse(self):
        f = self.follow("sse")
        self.assertGreaterEqual(len(f.all("transport")), 5)

    def test_restarts_cost_nothing_over_long_polls(self):
        self.follow("long")

    def test_restarts_cost_nothing_over_short_polls(self):
        self.follow("short")

    def test_restarts_cost_nothing_whatever_it_chooses(self):
        f = self.follow(ALL)
        self.assertEqual(f.all("transport")[0]["transport"], "ws")

    def test_what_is_sent_arrives_once_and_in_order_over_a_crash(self):
        g = self.gateway
        for transports in ("ws", "sse", ALL):
            f = self.follower(transports, "talk")
            f.until(lambda: f.all("transport"))
            for n in range(40):
                f.say({"to": transports, "n": n})
                if n == 20:
                    f.until(lambda: len(f.all("sent")) > 3)
                    g.kill9()
                    g.start()
            f.until(lambda: len(f.all("sent")) == 40)
            self.assertEqual({m["sent"] for m in f.all("sent")},
                             {"acknowledged"})
            stored = [e for e in g.poll("talk", after="start",
                                        limit=1000)["events"]
                      if e["data"]["to"] == transports]
            self.assertEqual([e["data"]["n"] for e in stored],
                             list(range(40)))
            self.assertEqual([m["id"] for m in f.all("sent")],
                             [e["id"] for e in stored])

    def test_a_refusal_is_told(self):
        for transports in ("ws", "long"):
            f = self.follower(transports, "closed")
            f.say("anything")
            f.until(lambda: f.all("sent"))
            self.assertEqual(f.all("sent")[0]["sent"], "failed")
            self.assertIn("Sending is off", f.all("sent")[0]["error"])

    def test_what_is_too_deep_fails_at_once_and_the_next_one_goes(self):
        deep = json.loads("[" * 200 + "]" * 200)
        for transports in ("ws", "long"):
            f = self.follower(transports, "talk")
            f.say(deep)
            f.say("next")
            f.until(lambda: len(f.all("sent")) == 2)
            self.assertEqual([m["sent"] for m in f.all("sent")],
                             ["failed", "acknowledged"], f.all("sent"))


class Replies(unittest.TestCase):
    """What a backend replies is the same, whatever carried the question."""

    def setUp(self):
        self.backend = bridge_backend.Backend(self.answer)
        self.addCleanup(self.backend.close)
        self.gateway = Gateway(f"""
backend = "http://127.0.0.1:{self.backend.port}"
bridge-secret = "{bridge_backend.SECRET}"
channel "talk" {{ send = bridge }}
channel "room" {{ send = publish }}
""")
        self.addCleanup(self.gateway.close)
        self.gateway.start()

    @staticmethod
    def answer(event):
        status, kind, body = json.loads(event.body)
        return status, kind, body.encode()

    def told(self, transports, channel, *said):
        f = Follower(int(self.gateway.port), transports, channel)
        self.addCleanup(f.close)
        for data in said:
            f.say(data)
        f.until(lambda: len(f.all("sent")) == len(said))
        return f.all("sent")

    def test_a_reply_is_told(self):
        kind = "application/json"
        said = [(200, kind, '{"answer": 42}'), (200, kind, '"text"'),
                (200, kind, "[1, 2]"), (200, kind, "null"),
                (200, "text/plain", "42"), (204, None, ""),
                (400, "text/plain", "bad"), (500, "text/plain", "bad")]
        for transports in ("ws", "sse", "long", "short"):
            told = self.told(transports, "talk", *said)
            self.assertEqual([m["reply"] for m in told],
                             [{"answer": 42}, "text", [1, 2], None, "42",
                              None, None, None], transports)
            self.assertEqual([m["sent"] for m in told],
                             ["acknowledged"] * 6 + ["failed"] * 2)
            self.assertEqual([m["error"] for m in told[-2:]],
                             ["bad", "The backend answered 500."])

    def test_a_repetition_is_no_reply(self):
        """The client knows it by its form: {"id":...,"duplicate":true}."""
        path = "/stream/room?session=0123456789abcdef&seq=1"
        for status, duplicate in ((201, False), (200, True)):
            got, _, body = self.gateway.request(
                "POST", path, b"1", {"Content-Type": "application/json"})
            self.assertEqual(got, status)
            self.assertRegex(
                body.decode(), r'^{"id":"[^"]*","time":\d+,"duplicate":'
                + str(duplicate).lower() + "}")


class Tokens(Scenario):
    # They live for two seconds; a machine may be slow to renew them.
    conf = f"""
token-leeway = 60s
token-key = "HS256:{SECRET}"
"""

    def test_a_token_is_renewed_where_the_stream_goes_on(self):
        g = self.gateway
        followers = {}
        for transports in ("ws", "sse", "long"):
            f = Follower(int(g.port), transports, secret=SECRET)
            self.addCleanup(f.close)
            followers[transports] = f
        expected = []
        for tokens in range(1, 5):
            for f in followers.values():
                f.until(lambda f=f: len(f.all("token")) >= tokens)
            expected.append((g.publish("a", tokens)["id"], tokens))
        for transports, f in followers.items():
            f.until(lambda f=f: len(f.messages) >= len(expected))
            self.assertEqual(f.messages, expected, transports)
            self.assertEqual(f.all("error") + f.all("closed"), [])
            self.assertEqual(len(f.all("transport")), 1, transports)


if __name__ == "__main__":
    main()
