"""A WebSocket on the real daemon: its handshake, its commands, its silence.

Frames and compression have files of their own.
"""

import base64
import contextlib
import hashlib
import json
import signal
import ssl
import struct
import threading

from gateway import (BINARY, CLOSE, PING, PONG, TEXT, Closed, EventStream,
                     Scenario, WebSocket, Wire, main, request_head)
from post import is_problem

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
frame = WebSocket.frame


def accept_of(key):
    return base64.b64encode(
        hashlib.sha1(key.encode() + GUID).digest()).decode()


class Handshake(Scenario):
    early = True  # frames may come with the request

    def ask(self, path="/stream/a", wire=None, method="GET", **headers):
        """Status and headers; a header that is None is left out."""
        fields = {"Upgrade": "websocket", "Connection": "Upgrade",
                  "Sec-WebSocket-Key": WebSocket.KEY,
                  "Sec-WebSocket-Version": "13"}
        for name, value in headers.items():
            fields[name.replace("_", "-")] = value
        lines = [(k, v) for k, values in fields.items() if values is not None
                 for v in (values if isinstance(values, list) else [values])]
        w = wire or Wire(self.gateway.port)
        self.addCleanup(w.close)
        w.send(request_head(path, lines, method))
        status, answer, _ = w.response()
        return status, answer

    def test_the_key_is_answered_as_in_the_rfc(self):
        status, headers = self.ask(
            Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==")
        self.assertEqual(status, 101)
        self.assertEqual(headers["sec-websocket-accept"],
                         "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        self.assertEqual(headers["upgrade"].lower(), "websocket")
        self.assertEqual(headers["connection"].lower(), "upgrade")
        self.assertEqual(
            self.ask()[1]["sec-websocket-accept"], accept_of(WebSocket.KEY))

    def test_case_and_lists_do_not_matter(self):
        for upgrade in ("websocket", "WebSocket", "WEBSOCKET",
                        "h2c, websocket"):
            for connection in ("Upgrade", "upgrade", "UPGRADE",
                               "keep-alive, Upgrade", "Upgrade , keep-alive",
                               ["keep-alive", "upgrade"]):
                self.assertEqual(
                    self.ask(Upgrade=upgrade, Connection=connection)[0], 101,
                    (upgrade, connection))

    def test_what_is_missing_or_wrong_is_refused(self):
        key = WebSocket.KEY
        for headers in (
                {"Sec_WebSocket_Key": None}, {"Sec_WebSocket_Key": ""},
                {"Sec_WebSocket_Key": "c2hvcnQ="},
                {"Sec_WebSocket_Key": key[:-1]},
                {"Sec_WebSocket_Key": "!" + key[1:]},
                {"Sec_WebSocket_Key": key[:-2] + "A="},
                {"Sec_WebSocket_Key": [key, key]},
                {"Connection": None}, {"Connection": "keep-alive"},
                {"Connection": "Upgraded"}):
            status, answer = self.ask(**headers)
            self.assertEqual(status, 400, headers)
            self.assertEqual(answer["content-type"],
                             "application/problem+json")
        self.assertEqual(self.ask(method="POST")[0], 403)

    def test_another_version_is_told_which_one_is_spoken(self):
        for version in ("8", "12", "14", "13, 8", "013", "", None,
                        ["13", "13"]):
            status, headers = self.ask(Sec_WebSocket_Version=version)
            self.assertEqual(status, 426, version)
            self.assertEqual(headers["sec-websocket-version"], "13")
            self.assertEqual(headers["upgrade"], "websocket")

    def test_without_an_upgrade_it_is_a_poll_unless_it_insists(self):
        for upgrade in (None, "h2c", "websocket2", "web socket"):
            self.assertEqual(self.ask(Upgrade=upgrade)[0], 200)
            self.assertEqual(self.ask("/stream/a?transport=ws",
                                      Upgrade=upgrade)[0], 426)

    def test_the_first_protocol_that_is_spoken_is_chosen(self):
        token = "bearer.eyJhbGciOiJIUzI1NiJ9.e30.sig"
        for offer, expected in (
                (None, None), ("chat", None), ("Spillway.V1", None),
                (token, None), ("spillway.v1", "spillway.v1"),
                ("chat, spillway.raw", "spillway.raw"),
                ("spillway.raw,spillway.v1", "spillway.raw"),
                (token + ", spillway.v1", "spillway.v1"),
                ("spillway.v1, " + token, "spillway.v1"),
                (["chat", "spillway.raw"], "spillway.raw")):
            status, headers = self.ask(Sec_WebSocket_Protocol=offer)
            self.assertEqual(status, 101)
            self.assertEqual(headers.get("sec-websocket-protocol"), expected,
                             offer)

    def test_raw_is_chosen_by_protocol_or_by_format(self):
        g = self.gateway
        g.publish("a", "plain", Content_Type="text/plain")
        for path, protocol, raw in (
                ("", "spillway.raw", True), ("&format=raw", None, True),
                ("&format=raw", "spillway.v1", True),
                ("&format=json", None, False),
                ("", "spillway.v1", False)):
            ws = WebSocket(g.port, "/stream/a?after=start" + path, protocol)
            first = ws.read()[1]
            if raw:
                self.assertEqual(first, b"plain")
            else:
                self.assertEqual(json.loads(first)["type"], "spillway.hello")
            ws.close()

    def test_an_upgrade_may_follow_other_requests(self):
        for earlier, target in (("/stream/a", "/stream/a"),
                                ("/healthz", "/stream/a"),
                                ("/stream/a", "http://test/stream/a")):
            w = Wire(self.gateway.port)
            w.send(request_head(earlier))
            self.assertEqual(w.response()[0], 200)
            self.assertEqual(self.ask(target, wire=w)[0], 101)
            self.assertIn(b"spillway.hello", w.until(b"}"))

    def test_a_request_may_come_byte_by_byte(self):
        head = request_head("/stream/a", [
            ("Upgrade", "websocket"), ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", WebSocket.KEY),
            ("Sec-WebSocket-Version", "13")])
        with Wire(self.gateway.port) as w:
            for byte in head:
                w.send(bytes([byte]))
            self.assertEqual(w.response()[0], 101)
            self.assertIn(b"spillway.hello", w.until(b"}"))


    def test_frames_may_not_be_lost_behind_the_handshake(self):
        """A client that does not wait is served, or told; RFC 6455 4.1."""
        head = request_head("/stream/a", [
            ("Upgrade", "websocket"), ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", WebSocket.KEY),
            ("Sec-WebSocket-Version", "13")])
        with Wire(self.gateway.port) as w:
            w.send(head + WebSocket.frame(
                TEXT, b'{"op":"ping","ref":"early"}'))
            status, headers, body = w.response()
            if self.early:
                self.assertEqual(status, 101)
                self.assertIn(b"early", w.until(b'"early"}'))
            else:
                is_problem(self, status, headers, json.loads(body), 400)
                self.assertIn("RFC 6455 4.1", json.loads(body)["detail"])
                self.assertEqual(w.rest(), b"")


class HandshakeThroughTheLibrary(Handshake):
    conf = "first-look = no"
    early = False


class Commands(Scenario):
    conf = """
channel "pub*" { send = publish }
channel "echo*" { send = echo }
channels-per-connection = 3
message-max = "64k"
"""

    def open(self, path="/stream/a", **options):
        ws = WebSocket(self.gateway.port, path, **options)
        self.addCleanup(ws.close)
        self.assertEqual(ws.message()["type"], "spillway.hello")
        self.assertEqual(ws.message()["type"], "spillway.caughtup")
        return ws

    def test_ref_is_repeated_as_it_was(self):
        ws = self.open()
        for ref in (1, -1.5e3, "text", 'q"\\\u20ac', ""):
            ws.command(op="ping", ref=ref)
            self.assertEqual(ws.message(), {"op": "ok", "ref": ref})
        ws.command(op="ping")
        self.assertEqual(ws.message(), {"op": "ok"})

    def test_what_is_no_command_is_answered_and_forgiven(self):
        ws = self.open()
        for text in ("", "{", "[]", "1", '"ping"', "{}", '{"op":1}',
                     '{"op":"dance"}', '{"op":"ping","ref":{}}',
                     '{"op":"ping","ref":true}', '{"op":"subscribe"}',
                     '{"op":"subscribe","channel":7}',
                     '{"op":"subscribe","channel":"a b"}',
                     '{"op":"subscribe","channel":""}',
                     '{"op":"subscribe","channel":"b","after":"x"}',
                     '{"op":"unsubscribe"}', '{"op":"send","channel":"pub"}',
                     '{"op":"send","data":1,"seq":-1}', '{"op":"auth"}',
                     '{"op":"ping"} {"op":"ping"}', '\ufeff{"op":"ping"}'):
            ws.say(text)
            answer = ws.message()
            self.assertEqual((answer["op"], answer["code"]),
                             ("error", "invalid"), text)
            self.assertTrue(answer["message"])
        ws.say('{"op":"send","ref":7,"data":%s%s}' % ("[" * 128, "]" * 128))
        answer = ws.message()
        self.assertEqual((answer["code"], answer["ref"]), ("invalid", 7))
        for command, code in (
                ({"op": "auth", "token": "x"}, "unsupported"),
                ({"op": "unsubscribe", "channel": "b"}, "not-found"),
                ({"op": "subscribe", "channel": "a"}, "subscribed"),
                ({"op": "send", "channel": "a", "data": 1}, "forbidden")):
            ws.command(ref="r", **command)
            answer = ws.message()
            self.assertEqual((answer["code"], answer["ref"]), (code, "r"))

    def test_subscribing_live_and_leaving_again(self):
        g = self.gateway
        ws = self.open()
        ws.command(op="subscribe", channel="b", ref=1)
        answer = ws.message()
        self.assertEqual((answer["op"], answer["ref"], answer["channel"]),
                         ("ok", 1, "b"))
        both = [g.publish(c, n)["id"] for n, c in enumerate("abab")]
        self.assertEqual([ws.message()["id"] for _ in both], both)
        ws.command(op="unsubscribe", channel="a", ref=2)
        self.assertEqual(ws.message(), {"op": "ok", "ref": 2})
        g.publish("a", "unheard")
        heard = g.publish("b", "heard")["id"]
        self.assertEqual(ws.message()["id"], heard)
        for channel in "cd":
            ws.command(op="subscribe", channel=channel)
            self.assertEqual(ws.message()["op"], "ok")
        ws.command(op="subscribe", channel="e", ref=3)
        self.assertEqual(ws.message()["code"], "too-large")

    def test_subscribing_with_a_cursor_catches_up(self):
        g = self.gateway
        ids = g.batch([{"channel": "b", "data": n} for n in range(1500)])
        for first, gap in ((0, None), (10, None), (-1, None), (0, "epoch")):
            expected = ids[first:] if first >= 0 else []
            after = ("zzzzz-7" if gap else "start" if first == 0 else
                     ids[first - 1] if first > 0 else ids[-1])
            ws = self.open()
            ws.command(op="subscribe", channel="b", after=after)
            self.assertEqual(ws.message()["op"], "ok")
            if gap:
                notice = ws.message()
                self.assertEqual(
                    (notice["type"], notice["reason"], notice["channel"]),
                    ("spillway.gap", gap, "b"))
            self.assertEqual([ws.message()["id"] for _ in expected],
                             expected)
            notice = ws.message()
            self.assertEqual((notice["type"], notice["channel"]),
                             ("spillway.caughtup", "b"))
            live = [g.publish(c, "live")["id"] for c in "ab"]
            self.assertEqual([ws.message()["id"] for _ in live], live)
            ids.append(live[1])
            ws.close()

    def test_the_first_subscription_stays_live_meanwhile(self):
        g = self.gateway
        ids = g.batch([{"channel": "b", "data": n} for n in range(3000)])
        ws = self.open()
        ws.command(op="subscribe", channel="b", after="start")
        live = [g.publish("a", n)["id"] for n in range(20)]
        got = []
        while len(got) < len(ids) + len(live):
            m = ws.message()
            if "id" in m:
                got.append((m["channel"], m["id"]))
        self.assertEqual([i for c, i in got if c == "b"], ids)
        self.assertEqual([i for c, i in got if c == "a"], live)

    def test_what_is_sent_is_published_and_counted_once(self):
        g = self.gateway
        listener = self.open("/stream/pub")
        ws = self.open("/stream/pub?session=s1")
        ws.command(op="send", data={"a": [1, "\u20ac"]}, ref=1)
        first = listener.message()
        self.assertEqual(first["data"], {"a": [1, "\u20ac"]})
        answers = [ws.message(), ws.message()]
        answer = next(m for m in answers if m.get("op"))
        self.assertEqual(answer, {"op": "ok", "ref": 1, "id": first["id"],
                                  "duplicate": False})
        ws.command(op="unsubscribe", channel="pub")
        ws.message()
        for duplicate in (False, True):
            ws.command(op="send", channel="pub", data="x", seq=7)
            self.assertIs(ws.message()["duplicate"], duplicate)
        self.assertEqual(len(g.poll("pub", after="start")["events"]), 2)

    def test_echo_returns_to_the_sender_alone(self):
        other = self.open("/stream/echo")
        ws = self.open("/stream/echo")
        for data in (None, 0, "text", [1, {"k": "v"}]):
            ws.command(op="send", data=data, ref="r")
            self.assertEqual(ws.message(),
                             {"op": "reply", "ref": "r", "data": data})
        other.command(op="ping")
        self.assertEqual(other.message(), {"op": "ok"})

    def test_binary_is_no_command_and_a_large_one_is_refused(self):
        for opcode, size, code in ((BINARY, 1, 1003), (TEXT, 65537, 1009)):
            ws = self.open()
            ws.say(b"x" * size, opcode)
            with self.assertRaises(Closed) as closed:
                ws.message()
            self.assertEqual(closed.exception.code, code)

    def test_raw_follows_the_same_policy(self):
        g = self.gateway
        ws = WebSocket(g.port, "/stream/pub", "spillway.raw")
        ws.say("text")
        ws.say(b"\0\xff", BINARY)
        self.assertEqual([ws.read(), ws.read()],
                         [(TEXT, b"text"), (BINARY, b"\0\xff")])
        ws.close()
        ws = WebSocket(g.port, "/stream/off", "spillway.raw")
        ws.say("text")
        with self.assertRaises(Closed) as closed:
            ws.read()
        self.assertEqual(closed.exception.code, 1008)

    def test_frames_may_come_together_with_the_handshake(self):
        g = self.gateway
        head = request_head("/stream/echo", [
            ("Upgrade", "websocket"), ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", WebSocket.KEY),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Protocol", "spillway.raw")])
        for count in (1, 3000):
            with Wire(g.port) as w:
                w.send(head + frame(TEXT, "early") * count +
                       frame(CLOSE, b"\x03\xe8"))
                self.assertEqual(w.response()[0], 101)
                self.assertEqual(w.rest(), b"\x81\x05early" * count +
                                 b"\x88\x02\x03\xe8")


class WhileCatchingUp(Scenario):
    """Commands that come with the handshake meet its read of history."""

    conf = "window-events = 64"

    def setUp(self):
        super().setUp()
        self.ids = {}
        for channel in "ab":
            self.ids[channel] = self.gateway.batch(
                [{"channel": channel, "data": n} for n in range(200)])

    def open(self, path, *commands):
        w = WebSocket.__new__(WebSocket)
        Wire.__init__(w, self.gateway.port)
        self.addCleanup(w.close)
        w.send(request_head(path, [
            ("Upgrade", "websocket"), ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", WebSocket.KEY),
            ("Sec-WebSocket-Version", "13")]) +
               b"".join(frame(TEXT, json.dumps(dict(c, ref=n)))
                        for n, c in enumerate(commands)))
        self.assertEqual(w.response()[0], 101)
        return w

    def heard(self, ws, ref, channel):
        """Ids of the channel that come after the answer, before another."""
        while ws.message().get("ref") != ref:
            pass
        self.gateway.publish("x", "end")
        ids = []
        while True:
            m = ws.message()
            if m.get("channel") == "x":
                return ids
            if m.get("channel") == channel and "id" in m:
                ids.append(m["id"])

    def test_a_channel_that_was_left_is_not_heard_of(self):
        for path in ("/stream/x,a,b?after=start", "/stream/x,a,b?last=300"):
            ws = self.open(path, {"op": "unsubscribe", "channel": "a"})
            self.assertEqual(self.heard(ws, 0, "a"), [])

    def test_who_leaves_and_comes_back_has_all_that_it_asks_for(self):
        leave = {"op": "unsubscribe", "channel": "a"}
        for path in ("/stream/a,x?last=10", "/stream/a,x,b?last=300",
                     "/stream/x,a?after=" + self.ids["a"][120]):
            ws = self.open(path, leave, {"op": "subscribe", "channel": "a",
                                         "after": "start"})
            while ws.message().get("ref") != 1:
                pass
            ids = []
            while len(ids) < 200:
                m = ws.message()
                if m.get("channel") == "a" and "id" in m:
                    ids.append(m["id"])
            self.assertEqual(ids, self.ids["a"])

    def test_who_comes_back_live_has_nothing_of_the_past(self):
        leave = {"op": "unsubscribe", "channel": "a"}
        join = {"op": "subscribe", "channel": "a"}
        past = dict(join, after="start")
        ws = self.open("/stream/a,x?after=start", leave, join)
        self.assertEqual(self.heard(ws, 1, "a"), [])
        ws = self.open("/stream/x", past, leave, join)
        self.assertEqual(self.heard(ws, 2, "a"), [])


class OneAfterTheOther(Scenario):
    conf = "window-events = 64"

    def catch_up(self, **after):
        """What they are told of each channel, when they ask at once."""
        g = self.gateway
        ws = WebSocket(g.port, "/stream/a")
        self.addCleanup(ws.close)
        for _ in range(2):  # hello, caughtup
            ws.message()
        ws.send(b"".join(
            ws.frame(TEXT, json.dumps({"op": "subscribe", "channel": channel,
                                       "after": cursor}).encode())
            for channel, cursor in after.items()))
        got = {channel: [] for channel in after}
        caughtup = set()
        while len(caughtup) < len(after):
            m = ws.message()
            if "id" in m:
                got[m["channel"]].append(m["id"])
            elif m.get("type") == "spillway.gap":
                got[m["channel"]].append((m["after"], m["first"]))
            elif m.get("type") == "spillway.caughtup":
                caughtup.add(m["channel"])
        return got

    def fill(self):
        return [self.gateway.batch([{"channel": channel, "data": n}
                                    for n in range(count)])
                for channel, count in (("old", 3000), ("new", 10))]

    def test_what_is_behind_holds_up_nobody_who_is_not(self):
        """Two that catch up, one from the store and one from the window."""
        old, new = self.fill()
        self.assertEqual(self.catch_up(old="start", new=new[2]),
                         {"old": old, "new": new[3:]})
        # It was read once, and not again and again.
        self.assertLess(self.gateway.metric("catchup_reads_total"), 20)

    def test_each_gap_says_where_its_own_channel_goes_on(self):
        old, new = self.fill()
        for names in (("old", "new", "none"), ("new", "none", "old")):
            cursors = {name: "xxxx-" + str(at)
                       for at, name in enumerate(names, 1)}
            self.assertEqual(self.catch_up(**cursors), {
                name: [(cursors[name], ids[0] if ids else None)] + ids
                for name, ids in (("old", old), ("new", new), ("none", []))})


class Gone(Scenario):
    conf = """
window-events = 64
channel "m" { durability = memory  history-events = 64 }
"""
    workers = 1

    def test_who_is_gone_before_a_loss_can_be_told_takes_nobody_along(self):
        g = self.gateway
        ids = g.batch([{"channel": "m", "data": n} for n in range(200)])
        ws = WebSocket(g.port, "/stream/a")
        for _ in range(2):  # hello, caughtup
            ws.message()
        # It reads the command of somebody who has closed by then: the answer
        # is what makes the system tell it so, and the gap comes behind it.
        g.signal(signal.SIGSTOP)
        ws.command(op="subscribe", channel="m", after=ids[0])
        ws.close()
        g.signal(signal.SIGCONT)
        g.wait_log("closed id=.* why=io ")
        self.assertEqual(len(g.poll("m", after=ids[150])["events"]), 49)


class Heartbeat(Scenario):
    conf = 'heartbeat = "1s"'

    def test_an_answered_ping_keeps_a_silent_client(self):
        ws = WebSocket(self.gateway.port, "/stream/a")
        self.addCleanup(ws.close)
        kinds = [ws.read_frame()[2:] for _ in range(2)]
        pings = 0
        while pings < 4:  # more than 2.5 times the heartbeat
            _, _, opcode, payload = ws.read_frame()
            if opcode == PING:
                pings += 1
                ws.say(payload, PONG)
            else:
                self.assertEqual(json.loads(payload)["type"],
                                 "spillway.heartbeat")
        self.assertEqual([k[0] for k in kinds], [TEXT, TEXT])
        ws.command(op="ping")
        while ws.message() != {"op": "ok"}:
            pass

    def test_who_reads_slowly_is_not_silent(self):
        """A ping lies behind all that it has not read yet."""
        g = self.gateway
        # 4 MB as JSON: each byte is escaped.
        g.publish("a", b"\x01" * 700000, Content_Type="text/plain")
        ws = WebSocket(g.port, "/stream/a?after=start", receive_buffer=4096)
        self.addCleanup(ws.close)
        ws.message()
        while len(ws.data) < 4000000:
            size = len(ws.data)
            while len(ws.data) < size + 20000:
                self.assertTrue(ws.more())
            threading.Event().wait(0.03)
        ws.command(op="ping")
        while ws.message().get("op") != "ok":
            pass

    def test_a_peer_that_never_answers_is_closed(self):
        for path in ("/stream/a", "/stream/a?format=raw"):
            ws = WebSocket(self.gateway.port, path)
            self.addCleanup(ws.close)
            opcodes = []
            while CLOSE not in opcodes:
                _, _, opcode, payload = ws.read_frame()
                opcodes.append(opcode)
            self.assertEqual(payload[:2], struct.pack(">H", 4408))
            self.assertIn(PING, opcodes)
            self.assertEqual(ws.rest(), b"")
            self.gateway.wait_log("why=silent")
            self.assertEqual(TEXT in opcodes, "raw" not in path)


class Silence(Scenario):
    conf = 'heartbeat = "4s"'
    workers = 1

    def test_it_lasts_for_two_and_a_half_heartbeats_not_for_three(self):
        """Who came a second before it is a clock: its third is at 2.75."""
        cursor = self.gateway.poll("a")["cursor"]
        clock = EventStream(self.gateway.port, "/stream/a")
        self.addCleanup(clock.close)
        self.gateway.poll("a", after=cursor, wait=1)
        ws = WebSocket(self.gateway.port, "/stream/a")
        self.addCleanup(ws.close)
        beats = 0
        while beats < 3:
            beats += clock.block()[0] == "spillway.heartbeat"
        ws.s.setblocking(False)
        with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError):
            while ws.more():
                pass
        frames = []
        while ws.data:
            frames.append(ws.read_frame()[2:])
        self.assertEqual(frames[-1][0], CLOSE, frames)
        self.assertEqual(frames[-1][1][:2], struct.pack(">H", 4408))


if __name__ == "__main__":
    main()
