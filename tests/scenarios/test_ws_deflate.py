"""RFC 7692 on the real daemon: what is agreed on, and both directions."""

import json
import os
import signal
import struct
import zlib

from gateway import (BINARY, CLOSE, PING, PONG, TEXT, Closed, Scenario,
                     WebSocket, main)

CONTINUATION = 0
DEFLATE = "permessage-deflate"
AGREED = (DEFLATE + "; server_no_context_takeover; "
          "client_no_context_takeover")
RAW = "/stream/echo?format=raw"
LONG = "The same words come again and again. " * 40
frame = WebSocket.frame


def compress(data, level=6, bits=15, strategy=zlib.Z_DEFAULT_STRATEGY,
             flush=zlib.Z_SYNC_FLUSH):
    z = zlib.compressobj(level, zlib.DEFLATED, -bits, 8, strategy)
    out = z.compress(data) + z.flush(flush)
    return out[:-4] if flush == zlib.Z_SYNC_FLUSH else out


def expand(data, bits=15):
    z = zlib.decompressobj(-bits)
    text = z.decompress(data + b"\0\0\xff\xff")
    assert not z.unconsumed_tail
    return text


class Level(Scenario):
    conf = "deflate-level = 1"

    def test_a_reload_changes_it(self):
        g = self.gateway
        text = "".join(f"{n * n * 7919} words; " for n in range(400))
        ws = WebSocket(g.port, "/stream/a?format=raw", extensions=DEFLATE)
        self.addCleanup(ws.close)
        for level in (1, 9, 1):
            g.configure(f"deflate-level = {level}")
            before = len([l for l in g.lines if "reloaded" in l])
            g.signal(signal.SIGHUP)
            g.wait_log("configuration reloaded", before + 1)
            g.publish("a", text)
            self.assertEqual(ws.read_frame(), (
                True, 4, TEXT, compress(text.encode(), level)))


class Negotiation(Scenario):
    def answer(self, offer, headers=()):
        with WebSocket(self.gateway.port, "/stream/a", extensions=offer,
                       headers=headers) as ws:
            self.assertEqual(ws.status, 101)
            return ws.headers.get("sec-websocket-extensions")

    def test_what_is_offered_soundly_is_agreed_on(self):
        for offer, extra in (
                (DEFLATE, ""), ("Permessage-Deflate", ""),
                (DEFLATE + "; server_no_context_takeover", ""),
                (DEFLATE + ";client_no_context_takeover", ""),
                (DEFLATE + "; client_max_window_bits", ""),
                (DEFLATE + "; client_max_window_bits=8", ""),
                (DEFLATE + "; client_max_window_bits=15; "
                 "server_no_context_takeover; client_no_context_takeover",
                 ""),
                (DEFLATE + '; server_max_window_bits="10"',
                 "; server_max_window_bits=10"),
                ("x-webkit-deflate-frame, " + DEFLATE, ""),
                (DEFLATE + "; nonsense, " + DEFLATE, ""),
                (DEFLATE + "; server_max_window_bits=7, " + DEFLATE +
                 "; server_max_window_bits=9", "; server_max_window_bits=9"),
                *((f"{DEFLATE}; server_max_window_bits={n}",
                   f"; server_max_window_bits={n}")
                  for n in range(8, 16))):
            self.assertEqual(self.answer(offer), AGREED + extra, offer)
        self.assertEqual(self.answer("foo", [("Sec-WebSocket-Extensions",
                                              DEFLATE)]), AGREED)

    def test_what_is_offered_wrongly_is_declined(self):
        for params in ("server_max_window_bits", "server_max_window_bits=7",
                       "server_max_window_bits=16",
                       "server_max_window_bits=08",
                       "server_max_window_bits=x", "server_max_window_bits=",
                       "client_max_window_bits=7",
                       "client_max_window_bits=16",
                       "client_max_window_bits=",
                       "server_no_context_takeover=1",
                       "client_no_context_takeover=0",
                       "client_max_window_bits; client_max_window_bits",
                       "server_no_context_takeover; "
                       "server_no_context_takeover", "unknown", ";"):
            self.assertIsNone(self.answer(f"{DEFLATE}; {params}"), params)
        self.assertIsNone(self.answer("permessage-bzip2"))
        self.assertIsNone(self.answer(None))


