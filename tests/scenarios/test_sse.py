"""Server-Sent Events to the byte, as WHATWG HTML reads them."""

import json
import re
import signal
from urllib.parse import quote

from gateway import (Closed, EventStream, Scenario, Wire, main, request_head)

ACCEPT = [("Accept", "text/event-stream")]


class Sse(Scenario):
    conf = 'retry = "1234ms"'

    def open(self, path="/stream/a", headers=()):
        s = EventStream(self.gateway.port, path, headers)
        self.addCleanup(s.close)
        return s

    def blocks(self, path, count, headers=()):
        """The first events behind hello; notices are left out."""
        s = self.open(path, headers)
        found = []
        while len(found) < count:
            name, data = s.block()
            if not name.startswith("spillway."):
                found.append((name, data))
        return found

    def test_the_head_says_what_proxies_need_and_the_body_begins_with_it(self):
        s = self.open()
        self.assertEqual(s.status, 200)
        self.assertEqual(s.headers["content-type"], "text/event-stream")
        self.assertEqual(s.headers["cache-control"], "no-store, no-transform")
        self.assertEqual(s.headers["x-accel-buffering"], "no")
        self.assertEqual(s.headers["connection"], "close")
        for name in "content-length", "transfer-encoding", "content-encoding":
            self.assertNotIn(name, s.headers)
        # Came with the head. The preamble is no event: no empty line in it.
        self.assertTrue(s.data.startswith(
            b":\nretry: 1234\nevent: spillway.hello\ndata: {"), s.data)
        # A buffer that holds one event back still shows one.
        self.assertIn(b"\n\nevent: spillway.caughtup\ndata: {", s.data)

    def test_an_event_is_these_bytes(self):
        g = self.gateway
        plain = g.publish("a", '{"n": 1}')["id"]
        note = g.publish("a", "text", Event_Type="note")["id"]
        s = self.open("/stream/a?after=start")
        s.until(b"\n\n")
        self.assertEqual(
            s.until(b"1}\n\n"), f'id: {plain}\ndata: {{"n": 1}}\n\n'.encode())
        self.assertEqual(
            s.until(b"text\n\n"),
            f"id: {note}\nevent: note\ndata: text\n\n".encode())
        self.assertTrue(s.until(b"\n\n").startswith(
            b"event: spillway.caughtup\ndata: "))

    def test_lines_may_end_in_any_way(self):
        texts = ["", "one", "a\nb", "a\rb", "a\r\nb", "a\n\rb", "\n", "\r",
                 "\r\n", "a\n", "a\r\n\r\n", "\n\n\n", "\r\r\n\n",
                 " leading", "  two", "\tb", ": comment", "data: data",
                 "id: 7", "a\n b\n  c", "\ufeffbom", "nul\0nul",
                 "\u2028\u2029\x85", "x" * 70000 + "\n" + "y" * 70000]
        ids = [self.gateway.publish("a", t.encode(),
                                    Content_Type="text/plain")["id"]
               for t in texts]
        got = self.blocks("/stream/a?after=start", len(texts))
        for text, (name, data) in zip(texts, got):
            lines = re.split("\r\n|\r|\n", text)
            self.assertEqual((name, data), ("message", "\n".join(lines)))
        # In the envelope nothing is changed.
        got = self.blocks("/stream/a?after=start&format=json", len(texts))
        for text, event, (name, data) in zip(texts, ids, got):
            envelope = json.loads(data)
            self.assertEqual((envelope["data"], envelope["id"]),
                             (text, event))

    def test_types_become_names_of_events(self):
        types = ["note", "message", "with blank", "κόσμος", "a:b", "x" * 128]
        self.gateway.batch([{"channel": "a", "data": n, "type": t}
                            for n, t in enumerate(types)])
        for extra in "", "&format=json":
            got = self.blocks("/stream/a?after=start" + extra, len(types))
            self.assertEqual([name for name, _ in got], types)

    def test_bytes_travel_in_base64(self):
        self.gateway.publish("a", b"\0\xff\n", Content_Type="image/png")
        self.assertEqual(self.blocks("/stream/a?after=start", 1),
                         [("message", "AP8K")])
        ((_, data),) = self.blocks("/stream/a?after=start&format=json", 1)
        envelope = json.loads(data)
        self.assertEqual((envelope["data"], envelope["encoding"]),
                         ("AP8K", "base64"))

    def test_notices_never_move_the_cursor_of_the_client(self):
        ids = self.gateway.batch([{"channel": "a", "data": n}
                                  for n in range(2)])
        s = self.open("/stream/a?after=zzzzz-1")
        seen = []
        for _ in range(5):
            name, _ = s.block()
            seen.append((name, s.last_id))
        self.assertEqual(seen, [
            ("spillway.hello", None), ("spillway.gap", None),
            ("message", ids[0]), ("message", ids[1]),
            ("spillway.caughtup", ids[1])])

    def test_padding_is_there_when_it_is_asked_for(self):
        for params, padded in (("?padding=1", True), ("?padding=yes", True),
                               ("?padding", True), ("?padding=0", False),
                               ("", False)):
            s = self.open("/stream/a" + params)
            preamble = s.until(b"retry: 1234\n")
            self.assertEqual(
                preamble, b":" + b" " * (2048 if padded else 0) +
                b"\nretry: 1234\n", params)

    def test_the_header_wins_over_the_parameter(self):
        g = self.gateway
        ids = g.batch([{"channel": "a", "data": n} for n in range(9)])
        for header, path, expected in (
                (ids[6], f"/stream/a?after={ids[1]}", ids[7:]),
                (ids[6], "/stream/a?last=5", ids[7:]),
                ("start", f"/stream/a?after={ids[1]}", ids),
                ("", f"/stream/a?after={ids[6]}", ids[7:]),
                (ids[6], "/stream/a", ids[7:])):
            for name in "Last-Event-ID", "last-event-id":
                s = self.open(path, [(name, header)])
                self.assertEqual(s.block()[0], "spillway.hello")
                got = []
                while s.block()[0] != "spillway.caughtup":
                    got.append(s.last_id)
                self.assertEqual(got, expected, (header, path))

    def test_an_id_of_another_server_does_not_end_an_event_source(self):
        """It gives what it had last from this URL, and 400 would be final."""
        g = self.gateway
        ids = g.batch([{"channel": "a", "data": n} for n in range(3)])
        # Of peers, and of whoever made them up.
        for foreign in ("1763634245:0", "urn:uuid:5e94c686-2c0b-4f9b-958c",
                        "what?", "42", "k3x9-01"):
            s = self.open(f"/stream/a?after={ids[0]}",
                          [("Last-Event-ID", foreign)])
            self.assertEqual(s.status, 200)
            self.assertEqual(s.block()[0], "spillway.hello")
            name, data = s.block()
            self.assertEqual((name, json.loads(data)), (
                "spillway.gap", {"reason": "epoch", "after": None,
                                 "first": ids[0]}))
            got = []
            while s.block()[0] != "spillway.caughtup":
                got.append(s.last_id)
            self.assertEqual(got, ids, foreign)
            # Who writes the request himself is told what is wrong with it.
            for path, headers in (
                    ("/stream/a", {"Last-Event-ID": foreign}),
                    ("/stream/a?wait=1", {"Last-Event-ID": foreign}),
                    (f"/stream/a?after={quote(foreign)}", dict(ACCEPT))):
                status, why = g.get(path, headers)
                self.assertEqual(status, 400, (path, headers))
                self.assertIn("A cursor looks like", why["detail"])

    def test_it_is_chosen_by_accept_or_by_insisting(self):
        for accept, params, status, kind in (
                ("text/event-stream", "", 200, "text/event-stream"),
                ("TEXT/Event-Stream;q=0.5, */*", "", 200,
                 "text/event-stream"),
                ("application/json, text/event-stream", "", 200,
                 "text/event-stream"),
                ("*/*", "", 200, "application/json"),
                (None, "", 200, "application/json"),
                ("*/*", "?transport=sse", 200, "text/event-stream"),
                ("text/*", "?transport=sse", 200, "text/event-stream"),
                (None, "?transport=sse", 200, "text/event-stream"),
                ("application/json", "?transport=sse", 406,
                 "application/problem+json"),
                ("text/event-stream", "?transport=short", 406,
                 "application/problem+json")):
            with Wire(self.gateway.port) as w:
                w.send(request_head("/stream/a" + params,
                                    [("Accept", accept)] if accept else []))
                got, headers, _ = w.response()
                self.assertEqual((got, headers["content-type"]),
                                 (status, kind), (accept, params))

    def test_a_name_that_is_none_is_refused_as_a_problem(self):
        for name in "a%20b", "a,,b", "a,a", "a" * 129:
            s = self.open(f"/stream/{name}")
            self.assertEqual((s.status, s.headers["content-type"]),
                             (400, "application/problem+json"))
            self.assertEqual(json.loads(s.body)["status"], 400)

    def test_other_methods_are_told_which_there_are(self):
        for method in "OPTIONS", "PUT", "DELETE", "PATCH":
            status, headers, body = self.gateway.request(
                method, "/stream/a", headers=dict(ACCEPT))
            asks = method == "OPTIONS"
            self.assertEqual((status, headers["Allow"]),
                             (204 if asks else 405,
                              "GET, HEAD, POST, OPTIONS"))
            self.assertEqual(body == b"", asks)

    def test_several_channels_share_a_stream(self):
        g = self.gateway
        names = ["a", "b", "c~1"]
        ids = g.batch([{"channel": names[n % 3], "data": n}
                       for n in range(30)])
        s = self.open(f"/stream/{','.join(names)}?format=json&after=" +
                      ids[8])
        hello = json.loads(s.block()[1])
        self.assertEqual(sorted(hello["channels"]), names)
        for n in range(9, 30):
            envelope = json.loads(s.block()[1])
            self.assertEqual((envelope["channel"], envelope["data"]),
                             (names[n % 3], n))
            self.assertEqual(s.last_id, ids[n])

    def test_http_1_0_gets_the_same_stream(self):
        for headers in ("", "Connection: keep-alive\r\n", "Host: x\r\n"):
            with Wire(self.gateway.port) as w:
                w.send(("GET /stream/a HTTP/1.0\r\n"
                        f"Accept: text/event-stream\r\n{headers}\r\n")
                       .encode())
                head = w.until(b"\r\n\r\n")
                self.assertIn(b" 200 ", head)
                self.assertIn(b"\r\nConnection: close\r\n", head)
                self.assertNotIn(b"Transfer-Encoding", head)
                w.until(b"spillway.caughtup")
                event = self.gateway.publish("a", "live")["id"]
                w.until(b"\n\nid: " + event.encode() + b"\n")

    def test_a_deleted_channel_ends_the_stream(self):
        g = self.gateway
        s = self.open("/stream/a,b")
        for _ in range(2):
            s.block()
        g.publish("a", "last")
        self.assertEqual(s.block(), ("message", "last"))
        g.api("DELETE", "/v1/channels/a")
        with self.assertRaises(Closed):
            s.block()
        g.wait_log("transport=sse why=deleted")

    def test_a_client_that_leaves_is_noticed_at_once(self):
        g = self.gateway
        streams = [self.open() for _ in range(30)]
        gauge = '{transport="sse"}'
        g.until(lambda: g.metric("subscribers", gauge) == 30)
        for i, s in enumerate(streams):
            if i % 2:
                s.close()
            else:
                s.reset()
        # No event and no heartbeat is needed for that.
        g.until(lambda: g.metric("subscribers", gauge) == 0, "their ends")
        g.until_metric(30, "subscribers_closed_total", '{why="peer"}')

    def test_a_stream_is_told_to_come_back_later_when_the_gateway_ends(self):
        g = self.gateway
        s = self.open()
        for _ in range(2):
            s.block()
        g.signal(signal.SIGTERM)
        rest = s.rest()
        s.close()
        retry = re.fullmatch(rb"retry: (\d+)\n\n", rest)
        self.assertTrue(retry, rest)
        # Its delay, and up to drain-time more.
        self.assertTrue(1234 <= int(retry[1]) <= 1534)
        self.assertEqual(g.wait_end(), 0)
        g.start()


class SseThroughTheLibrary(Sse):
    conf = Sse.conf + "\nfirst-look = no"


class Silence(Scenario):
    conf = 'heartbeat = "1s"'

    def test_a_heartbeat_is_an_event_that_scripts_can_see(self):
        g = self.gateway
        event = g.publish("a", 1)["id"]
        with EventStream(g.port, "/stream/a?after=start") as s:
            for _ in range(3):
                s.block()
            beats = [s.block() for _ in range(2)]
            self.assertEqual([name for name, _ in beats],
                             ["spillway.heartbeat"] * 2)
            times = [json.loads(data)["time"] for _, data in beats]
            self.assertGreater(times[1], times[0])
            self.assertEqual(s.last_id, event)


if __name__ == "__main__":
    main()
