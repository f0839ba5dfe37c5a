"""RFC 6455's frames on the real daemon, as an echo server that carries bytes.

Every script of frames is sent in one piece and byte by byte; the answers have
to be the same. A script ends with something that ends the connection, so that
all the answers are there when the stream ends.
"""

import ssl
import struct

from gateway import (BINARY, CLOSE, PING, PONG, TEXT, Closed, EventStream,
                     Scenario, WebSocket, main)

CONTINUATION = 0
RESERVED = (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
PATH = "/stream/echo?format=raw"
frame = WebSocket.frame


def close_frame(code, reason=b""):
    return frame(CLOSE, struct.pack(">H", code) + reason)


def closed(code):
    return (CLOSE, struct.pack(">H", code))


def head(opcode, length, extra=b""):
    """A frame's head that says what it likes, with a mask of zeros."""
    return bytes([0x80 | opcode, 0x80 | length]) + extra + bytes(4)


BYE = close_frame(1000)
# Valid and, cut anywhere, still one text: 1 to 4 bytes a character.
WORLD = "aé€𐍈\u0000\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"

# Name, what is sent, what comes back.
ECHOED = (
    ("a text", frame(TEXT, "hello") + BYE, [(TEXT, b"hello"), closed(1000)]),
    ("bytes", frame(BINARY, b"\0\xff\x80") + BYE,
     [(BINARY, b"\0\xff\x80"), closed(1000)]),
    ("nothing", frame(TEXT) + frame(BINARY) + BYE,
     [(TEXT, b""), (BINARY, b""), closed(1000)]),
    ("a mask of zeros", frame(TEXT, "hello", mask=bytes(4)) + BYE,
     [(TEXT, b"hello"), closed(1000)]),
    ("many messages", frame(TEXT, "x") * 1000 + BYE,
     [(TEXT, b"x")] * 1000 + [closed(1000)]),
    ("fragments", frame(TEXT, "he", fin=False) +
     frame(CONTINUATION, "l", fin=False) + frame(CONTINUATION, "lo") + BYE,
     [(TEXT, b"hello"), closed(1000)]),
    ("empty fragments", frame(BINARY, fin=False) +
     frame(CONTINUATION, fin=False) + frame(CONTINUATION, b"x", fin=False) +
     frame(CONTINUATION) + BYE, [(BINARY, b"x"), closed(1000)]),
    ("nothing, in fragments",
     frame(TEXT, fin=False) + frame(CONTINUATION) + BYE,
     [(TEXT, b""), closed(1000)]),
    ("characters cut in two",
     b"".join(frame(CONTINUATION if i else TEXT, bytes([b]), fin=False)
              for i, b in enumerate(WORLD.encode())) +
     frame(CONTINUATION) + BYE, [(TEXT, WORLD.encode()), closed(1000)]),
    ("pings between fragments", frame(TEXT, "a", fin=False) +
     frame(PING, b"1") + frame(CONTINUATION, "b", fin=False) + frame(PING) +
     frame(PONG, b"unasked") + frame(CONTINUATION, "c") + BYE,
     [(PONG, b"1"), (PONG, b""), (TEXT, b"abc"), closed(1000)]),
    ("the largest ping", frame(PING, b"p" * 125) + BYE,
     [(PONG, b"p" * 125), closed(1000)]),
    ("a pong that nobody asked for", frame(PONG, b"x") + BYE,
     [closed(1000)]),
    ("a close without a code", frame(CLOSE), [(CLOSE, b"")]),
    ("a close within a message", frame(TEXT, "a", fin=False) + BYE,
     [closed(1000)]),
    ("a close with a reason", close_frame(1000, "adiós".encode()),
     [closed(1000)]),
    ("a close with the longest reason", close_frame(1001, b"r" * 123),
     [closed(1001)]),
    ("frames behind a close", BYE + frame(TEXT, "x") + frame(PING) +
     close_frame(1001), [closed(1000)]),
    ("rubbish behind a close", BYE + b"\xff" * 50, [closed(1000)]),
) + tuple((f"a message of {n} bytes", frame(opcode, b"x" * n) + BYE,
           [(opcode, b"x" * n), closed(1000)])
          for n, opcode in ((125, TEXT), (126, BINARY), (127, TEXT),
                            (65535, BINARY), (65536, TEXT), (65537, BINARY))
          ) + tuple((f"a close with {code}", close_frame(code),
                     [closed(code)])
                    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009,
                                 1010, 1011, 1012, 1013, 1014, 3000, 3999,
                                 4000, 4999))

