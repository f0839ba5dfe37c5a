"""What clients send reaches the backend, and its answers reach them."""

import json
import threading
import unittest

import backend
from bridge_backend import SECRET, Backend
from certificates import certificate
from gateway import (BINARY, GUARD, TEXT, Closed, Gateway, WebSocket, Wire,
                     free_ports, request_head)
from post import post


def as_told(event):
    """The message says what to answer: status, type and body."""
    status, kind, text = json.loads(event.body)
    return status, kind, text.encode()


class Bridge(unittest.TestCase):
    answer = staticmethod(Backend.echo)

    def setUp(self):
        self.backend = Backend(self.answer)
        self.addCleanup(self.backend.close)
        self.open(self.backend.port)

    def open(self, port, more="", **options):
        self.gateway = Gateway(f"""
backend = "http://127.0.0.1:{port}"
bridge-secret = "{SECRET}"
bridge-header = {{ "User-Agent", "Cookie" }}
message-max = 16m
send = bridge
{more}
""", **options)
        self.addCleanup(self.gateway.close)
        self.gateway.start()

    def socket(self, channel="room", **options):
        ws = WebSocket(self.gateway.port, f"/stream/{channel}", **options)
        self.addCleanup(ws.close)
        self.assertEqual(ws.status, 101)
        return ws

    def raw(self):
        return self.socket(protocol="spillway.raw")

    def answer_to(self, ws):
        """The next answer to a command; notices are passed over."""
        while True:
            message = json.loads(ws.read()[1])
            if "op" in message:
                return message

    def post(self, body, headers=None, query=""):
        return self.gateway.request("POST", "/stream/room" + query, body,
                                    headers or {})