class TurnedOff(Scenario):
    conf = 'deflate = no\nchannel "*" { send = echo }'

    def test_nothing_is_agreed_on_and_compressed_frames_are_broken(self):
        with WebSocket(self.gateway.port, RAW, extensions=DEFLATE) as ws:
            self.assertNotIn("sec-websocket-extensions", ws.headers)
            ws.say(compress(b"x"), TEXT, rsv=4)
            with self.assertRaises(Closed) as end:
                ws.read()
            self.assertEqual(end.exception.code, 1002)


class FromTheClient(Scenario):
    conf = 'channel "*" { send = echo }\nmessage-max = "1m"'

    def open(self, path=RAW, extensions=DEFLATE):
        ws = WebSocket(self.gateway.port, path, extensions=extensions)
        self.addCleanup(ws.close)
        return ws

    def test_every_way_to_compress_is_understood(self):
        ws = self.open()
        texts = (b"", b"x", b"hello", LONG.encode(), b"ab" * 50000,
                 "κόσμε".encode() * 99)
        ways = [dict(level=n) for n in range(10)]
        ways += [dict(bits=n) for n in range(9, 16)]
        ways += [dict(strategy=s) for s in (
            zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED)]
        # 7.2.3.4: a final block, and an empty one behind it.
        ways += [dict(flush=zlib.Z_FINISH)]
        for text in texts:
            for way in ways:
                data = compress(text, **way)
                if way.get("flush") == zlib.Z_FINISH:
                    data += b"\0"
                ws.say(data, TEXT, rsv=4)
                self.assertEqual(ws.read(), (TEXT, text), way)

    def test_messages_may_be_cut_at_any_byte_and_pings_come_between(self):
        data = compress(LONG.encode())
        for step in (1, 2, 7):
            ws = self.open()
            parts = [data[i:i + step] for i in range(0, len(data), step)]
            for i, part in enumerate(parts):
                ws.send(frame(CONTINUATION if i else TEXT, part,
                              fin=i == len(parts) - 1, rsv=0 if i else 4) +
                        (frame(PING, b"%d" % i) if i < 3 else b""))
            for i in range(3):
                self.assertEqual(ws.read_frame()[2:], (PONG, b"%d" % i))
            self.assertEqual(ws.read(), (TEXT, LONG.encode()))

    def test_plain_messages_are_allowed_all_the_same(self):
        ws = self.open()
        for rsv in (0, 4, 0, 4):
            ws.say(compress(b"text") if rsv else b"text", BINARY, rsv=rsv)
            self.assertEqual(ws.read(), (BINARY, b"text"))

    def test_each_message_is_read_without_the_ones_before(self):
        """client_no_context_takeover was agreed on, so this breaks it."""
        z = zlib.compressobj(6, zlib.DEFLATED, -15)
        # Random, so that the second one refers to the first, not to itself.
        data = os.urandom(500)
        first = z.compress(data) + z.flush(zlib.Z_SYNC_FLUSH)
        second = z.compress(data) + z.flush(zlib.Z_SYNC_FLUSH)
        self.assertLess(len(second), 100)
        ws = self.open()
        ws.say(first[:-4], BINARY, rsv=4)
        self.assertEqual(ws.read(), (BINARY, data))
        ws.say(second[:-4], BINARY, rsv=4)
        with self.assertRaises(Closed) as end:
            ws.read()
        self.assertEqual(end.exception.code, 1002)

    def test_what_is_broken_is_closed_with_its_code(self):
        text = compress(b"text")
        for name, script, code in (
                ("RSV1 on a continuation", frame(TEXT, text[:2], rsv=4,
                                                 fin=False) +
                 frame(CONTINUATION, text[2:], rsv=4), 1002),
                ("RSV1 on a ping", frame(PING, b"x", rsv=4), 1002),
                ("RSV1 on a close", frame(CLOSE, b"\x03\xe8", rsv=4), 1002),
                ("RSV2", frame(TEXT, text, rsv=6), 1002),
                ("no deflate at all", frame(TEXT, b"\xff" * 20, rsv=4), 1002),
                ("a stored block that lies", frame(
                    TEXT, b"\x00\x05\x00\x00\x00hello", rsv=4), 1002),
                ("a distance too far", frame(
                    TEXT, compress(b"abc" * 99)[8:], rsv=4), 1002),
                ("a message cut short", frame(
                    BINARY, compress(os.urandom(300))[:100], rsv=4), 1002),
                ("compressed text that is not UTF-8", frame(
                    TEXT, compress(b"\xff\xfe" * 9), rsv=4), 1007)):
            with self.subTest(name):
                ws = self.open()
                ws.send(script)
                with self.assertRaises(Closed) as end:
                    ws.read()
                self.assertEqual(end.exception.code, code)

    def test_a_bomb_is_refused_in_bounded_memory(self):
        g = self.gateway
        z = zlib.compressobj(9, zlib.DEFLATED, -15)
        bomb = b"".join(z.compress(bytes(1 << 20)) for _ in range(800))
        bomb += z.flush(zlib.Z_SYNC_FLUSH)
        self.assertLess(len(bomb), 1 << 20)
        before = g.memory()
        for fragments in (1, 50):
            ws = self.open()
            size = len(bomb) // fragments + 1
            for i in range(fragments):
                ws.say(bomb[i * size:(i + 1) * size],
                       CONTINUATION if i else BINARY, rsv=0 if i else 4,
                       fin=i == fragments - 1)
            with self.assertRaises(Closed) as end:
                ws.read()
            self.assertEqual(end.exception.code, 1009)
        # 800 MiB inside; a sanitizer keeps what was freed for a while.
        self.assertLess(g.memory() - before, 100 << 20)

    def test_the_limit_is_that_of_the_message_not_of_its_frames(self):
        ws = self.open()
        exact = os.urandom(1 << 20)
        ws.say(compress(exact, level=0), BINARY, rsv=4)
        self.assertEqual(ws.read(), (BINARY, exact))
        ws.say(compress(bytes((1 << 20) + 1)), BINARY, rsv=4)
        with self.assertRaises(Closed) as end:
            ws.read()
        self.assertEqual(end.exception.code, 1009)