# Name, what is sent, and the code that it is closed with.
BROKEN = (
    ("no mask", frame(TEXT, "x", mask=None), 1002),
    ("an empty frame without a mask", frame(TEXT, mask=None), 1002),
    ("a ping without a mask", frame(PING, mask=None), 1002),
    ("a close of one byte", frame(CLOSE, b"\x03"), 1002),
    ("a fragmented ping", frame(PING, fin=False), 1002),
    ("a fragmented close", frame(CLOSE, b"\x03\xe8", fin=False), 1002),
    ("a ping of 126 bytes", frame(PING, b"x" * 126), 1002),
    ("a close of 126 bytes", close_frame(1000, b"x" * 124), 1002),
    ("a continuation of nothing", frame(CONTINUATION, "x"), 1002),
    ("a continuation behind a whole message",
     frame(TEXT, "x") + frame(CONTINUATION, "y"), 1002),
    ("a new message within another",
     frame(TEXT, "x", fin=False) + frame(TEXT, "y"), 1002),
    ("a length of 16 bits that needs 7",
     head(TEXT, 126, struct.pack(">H", 125)), 1002),
    ("a length of 64 bits that needs 16",
     head(TEXT, 127, struct.pack(">Q", 65535)), 1002),
    ("a length of 64 bits with a sign",
     head(TEXT, 127, struct.pack(">Q", 1 << 63)), 1002),
    ("a length beyond the limit",
     head(BINARY, 127, struct.pack(">Q", (1 << 63) - 1)), 1009),
    ("a length one above the limit",
     head(BINARY, 127, struct.pack(">Q", 100001)), 1009),
    ("fragments above the limit together",
     frame(BINARY, b"x" * 60000, fin=False) +
     head(CONTINUATION, 126, struct.pack(">H", 40001)), 1009),
    ("a reason that is not UTF-8", close_frame(1000, b"\xff"), 1007),
    ("a reason cut in a character", close_frame(1000, b"\xe2\x82"), 1007),
) + tuple((f"the reserved bits {rsv:03b}", frame(TEXT, "x", rsv=rsv), 1002)
          for rsv in range(1, 8)) + tuple(
    (f"a ping with the reserved bits {rsv:03b}", frame(PING, rsv=rsv), 1002)
    for rsv in (1, 2, 4)) + tuple(
    (f"the opcode {opcode}", frame(opcode, b"x"), 1002)
    for opcode in RESERVED) + tuple(
    (f"the opcode {opcode} within a message",
     frame(TEXT, fin=False) + frame(opcode), 1002)
    for opcode in RESERVED) + tuple(
    (f"a close with {code}", close_frame(code), 1002)
    for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999,
                 5000, 65535))

# Text that is none (Unicode 15, table 3-7), and how much of it tells.
NOT_UTF8 = (
    b"\x80", b"\xbf", b"\xc0\x80", b"\xc1\xbf", b"\xc3(", b"\xe0\x80",
    b"\xe0\x9f", b"\xe2(", b"\xe2\x82(", b"\xed\xa0", b"\xed\xbf",
    b"\xf0\x80", b"\xf0\x8f", b"\xf0\x90(", b"\xf4\x90", b"\xf5", b"\xf8",
    b"\xfe", b"\xff", b"\xe2\x82\xe2", "κόσμε".encode() + b"\xed\xa0",
)
# Fine so far, and then the message ends.
CUT_SHORT = (b"\xc3", b"\xe2\x82", b"\xf0\x90\x8d", b"ok\xe2")