class Echo(Bridge):
    def test_a_websocket_has_the_reply_with_its_ref(self):
        ws = self.socket(headers=[("User-Agent", "test/1"),
                                  ("ce-id", "forged")])
        ws.command(op="send", channel="room", data={"a": [1, 2]}, ref=7)
        self.assertEqual(self.answer_to(ws),
                         {"op": "reply", "ref": 7, "data": {"a": [1, 2]}})
        event = self.backend.wait(1)[0]
        head = event.headers
        self.assertEqual(event.path, "/spillway-events")
        self.assertTrue(event.signed_by())
        self.assertEqual(event.type, "spillway.message")
        self.assertEqual(head["ce-specversion"], "1.0")
        self.assertEqual(head["ce-source"], "/stream/room")
        self.assertEqual(head["ce-channel"], "room")
        self.assertEqual(head["ce-transport"], "ws")
        self.assertEqual(head["ce-id"], head["webhook-id"])
        self.assertEqual(head["Content-Type"], "application/json")
        self.assertEqual(head["User-Agent"], "test/1")
        self.assertEqual(len(head.get_all("Host")), 1)
        self.assertEqual(len(head.get_all("ce-id")), 1)
        self.assertNotEqual(head["ce-id"], "forged")
        self.assertRegex(head["ce-time"],
                         r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")

    def test_a_post_has_the_reply_as_its_response(self):
        for body, kind in ((b'{"x":1}', "application/json"),
                           (b"a\0\xff", "image/png"), (b"", "text/plain")):
            with self.subTest(kind):
                status, headers, reply = self.post(body,
                                                   {"Content-Type": kind,
                                                    "Cookie": "s=1"})
                self.assertEqual((status, reply), (200, body))
                self.assertEqual(headers["Content-Type"], kind)
                event = self.backend.events[-1]
                self.assertEqual(event.body, body)
                self.assertEqual(event.headers["Cookie"], "s=1")
                self.assertEqual(event.headers["ce-transport"], "post")
                self.assertTrue(event.signed_by())

    def test_a_raw_websocket_is_an_echo_server(self):
        ws = self.raw()
        for size in (0, 1, 125, 126, 65535, 65536, 1 << 20, 16 << 20):
            for opcode in (TEXT, BINARY):
                with self.subTest(size=size, opcode=opcode):
                    payload = (b"text " if opcode == TEXT else
                               bytes(range(256))) * (size // 5 + 1)
                    ws.say(payload[:size], opcode)
                    self.assertEqual(ws.read(), (opcode, payload[:size]))

    def test_messages_are_answered_in_their_order(self):
        ws = self.raw()
        count = 2000
        ws.send(b"".join(ws.frame(TEXT, str(n)) for n in range(count)))
        for n in range(count):
            self.assertEqual(ws.read(), (TEXT, str(n).encode()))
        self.assertEqual([e.body for e in self.backend.events],
                         [str(n).encode() for n in range(count)])
        ids = {e.headers["webhook-id"] for e in self.backend.events}
        self.assertEqual(len(ids), count)

    def test_what_was_sent_before_the_end_is_told(self):
        ws = self.raw()
        ws.send(b"".join(ws.frame(TEXT, str(n)) for n in range(20)))
        ws.close()
        self.assertEqual([e.body for e in self.backend.wait(20)],
                         [str(n).encode() for n in range(20)])

    def test_a_retry_has_the_same_id(self):
        for _ in range(2):
            self.post(b"1", query="?session=s&seq=5")
        self.post(b"1", query="?session=s&seq=6")
        self.post(b"1", query="?session=t&seq=5")
        a, b, c, d = (e.headers["webhook-id"] for e in self.backend.wait(4))
        self.assertEqual(a, b)
        self.assertEqual(len({a, c, d}), 3)

    def test_a_message_above_message_max_is_refused(self):
        self.gateway.configure(f'backend = "http://127.0.0.1:'
                               f'{self.backend.port}"\n'
                               f'bridge-secret = "{SECRET}"\n'
                               'send = bridge\nmessage-max = 1k\n')
        self.gateway.restart()
        self.assertEqual(self.post(b"x" * 1025)[0], 413)
        self.assertEqual(self.backend.events, [])


class Refusals(Bridge):
    answer = staticmethod(as_told)

    def test_the_sender_is_told_what_the_backend_says(self):
        problem = "application/problem+json"
        table = [
            ([403, problem, '{"detail":"Not you."}'], 403, "forbidden",
             "Not you."),
            ([401, "text/plain", "Who?"], 401, "unauthorized", "Who?"),
            ([422, "application/json", '{"message":"No."}'], 422, "invalid",
             "No."),
            ([404, "text/html", "<h1>x"], 404, "not-found",
             "The backend refused it (404)."),
            ([426, None, ""], 400, "invalid", "The backend refused it (426)."),
            ([500, "text/plain", "a stack trace"], 502, "backend",
             "The backend answered 500."),
            ([503, None, ""], 503, "overloaded", "The backend answered 503."),
            ([302, None, ""], 502, "backend", "The backend answered 302."),
            ([200, "application/spillway+json", "[]"], 502, "backend",
             "The backend's answer is not the JSON that it says."),
        ]
        ws = self.socket()
        for order, status, code, detail in table:
            with self.subTest(order=order):
                got, _, body = self.post(json.dumps(order))
                problem = json.loads(body)
                self.assertEqual((got, problem["detail"]), (status, detail))
                ws.command(op="send", channel="room", data=order, ref="r")
                self.assertEqual(self.answer_to(ws), {
                    "op": "error", "ref": "r", "code": code,
                    "message": detail})

    def test_no_content_is_no_reply(self):
        ws = self.socket()
        for status in (202, 204):
            self.assertEqual(self.post(json.dumps([status, None, ""]))[0], 204)
            ws.command(op="send", channel="room", data=[status, None, ""])
            self.assertEqual(self.answer_to(ws), {"op": "ok"})

    def test_text_and_bytes_come_back_as_what_they_are(self):
        ws = self.socket()
        ws.command(op="send", channel="room", data=[200, "text/plain", 'a"b'])
        self.assertEqual(self.answer_to(ws), {"op": "reply", "data": 'a"b'})
        ws.command(op="send", channel="room", data=[200, "image/png", "abc"])
        self.assertEqual(self.answer_to(ws), {
            "op": "reply", "contentType": "image/png", "encoding": "base64",
            "data": "YWJj"})
        # The type is no UTF-8, as what a WebSocket carries has to be.
        ws.command(op="send", channel="room",
                   data=[200, "image/png; title=\xe9", "abc"])
        self.assertEqual(self.answer_to(ws), {
            "op": "reply", "contentType": "image/png", "encoding": "base64",
            "data": "YWJj"})

    def test_a_raw_websocket_is_closed_with_the_reason(self):
        for status, code in ((403, 1008), (401, 4401), (500, 1011)):
            ws = self.raw()
            ws.say(json.dumps([status, None, ""]))
            with self.assertRaises(Closed) as end:
                ws.read()
            self.assertEqual(end.exception.code, code)

    def test_an_answer_publishes_and_replies(self):
        listener = self.socket("room,other")
        sender = self.socket("nowhere")
        sender.command(op="send", channel="room", ref=1, data=[
            200, "application/spillway+json", json.dumps({
                "reply": {"ok": True},
                "publish": [{"data": "here"},
                            {"channel": "other", "type": "t", "data": 2}]})])
        self.assertEqual(self.answer_to(sender),
                         {"op": "reply", "ref": 1, "data": {"ok": True}})
        seen = []
        while len(seen) < 2:
            message = json.loads(listener.read()[1])
            if "id" in message:
                seen.append((message["channel"], message["type"],
                             message["data"]))
        self.assertEqual(seen, [("room", "message", "here"),
                                ("other", "t", 2)])

    def test_what_cannot_be_published_is_told_and_nothing_is(self):
        for events, why in (
                ([{"data": 1}, {"channel": "a b", "data": 1}], "channel"),
                ([{"data": 1}] * 10001, "batch-events-max")):
            status, _, body = self.post(json.dumps([
                200, "application/spillway+json",
                json.dumps({"publish": events})]))
            self.assertEqual(status, 502)
            self.assertRegex(json.loads(body)["detail"],
                             "cannot be published: .*" + why)
        self.assertEqual(self.gateway.poll("room", after="start")["events"],
                         [])


    def test_a_request_of_a_client_for_its_path_has_no_signature(self):
        self.gateway.request(
            "POST", "/spillway-events", b'[204, null, ""]',
            {"Content-Type": "text/plain", "ce-type": "spillway.message",
             "webhook-id": "evt_1", "webhook-timestamp": "1",
             "webhook-signature": "v1,forged"})
        event = self.backend.wait(1)[0]
        self.assertFalse(event.signed_by())

    def test_the_bridge_needs_a_secret(self):
        self.gateway.configure(f'backend = "http://127.0.0.1:'
                               f'{self.backend.port}"\nsend = bridge\n')
        self.gateway.stop()
        self.gateway.start(expect_failure=True)
        self.gateway.wait_log("write bridge-secret")
        self.assertNotEqual(self.gateway.wait_end(), 0)


class NobodyThere(Bridge):
    def setUp(self):
        self.open(free_ports(1)[0])

    def test_the_sender_is_told_at_once(self):
        status, _, body = self.post(b"1")
        self.assertEqual(status, 502, body)
        ws = self.socket()
        ws.command(op="send", channel="room", data=1)
        self.assertEqual(self.answer_to(ws)["op"], "error")


class Slow(Bridge):
    def setUp(self):
        self.go_on = threading.Event()
        self.addCleanup(self.go_on.set)

        def answer(event):
            if event.body == b'"wait"':
                self.go_on.wait()
            return Backend.echo(event)

        self.backend = Backend(answer)
        self.addCleanup(self.backend.close)
        self.addCleanup(self.go_on.set)
        self.open(self.backend.port, 'bridge-timeout = "200ms"\n')

    def reopen(self, more):
        self.gateway.close()
        self.open(self.backend.port, more, workers=1)

    def test_a_slow_backend_is_told_and_streams_go_on(self):
        ws = self.socket()
        ws.command(op="send", channel="room", data="wait", ref=1)
        ws.command(op="send", channel="room", data="next", ref=2)
        self.backend.wait(1)
        self.gateway.publish("room", "live")
        got = []
        while len(got) < 3:
            message = json.loads(ws.read()[1])
            if "op" in message or "id" in message:
                got.append(message)
        self.assertEqual(got[0]["data"], "live")
        self.assertEqual((got[1]["ref"], got[1]["code"]), (1, "timeout"))
        self.assertEqual((got[2]["ref"], got[2]["data"]), (2, "next"))

    def test_the_wait_for_its_turn_is_part_of_its_time(self):
        self.reopen('bridge-timeout = "200ms"\nbackend-requests-max = 1\n')
        with Wire(self.gateway.port) as page:
            page.send(request_head("/page", [("Content-Length", "6")], "POST")
                      + b'"wait"')
            self.backend.wait(1)
            self.assertEqual(self.post(b'"2"')[0], 504)
            self.go_on.set()
            self.assertEqual(page.response()[0], 200)

    def test_an_answer_that_never_ends_runs_out_of_time_as_well(self):
        left = threading.Event()

        def trickle(_, connection):
            head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
            try:
                connection.s.sendall(head)
                while not left.wait(0.01):
                    connection.s.sendall(b"x")
            finally:
                left.set()
        place = backend.Backend(trickle)
        self.addCleanup(place.close)
        self.addCleanup(left.set)
        self.gateway.close()
        self.open(place.listener.getsockname()[1],
                  'bridge-timeout = "200ms"\n')
        self.assertEqual(self.post(b'"1"')[0], 504)
        self.assertTrue(left.wait(GUARD))

    def test_the_timeouts_of_pages_are_not_for_events(self):
        self.reopen('bridge-timeout = "5m"\nbackend-idle-timeout = "10ms"\n'
                    'backend-response-timeout = "10ms"\n')
        ws = self.socket()
        ws.command(op="send", channel="room", data="wait", ref=1)
        self.backend.wait(1)
        # A page that takes as long has been given up meanwhile.
        self.assertEqual(self.gateway.request(
            "POST", "/page", b'"wait"')[0], 504)
        self.go_on.set()
        self.assertEqual(self.answer_to(ws)["data"], "wait")

    def test_the_end_of_the_gateway_does_not_wait_for_it(self):
        self.gateway.configure(f'backend = "http://127.0.0.1:'
                               f'{self.backend.port}"\nsend = bridge\n'
                               f'bridge-secret = "{SECRET}"\n'
                               'close-timeout = "100ms"\n')
        self.gateway.restart()
        ws = self.socket()
        ws.command(op="send", channel="room", data="wait")
        ws.command(op="send", channel="room", data="more")
        self.backend.wait(1)
        self.assertEqual(self.gateway.stop(), 0)


class Gone(unittest.TestCase):
    """The client goes while the backend still thinks."""

    def setUp(self):
        self.may_answer = threading.Event()
        self.addCleanup(self.may_answer.set)
        self.backend = Backend(self.late)
        self.addCleanup(self.backend.close)
        self.gateway = Gateway(f"""
backend = "http://127.0.0.1:{self.backend.port}"
bridge-secret = "{SECRET}"
send = bridge
hsts-age = 1d
""", certificates=[certificate()])
        self.addCleanup(self.gateway.close)
        self.gateway.start()

    def late(self, event):
        self.may_answer.wait(GUARD)
        return 200, "text/plain", event.body

    def test_its_answer_finds_nobody(self):
        g = self.gateway
        for n, port in enumerate((g.secure_port, g.plain_port)):
            w = Wire(port)
            w.send(post("/stream/room", "x"))
            self.backend.wait(n + 1)
            w.reset()
        # The relay of the first has noticed; nobody looks at the second
        # before there is something to write.
        g.until_metric(2, "connections")
        self.may_answer.set()
        g.until_metric(2, "bridge_events_total",
                       '{type="spillway.message",outcome="reply"}')
        self.assertEqual(g.get("/healthz")[0], 200)


if __name__ == "__main__":
    unittest.main()
