"""What clients send: over WebSockets, by POST, with numbers and without.

A message with a number is sent again until there is an answer, over whatever
connection comes next. Each answer is held against what `send` may have said
for the channel; the log is told what is stored, and what may never be heard of.
"""

import itertools
import json
import time
import zlib

from gateway import TEXT, WebSocket, Wire, query

SIZES = (0, 10, 10, 200, 3000, 20000)
OUTSTANDING = 100000    # bytes, and as many in answers: nobody waits for both


class Message:
    def __init__(self, key, channel, data, seq):
        self.key, self.channel, self.data, self.seq = key, channel, data, seq
        self.tries, self.began = 0, 0

    def sent(self):
        self.tries += 1
        self.began = time.monotonic()


class Sending:
    """What was sent over one connection, in that order, and its answers."""

    def __init__(self, sender):
        self.sender, self.log = sender, sender.log
        self.order, self.waiting = [], []
        sender.sendings.append(self)

    def room(self):
        return sum(len(m.data) for m in self.waiting) < OUTSTANDING

    def sent(self, message):
        m = message
        self.log.publishing(m.key, m.channel, m.data)
        m.sent()
        self.order.append((message, message.tries == 1))
        self.waiting.append(message)

    def answered(self, message, outcome, number=None, duplicate=False):
        """`outcome`: what `send` must have said, then or until then."""
        m = message
        assert outcome in self.sender.words(m.channel, m.began), (
            outcome, m.key, m.channel)
        self.waiting.remove(m)
        if outcome != "publish":
            # An earlier try may have been stored.
            if m.tries == 1:
                self.log.refused(m.key)
            return
        assert m.tries > 1 or not duplicate, ("nobody sent it before", m.key)
        self.log.acknowledged(m.key, number)
        if m.seq is not None:
            self.sender.mine.append(m)

    def ended(self):
        """The connection is over: what has a number is sent again."""
        self.sender.again += [m for m in self.waiting if m.seq is not None]
        self.waiting = []

    def check(self):
        """Stored in the order in which it was sent; unless it was twice."""
        last = 0
        for m, is_first in self.order:
            number = self.log.by_key[m.key].id
            if m.tries == 1 and is_first and number is not None:
                assert number > last, ("sent in another order", m.key, number,
                                       last)
                last = number


