"""With an echo backend, a raw WebSocket is an RFC 6455 echo server."""

import os
import threading
import unittest

from bridge_backend import SECRET, Backend
from gateway import BINARY, PING, TEXT, Gateway, WebSocket

CONNECTIONS = 500


class Echoes(unittest.TestCase):
    queue = "512m"
    workers = 2

    def setUp(self):
        self.says = Backend.echo
        self.backend = Backend(lambda event: self.says(event))
        self.addCleanup(self.backend.close)
        self.gateway = Gateway(f"""
backend = "http://127.0.0.1:{self.backend.port}"
bridge-secret = "{SECRET}"
bridge-timeout = "5m"
bridge-queue-bytes = {self.queue}
message-max = 16m
send = bridge
""", workers=self.workers)
        self.addCleanup(self.gateway.close)
        self.gateway.start()

    def socket(self):
        ws = WebSocket(self.gateway.port, "/stream/echo",
                       protocol="spillway.raw")
        self.addCleanup(ws.close)
        self.assertEqual(ws.status, 101)
        return ws

    @staticmethod
    def payload(opcode, size):
        if opcode == BINARY:
            return os.urandom(size)
        text = ("äöü€😀 and plain " * (size // 20 + 1)).encode()[:size]
        text = text.decode(errors="ignore").encode()
        return text + b"." * (size - len(text))


class Echo(Echoes):
    def test_every_size_comes_back_byte_for_byte(self):
        ws = self.socket()
        for size in (0, 1, 125, 126, 127, 4095, 65535, 65536, 65537,
                     (1 << 20) - 1, 16 << 20):
            for opcode in (TEXT, BINARY):
                with self.subTest(size=size, opcode=opcode):
                    payload = self.payload(opcode, size)
                    ws.say(payload, opcode)
                    self.assertTrue(ws.read() == (opcode, payload))

    def test_fragments_come_back_as_one_message(self):
        ws = self.socket()
        for opcode in (TEXT, BINARY):
            payload = self.payload(opcode, 100000)
            ws.send(ws.frame(opcode, payload[:1], fin=False) +
                    ws.frame(0, payload[1:70001], fin=False) +
                    ws.frame(PING, b"in between") +
                    ws.frame(0, b"", fin=False) +
                    ws.frame(0, payload[70001:]))
            self.assertTrue(ws.read() == (opcode, payload))
        self.assertEqual(ws.pongs, 2)

    def test_many_connections_at_once_have_each_their_own_in_order(self):
        sent = []
        for n in range(CONNECTIONS):
            ws = self.socket()
            name = f"{n}: ".encode()
            messages = [(TEXT, name + self.payload(TEXT, n)),
                        (BINARY, name + self.payload(BINARY, 125 + n)),
                        (TEXT, b""),
                        (BINARY, name + self.payload(BINARY, 20000))]
            ws.send(b"".join(ws.frame(*message) for message in messages))
            sent.append((ws, messages))
        for n, (ws, messages) in enumerate(sent):
            for message in messages:
                self.assertTrue(ws.read() == message, n)
        self.gateway.until_metric(4 * CONNECTIONS,
                                  "bridge_events_total",
                                  '{type="spillway.message",outcome="reply"}')


class Share(Echoes):
    """Of bridge-queue-bytes, as one of many workers has it."""

    queue = "1m"
    workers = 1

    def post(self, body):
        return self.gateway.request(
            "POST", "/stream/echo", body, {"Content-Type": "text/plain"})

    def test_a_message_above_it_goes_alone(self):
        large, go_on = b"x" * (2 << 20), threading.Event()
        self.addCleanup(go_on.set)
        status, _, answer = self.post(large)
        self.assertTrue((status, answer) == (200, large), status)

        def wait(event):
            go_on.wait()
            return Backend.echo(event)

        self.says = wait
        ws = self.socket()
        ws.say("first")
        self.backend.wait(2)
        self.assertEqual(self.post(large)[0], 503)
        go_on.set()
        self.assertEqual(ws.read(), (TEXT, b"first"))
        self.assertEqual(self.post(large)[0], 200)


if __name__ == "__main__":
    unittest.main()
