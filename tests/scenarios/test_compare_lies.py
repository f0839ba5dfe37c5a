"""`spillway compare` and a gateway that loses, repeats and mixes up events.

What it finds wrong would never happen with ours, so the gateway is made up. It
speaks in other ways than ours, too: in chunks, in pieces, with a connection
for each answer.
"""

import base64
import hashlib
import json
import os
import re
import socket
import socketserver
import subprocess
import threading
import time
import unittest

from gateway import DAEMON, GUARD, TROUBLE, WebSocket, lean

# What becomes of every five events: which are sent when the n-th has come.
SCRIPT = {1: [], 2: [2, 1], 3: [3, 3], 4: [], 5: [5]}
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Liar(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Conversation)
        self.changed = threading.Condition()
        self.events = {}  # by their place: what was published
        self.sent = []    # what subscribers get, in this order
        self.pongs = 0
        self.mute_after = None  # so many events it does not publish any more
        self.dawdles_ms = 0  # with its first answer, by the event's time
        self.posts = 0
        self.refusals = {}  # by the POST: a status; 0: no answer at all
        self.closes = False  # each connection behind an answer to a POST
        self.noise = b""  # behind the hello of a WebSocket
        self.url = "http://127.0.0.1:%d" % self.server_address[1]
        self.thread = threading.Thread(target=self.serve_forever)
        self.thread.start()

    def publish(self, data):
        with self.changed:
            place = len(self.events) + 1
            self.events[place] = data
            begin = (place - 1) // 5 * 5
            self.sent += [
                f'{{"id":"fake1-{begin + n}","channel":"c","type":"message",'
                f'"data":{self.events[begin + n]}}}'
                for n in SCRIPT[place - begin]]
            self.changed.notify_all()
            return place

    def follow(self, at):
        """What comes behind that place, for ever."""
        while True:
            with self.changed:
                self.changed.wait_for(lambda: len(self.sent) > at)
                event = self.sent[at]
            at += 1
            yield event

    def close(self):
        # Else serve_forever looks twice a second whether to end.
        self.socket.shutdown(socket.SHUT_RDWR)
        self.shutdown()
        self.server_close()
        self.thread.join(GUARD)