class Sender:
    """The messages of one client, which has a session."""

    def __init__(self, client, n):
        self.client, self.log = client, client.log
        self.random, self.session = client.random, f"client-{n}"
        self.seq = itertools.count()
        self.again, self.mine, self.sendings = [], [], []

    def words(self, channel, since):
        return self.log.kinds[channel].send.during(since, time.monotonic())

    def message(self):
        """One for which there is no answer yet, an old one or a new one."""
        if self.again and self.random.random() < 0.7:
            return self.again.pop(self.random.randrange(len(self.again)))
        if self.mine and self.random.random() < 0.1:
            return self.random.choice(self.mine[-20:])
        return self.new(self.random.choice(sorted(self.log.kinds)),
                        self.random.random() < 0.7)

    def new(self, channel, numbered):
        key, data = self.log.draft(channel, self.random.choice(SIZES))
        seq = next(self.seq) if numbered else None
        return Message(key, channel, data, seq)

    # POST /stream/C, some at a time over a connection that is kept.

    def post(self, port):
        sending = Sending(self)
        try:
            with Wire(port) as wire:
                for _ in range(self.random.choice((1, 1, 2, 5, 20))):
                    if not self.post_some(sending, wire):
                        break
        finally:
            sending.ended()

    def post_some(self, sending, wire):
        """Some requests, then their answers; false: it was the last one."""
        while not sending.waiting or (
                self.random.random() < 0.5 and sending.room()):
            m = self.message()
            if m in sending.waiting:
                continue
            sending.sent(m)
            wire.send(self.request(m))
        for m in list(sending.waiting):
            status, headers, body = wire.response()
            self.posted(sending, m, status, body)
            # Behind a body in chunks it does not go on.
            if headers.get("connection") == "close":
                return False
        return True

    def request(self, m):
        kind = self.random.choice(("application/json", "text/plain", None))
        data = json.dumps(m.data) if kind == "application/json" else m.data
        params = {"session": self.session, "seq": m.seq}
        lines = [f"POST /stream/{m.channel}" + query(
            params if m.seq is not None else {}) + " HTTP/1.1", "Host: test"]
        if kind:
            lines.append(f"Content-Type: {kind}")
        if self.random.random() < 0.2:
            lines.append("Transfer-Encoding: chunked")
            half = len(data) // 2
            data = "".join(f"{len(part):x}\r\n{part}\r\n" for part in (
                data[:half], data[half:]) if part) + "0\r\n\r\n"
        else:
            lines.append(f"Content-Length: {len(data)}")
        return ("\r\n".join(lines) + "\r\n\r\n" + data).encode()

    @staticmethod
    def posted(sending, m, status, body):
        text = body.decode()
        if status == 403:
            sending.answered(m, "off")
        elif text in (m.data, json.dumps(m.data)):
            sending.answered(m, "echo")
        else:
            answer = json.loads(text)
            assert status == (200 if answer["duplicate"] else 201), (
                status, text)
            sending.answered(m, "publish", int(
                answer["id"].rpartition("-")[2]), answer["duplicate"])

    def settle(self, port):
        """Until there is an answer for all that can be sent again."""
        while self.again:
            self.post(port)

    # WebSockets.

    def say(self, wire, text):
        """As one frame, as some, or deflated."""
        deflates = "permessage-deflate" in wire.headers.get(
            "sec-websocket-extensions", "")
        payload, rsv = text.encode(), 0
        if deflates and self.random.random() < 0.5:
            z = zlib.compressobj(wbits=-15)
            payload = (z.compress(payload) + z.flush(zlib.Z_SYNC_FLUSH))[:-4]
            rsv = 4
        cut = self.random.randrange(len(payload) + 1)
        if self.random.random() < 0.8:
            cut = len(payload)
        frames = WebSocket.frame(TEXT, payload[:cut], rsv=rsv,
                                 fin=cut == len(payload))
        if cut < len(payload):
            frames += WebSocket.frame(0, payload[cut:])
        wire.send(frames)

    def command(self, sending, wire):
        m = self.message()
        if m in sending.waiting:
            return
        sending.sent(m)
        seq = {"seq": m.seq} if m.seq is not None else {}
        self.say(wire, json.dumps({"op": "send", "channel": m.channel,
                                   "data": m.data, "ref": m.key, **seq}))

    @staticmethod
    def is_ours(m):
        return "op" in m and m.get("ref", "").startswith("k")

    def replied(self, sending, answer):
        """Only a reply, or what is refused, need not wait for its turn."""
        m = next((m for m in sending.waiting if m.key == answer["ref"]), None)
        assert m is not None, ("an answer to nothing", answer)
        if answer["op"] == "reply":
            assert answer["data"] == m.data, answer["ref"]
            sending.answered(m, "echo")
        elif answer["op"] == "error":
            assert answer["code"] == "forbidden", answer
            sending.answered(m, "off")
        else:
            self.in_turn(sending, m)
            sending.answered(m, "publish", int(
                answer["id"].rpartition("-")[2]), answer["duplicate"])

    def raw(self, wire, channel):
        """Its key, if it is published; nobody acknowledges it."""
        m = self.new(channel, False)
        self.log.publishing(m.key, channel, m.data)
        if self.log.kinds[channel].send.value == "echo":
            self.log.refused(m.key)
        self.say(wire, m.data)
        return m.key

    def in_turn(self, sending, m):
        """Nothing before it is to be published, and has no answer yet."""
        for other in sending.waiting[:sending.waiting.index(m)]:
            words = self.words(other.channel, other.began)
            assert words != {"publish"}, ("passed over", other.key, m.key)