class Frames(Scenario):
    conf = 'channel "*" { send = echo }\nmessage-max = 100000'

    def answers(self, script, step, path=PATH):
        """All frames that come back until the stream ends."""
        with WebSocket(self.gateway.port, path) as ws:
            size = max(1, len(script) // 3000) if step else len(script)
            for i in range(0, len(script), size):
                ws.send(script[i:i + size])
            frames = []
            while ws.data or ws.more():
                fin, rsv, opcode, payload = ws.read_frame()
                self.assertEqual((fin, rsv), (True, 0))
                frames.append((opcode, payload))
            return frames

    def test_what_is_sound_is_echoed(self):
        for name, script, expected in ECHOED:
            for step in (False, True):
                with self.subTest(name, step=step):
                    self.assertEqual(self.answers(script, step), expected)

    def refused(self, name, script, code, **options):
        for step in (False, True):
            with self.subTest(name, step=step):
                frames = self.answers(script, step, **options)
                self.assertEqual(len(frames), 1 + script.startswith(
                    frame(TEXT, "x") + frame(CONTINUATION, "y")), frames)
                opcode, payload = frames[-1]
                self.assertEqual((opcode, payload[:2]), closed(code))
                self.assertTrue(payload[2:].decode())

    def test_what_is_broken_is_closed_with_its_code(self):
        for name, script, code in BROKEN:
            self.refused(name, script, code)
            # What follows is not read as anything.
            self.refused(name, script + frame(TEXT, "after") + BYE, code)

    def test_broken_frames_end_a_stream_with_commands_as_well(self):
        for name, script, code in BROKEN:
            with self.subTest(name):
                frames = self.answers(script, False, path="/stream/echo")
                opcode, payload = frames[-1]
                self.assertEqual((opcode, payload[:2]), closed(code))

    def test_text_that_is_not_utf_8_is_refused_at_its_first_wrong_byte(self):
        """The end of the message, or of the frame, is not waited for."""
        for text in NOT_UTF8:
            name = text.hex()
            self.refused(name + " whole", frame(TEXT, text + b"more"), 1007)
            self.refused(name + " in a fragment",
                         frame(TEXT, text, fin=False), 1007)
            self.refused(name + " in a frame that has not come",
                         head(TEXT, 126, struct.pack(">H", 1000)) + text,
                         1007)
            self.refused(
                name + " in fragments",
                frame(TEXT, b"ok", fin=False) + b"".join(
                    frame(CONTINUATION, bytes([b]), fin=False)
                    for b in text), 1007)
        for text in CUT_SHORT:
            self.refused(text.hex(), frame(TEXT, text), 1007)
            self.refused(text.hex() + " in fragments",
                         frame(TEXT, text, fin=False) + frame(CONTINUATION),
                         1007)

    def test_bytes_need_not_be_utf_8(self):
        for data in NOT_UTF8 + CUT_SHORT:
            self.assertEqual(
                self.answers(frame(BINARY, data, fin=False) +
                             frame(CONTINUATION) + BYE, False),
                [(BINARY, data), closed(1000)])

    def test_the_server_closes_first_after_the_handshake_of_closing(self):
        """RFC 6455 7.1.1: the side that ends the TCP connection."""
        ws = WebSocket(self.gateway.port, PATH)
        ws.send(close_frame(4321, b"done"))
        self.assertEqual(ws.read_frame()[2:], closed(4321))
        self.assertEqual(ws.rest(), b"")
        ws.close()

    def test_a_close_of_ours_is_answered_by_the_client(self):
        g = self.gateway
        g.publish("echo", 1)
        ws = WebSocket(g.port, PATH)
        g.api("DELETE", "/v1/channels/echo")
        with self.assertRaises(Closed) as end:
            ws.read()
        self.assertEqual(end.exception.code, 4410)
        ws.send(close_frame(4410))
        self.assertEqual(ws.rest(), b"")
        ws.close()
        g.until(lambda: g.metric("connections") <= 1, "its end")


class LargeFrames(Scenario):
    conf = 'channel "*" { send = echo }\nmessage-max = "16m"\ndeflate = no'

    def test_16_mib_are_echoed(self):
        blocks = bytes(range(256)) * (16 << 12)
        self.assertEqual(len(blocks), 16 << 20)
        with WebSocket(self.gateway.port, PATH) as ws:
            ws.say(blocks, BINARY)
            fin, _, opcode, payload = ws.read_frame()
            self.assertEqual((fin, opcode), (True, BINARY))
            self.assertTrue(payload == blocks)
            # In fragments, and as text.
            text = b"x" * (16 << 20)
            for i in range(16):
                ws.say(text[i << 20:i + 1 << 20],
                       CONTINUATION if i else TEXT, fin=i == 15)
            _, _, opcode, payload = ws.read_frame()
            self.assertEqual(opcode, TEXT)
            self.assertTrue(payload == text)

    def test_one_byte_more_is_refused(self):
        with WebSocket(self.gateway.port, PATH) as ws:
            ws.send(head(BINARY, 127, struct.pack(">Q", (16 << 20) + 1)))
            with self.assertRaises(Closed) as end:
                ws.read()
            self.assertEqual(end.exception.code, 1009)

    def test_65536_fragments_are_one_message(self):
        middle = frame(CONTINUATION, "x", fin=False)
        script = (frame(TEXT, "x", fin=False) + middle * 32767 +
                  frame(PING, b"half") + middle * 32767 +
                  frame(CONTINUATION, "x"))
        with WebSocket(self.gateway.port, PATH) as ws:
            ws.send(script)
            self.assertEqual(ws.read_frame()[2:], (PONG, b"half"))
            self.assertEqual(ws.read(), (TEXT, b"x" * 65536))

    def test_a_client_that_does_not_read_is_not_read_either(self):
        """Echoes pile up to a bound, and then its input waits."""
        g = self.gateway
        message = frame(BINARY, b"x" * 100000)
        with WebSocket(g.port, PATH, receive_buffer=4096) as ws:
            before = g.memory()
            ws.s.setblocking(False)
            sent = 0
            # Until its socket takes nothing, though the daemon has had its
            # turns: a stream that was opened since then is answered.
            idle = 0
            while idle < 20 and sent < 64 << 20:
                try:
                    sent += ws.s.send(message[sent % len(message):])
                    idle = 0
                except (BlockingIOError, ssl.SSLWantWriteError):
                    with EventStream(g.port, "/stream/a") as probe:
                        probe.block()
                    idle += 1
            self.assertLess(sent, 32 << 20)
            self.assertLess(g.memory() - before, 16 << 20)


if __name__ == "__main__":
    main()