class Conversation(socketserver.StreamRequestHandler):
    def handle(self):
        try:
            while self.answer():
                pass
        except ConnectionError:
            pass

    def say(self, text):
        self.wfile.write(text.encode() if isinstance(text, str) else text)

    def answer(self):
        line = self.rfile.readline().decode()
        headers = {}
        while True:
            field = self.rfile.readline().decode().strip()
            if not field:
                break
            name, _, value = field.partition(":")
            headers[name.lower()] = value.strip()
        if line.startswith("POST"):
            data = self.rfile.read(int(headers["content-length"]))
            if len(self.server.events) == self.server.mute_after:
                return True
            self.server.posts += 1
            status = self.server.refusals.get(self.server.posts)
            if status is not None:
                if status:
                    self.say(f"HTTP/1.1 {status} No\r\nContent-Length: 16"
                             '\r\n\r\n{"detail":"No."}')
                return status != 0
            place = self.server.publish(data.decode())
            until = json.loads(data)["t"] + self.server.dawdles_ms
            while place == 1 and time.monotonic() * 1000 < until:
                time.sleep(0.01)
            body = json.dumps({"id": f"fake1-{place}"})
            close = "Connection: close\r\n" if self.server.closes else ""
            self.say(f"HTTP/1.1 201 Created\r\nContent-Length: {len(body)}"
                     f"\r\n{close}\r\n{body}")
            return not self.server.closes
        if "transport=sse" in line:
            self.stream()
        elif "transport=ws" in line:
            self.socket(headers["sec-websocket-key"])
        elif "transport=short" in line:
            self.poll(re.search(r"after=fake1-(\d+)", line))
        elif line:
            self.say("HTTP/1.1 403 Forbidden\r\n\r\n" + json.dumps(
                {"detail": "It is \x1b[31mnot\x7f so."}))
        return False

    def chunk(self, text):
        self.say(f"{len(text):x};why=not\r\n{text}\r\n")

    def stream(self):
        at = len(self.server.sent)
        self.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n")
        self.chunk(": a comment\r\n\r\n")
        self.chunk("event: spillway.hello\r\ndata: {\"cursor\":\r\n")
        self.chunk("data: \"fake1-0\"}\r\n\r\n")
        # The LF at its end would count for the next block.
        self.chunk(": another\n\n")
        self.chunk("event: spillway.heartbeat\ndata: {}\n\n")
        for event in self.server.follow(at):
            self.chunk(f"data: {event[:20]}")
            self.chunk(f"{event[20:]}\r")
            self.chunk("\n\n")

    def frame(self, opcode, payload, fin=True):
        self.say(WebSocket.frame(opcode, payload, fin, mask=None))

    def socket(self, key):
        at = len(self.server.sent)
        accept = base64.b64encode(
            hashlib.sha1(key.encode() + GUID).digest()).decode()
        self.say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\n"
                 f"Sec-WebSocket-Accept: {accept}\r\n\r\n")
        self.frame(1, '{"type":"spillway.hello","cursor":"fake1-0"}')
        if self.server.noise:
            self.say(self.server.noise)
            return
        self.frame(9, "are you there?")
        first = self.rfile.read(2)
        mask = self.rfile.read(4)
        said = bytes(b ^ mask[i % 4]
                     for i, b in enumerate(self.rfile.read(first[1] & 127)))
        assert (first[0], said) == (0x8a, b"are you there?")
        self.server.pongs += 1
        for event in self.server.follow(at):
            self.frame(1, event[:7], fin=False)
            self.frame(10, "")
            self.frame(0, event[7:])

    def poll(self, after):
        with self.server.changed:
            at = int(after[1]) if after else len(self.server.sent)
            events = self.server.sent[at:at + 1]
            body = '{"cursor":"fake1-%d","events":[%s]%s}' % (
                at + len(events), ",".join(events),
                ',"more":true' if at + 1 < len(self.server.sent) else "")
        self.say("HTTP/1.0 200 Fine\r\nContent-Type: application/json\r\n"
                 f"\r\n{body}")