class OneWorker(Scenario):
    conf = FromTheClient.conf + "\nmessage-byte-rate = 1g"
    workers = 1

    def test_what_is_read_at_once_waits_for_answers_as_well(self):
        """60 MB come in 60 kB: they are no 60 MB of echoes at once."""
        g = self.gateway
        text = b"y" * (1000 << 10)
        command = b'{"op":"send","data":"' + text + b'"}'
        for path, message, opcode in ((RAW, text, BINARY),
                                      ("/stream/echo", command, TEXT)):
            ws = WebSocket(g.port, path, extensions=DEFLATE)
            self.addCleanup(ws.close)
            before = g.memory()
            ws.send(frame(opcode, compress(message, 9), rsv=4) * 60)
            ws.more()
            # The only loop has done with what it had read, when it does this.
            for _ in range(2):
                self.assertEqual(g.get("/healthz")[0], 200)
            self.assertLess(g.memory() - before, 20 << 20)
            echoes = 0
            while echoes < 60:
                _, data = ws.read()
                echoes += data.count(text)
            ws.close()


class ToTheClient(Scenario):
    conf = 'deflate-min = 200\nmessage-max = "1m"'

    def frames(self, count, path, bits=None, deflate=True, protocol=None):
        """That many messages, each as RSV1, opcode and expanded payload."""
        offer = DEFLATE if deflate else None
        if bits:
            offer += f"; server_max_window_bits={bits}"
        ws = WebSocket(self.gateway.port, path, extensions=offer,
                       protocol=protocol)
        self.addCleanup(ws.close)
        found = []
        while len(found) < count:
            fin, rsv, opcode, payload = ws.read_frame()
            self.assertTrue(fin)
            if opcode not in (TEXT, BINARY):
                continue
            if rsv:
                payload = expand(payload, bits or 15)
            if b'"spillway.' not in payload[:20]:
                found.append((rsv == 4, opcode, payload))
        return found

    def test_small_and_dense_events_are_sent_as_they_are(self):
        g = self.gateway
        bodies = [b"s" * 199, b"l" * 200, os.urandom(5000)]
        for body in bodies:
            g.publish("a", body, Content_Type="application/octet-stream")
        got = self.frames(3, "/stream/a?after=start&format=raw")
        self.assertEqual(got, [
            (False, BINARY, bodies[0]), (True, BINARY, bodies[1]),
            (False, BINARY, bodies[2])])

    def test_a_smaller_window_is_kept_to(self):
        # What repeats is far away: it must not be referred to.
        far = json.dumps([os.urandom(150).hex()] * 40 + ["a" * 5000] * 4)
        self.gateway.publish("a", far)
        for bits in range(8, 16):
            ((rsv, opcode, payload),) = self.frames(
                1, "/stream/a?after=start&format=raw", bits)
            self.assertEqual((rsv, opcode, payload),
                             (True, TEXT, far.encode()), bits)

    def test_one_event_is_shared_and_everybody_gets_the_right_bytes(self):
        """All forms at once, on both workers, live and as history."""
        g = self.gateway
        kinds = [dict(path=path, deflate=deflate, bits=bits)
                 for path in ("/stream/a", "/stream/a?format=raw")
                 for deflate, bits in ((False, None), (True, None),
                                       (True, 9), (True, 12))]
        sockets = [self.live(**kind) for kind in kinds * 4]
        bodies = [json.dumps({"n": n, "text": LONG[n:] * (1 + n % 3)})
                  for n in range(30)]
        ids = [g.publish("a", body)["id"] for body in bodies]
        for kind, ws in zip(kinds * 4, sockets):
            for body, event in zip(bodies, ids):
                rsv, payload = self.next(ws, kind)
                self.assertEqual(rsv == 4, kind["deflate"])
                if "raw" in kind["path"]:
                    self.assertEqual(payload.decode(), body)
                else:
                    envelope = json.loads(payload)
                    self.assertEqual(envelope["id"], event)
                    self.assertEqual(envelope["data"], json.loads(body))
        for kind in kinds:
            sign = "&" if "?" in kind["path"] else "?"
            got = self.frames(30, kind["path"] + sign + "after=start",
                              kind["bits"], kind["deflate"])
            for (rsv, _, payload), body in zip(got, bodies):
                self.assertEqual(rsv, kind["deflate"])
                data = json.loads(payload)
                self.assertEqual(data.get("data", data), json.loads(body))

    def live(self, path, deflate, bits):
        offer = DEFLATE if deflate else None
        if bits:
            offer += f"; server_max_window_bits={bits}"
        ws = WebSocket(self.gateway.port, path, extensions=offer)
        self.addCleanup(ws.close)
        # Subscribed by the time the handshake is answered.
        self.assertEqual(ws.status, 101)
        return ws

    def next(self, ws, kind):
        while True:
            _, rsv, opcode, payload = ws.read_frame()
            self.assertEqual(opcode, TEXT)
            if rsv:
                payload = expand(payload, kind["bits"] or 15)
            if not payload.startswith(b'{"type":"spillway.'):
                return rsv, payload

    def test_control_frames_and_notices_are_never_compressed(self):
        with WebSocket(self.gateway.port, "/stream/a",
                       extensions=DEFLATE) as ws:
            for _ in range(2):
                _, rsv, opcode, payload = ws.read_frame()
                self.assertEqual((rsv, opcode), (0, TEXT))
                self.assertTrue(json.loads(payload)["type"]
                                .startswith("spillway."))
            ws.say(b"p" * 125, PING)
            self.assertEqual(ws.read_frame()[1:], (0, PONG, b"p" * 125))
            ws.say(struct.pack(">H", 1000), CLOSE)
            self.assertEqual(ws.read_frame()[1:3], (0, CLOSE))


if __name__ == "__main__":
    main()