class Lies(unittest.TestCase):
    def setUp(self):
        self.liar = Liar()
        self.addCleanup(self.liar.close)

    def run_compare(self, *args):
        done = subprocess.run(
            [DAEMON, "compare", "--url", self.liar.url, "--api",
             self.liar.url, "--json=-", "--quiet", "--rate=10",
             "--duration=1s", "--subscribers=2", "--grace=6s",
             "--poll-interval=10ms", *args],
            env=lean(dict(os.environ)), capture_output=True, text=True,
            timeout=GUARD * 3, check=False)
        self.assertNotRegex(done.stderr, TROUBLE)
        return done

    def measured(self, *args):
        done = self.run_compare(*args)
        self.assertEqual(done.returncode, 3, done.stderr)
        found, = json.loads(done.stdout)["transports"]
        self.assertIn("may not read /metrics", done.stderr)
        return found

    def check(self, found):
        """Ten events, two of them lost for both; one of five came twice."""
        self.assertEqual(found["published"], 10)
        self.assertEqual(found["expected"], 20)
        self.assertEqual(found["received"], 16)
        self.assertEqual(found["missing"], 4)
        self.assertEqual(found["duplicates"], 4)
        self.assertEqual(found["late"], 4)
        self.assertFalse(found["clean"])
        self.assertEqual(found["bytes"]["payload"], 128 * 20)
        self.assertIsNone(found["gateway"]["bytes"])

    def test_an_event_stream_in_chunks(self):
        found = self.measured("--transports=sse")
        self.check(found)
        beat = "event: spillway.heartbeat\ndata: {}\n\n"
        self.assertEqual(found["bytes"]["heartbeat"], 2 * len(beat))

    def test_a_socket_with_messages_in_pieces(self):
        found = self.measured("--transports=ws")
        self.check(found)
        self.assertEqual(self.liar.pongs, 2)
        ping = len("are you there?")
        self.assertGreaterEqual(found["bytes"]["heartbeat"],
                                2 * (2 + ping + 6 + ping))

    def test_a_transport_that_is_refused_does_not_keep_others_from_it(self):
        done = self.run_compare("--transports=long,sse")
        self.assertEqual(done.returncode, 1, done.stderr)
        refused, found = json.loads(done.stdout)["transports"]
        self.assertEqual(set(refused), {"transport", "error"})
        # What it said is for a terminal, too.
        self.assertEqual(
            refused["error"],
            "long: answered with 403: It is ?[31mnot? so. (--token)")
        self.assertIn("spillway compare: " + refused["error"], done.stderr)
        self.assertIn("Not measured: long: answered with 403", done.stderr)
        self.check(found)

    def test_together_a_refusal_ends_it(self):
        done = self.run_compare("--together", "--transports=long,sse")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertIn("spillway compare: long: answered with 403",
                      done.stderr)

    def test_events_that_are_not_taken_are_no_losses(self):
        self.liar.refusals = {2: 503, 3: 429}
        done = self.run_compare("--transports=sse")
        self.assertEqual(done.returncode, 3, done.stderr)
        found, = json.loads(done.stdout)["transports"]
        self.assertEqual((found["published"], found["refused"]), (8, 2))
        self.assertEqual(found["expected"], 16)
        self.assertIn("sse: 2 events were not taken: the gateway was busy",
                      done.stderr)

    def test_an_api_that_does_not_go_on_is_told(self):
        for status, why in (
                (400, "answers with 400: No."),
                (403, "answers with 403: No. (--api-token-file)"),
                (0, "ended; whether all events are stored is not known")):
            self.liar.posts, self.liar.refusals = 0, {6: status}
            done = self.run_compare("--transports=sse")
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertRegex(done.stderr, "(?m)^spillway compare: .*"
                             f"operator's API {re.escape(why)}$")

    def test_a_publisher_with_a_connection_for_each_event(self):
        self.liar.closes = True
        # What was sent behind those that it answers is sent again.
        self.liar.dawdles_ms = 200
        self.check(self.measured("--transports=sse", "--rate=100",
                                 "--duration=100ms"))

    def test_what_is_no_websocket_any_more_is_told(self):
        self.liar.noise = b"\xff\xff"
        done = self.run_compare("--transports=ws")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("ws: what came is no WebSocket", done.stderr)

    def test_a_gateway_that_hangs_does_not_hold_the_run_for_ever(self):
        self.liar.mute_after = 5
        done = self.run_compare("--transports=ws", "--grace=100ms")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("no answer of the operator's API within 15 seconds",
                      done.stderr)

    def test_what_is_due_while_the_gateway_dawdles_is_late(self):
        """64 wait for their answers: what is due behind them is not sent."""
        self.liar.dawdles_ms = 200
        found = self.measured("--transports=ws", "--rate=1000",
                              "--duration=100ms", "--grace=1s",
                              "--size=60000")
        times = [json.loads(e)["t"] for _, e in
                 sorted(self.liar.events.items())]
        self.assertEqual(len(times), 100)
        self.assertLess(times[64], times[0] + 100)
        self.assertEqual(found["delayed"], 36)
        self.assertGreater(found["latencyMs"]["max"], 100)

    def test_polls_with_a_connection_each(self):
        found = self.measured("--transports=short")
        self.check(found)
        # At the end there may be connections that have not asked yet.
        self.assertIn(found["connections"] - found["requests"], range(3))
        self.assertEqual(found["reconnects"], 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
