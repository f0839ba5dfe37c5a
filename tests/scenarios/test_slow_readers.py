"""Clients that are slow, or stop, or vanish: they cost themselves alone."""

import json
import os
import select
import signal
import socket
import threading

from gateway import (BINARY, CLOSE, PING, TEXT, Closed, EventStream, STREAMS,
                     Scenario, SseSubscriber, WebSocket, Wire, WsSubscriber,
                     main, request_head)

BLOCK = "x" * 50000


class SlowWs(WsSubscriber):
    """Offers little room, so that the daemon notices soon."""

    def open(self):
        self.ws = WebSocket(self.gateway.port, self.path(),
                            receive_buffer=4096)


class SlowSse(SseSubscriber):
    def open(self):
        self.stream = EventStream(self.gateway.port,
                                  self.path(format="json"),
                                  receive_buffer=4096)


SLOW = (SlowWs, SlowSse)


class Slow(Scenario):
    conf = """
window-bytes = "1m"
message-max = "1m"
history-events = 100000
stall-timeout = "10m"
heartbeat = "10m"
"""

    def subscribe(self, kinds, *args, **params):
        found = [kind(self.gateway, *args, **params) for kind in kinds]
        for s in found:
            self.addCleanup(s.close)
            s.notice("caughtup")
        return found

    def publish(self, count, channel="a"):
        return [self.gateway.publish(channel, BLOCK,
                                     Content_Type="text/plain")["id"]
                for _ in range(count)]

    def test_others_get_everything_and_the_slow_ones_catch_up_exactly(self):
        g = self.gateway
        slow = self.subscribe(SLOW * 4, "a")
        fast = self.subscribe(STREAMS * 5, "a")
        got = [[] for _ in fast]

        def read(s, ids):
            ids += [e["id"] for e in s.events(1200)]

        readers = [threading.Thread(target=read, args=pair)
                   for pair in zip(fast, got)]
        for r in readers:
            r.start()
        # 15 MB before it is measured: what lasts is in place by then.
        ids = self.publish(300)
        before = g.memory()
        ids += self.publish(900)
        for r in readers:
            r.join()
        self.assertEqual(got, [ids] * len(fast))
        # 45 MB more, and eight clients have read nothing of it.
        self.assertLess(g.memory() - before, 20 << 20)
        for s in slow:
            self.assertEqual([e["id"] for e in s.events(1200)], ids)
        live = self.publish(1)
        for s in slow:
            self.assertEqual([s.event()["id"]], live)

    def test_every_form_is_whole_after_it_was_held_up(self):
        """An event that was begun goes on where it stopped."""
        g = self.gateway
        sockets = [WebSocket(g.port, "/stream/a?format=raw",
                             extensions=extensions, receive_buffer=4096)
                   for extensions in (None, "permessage-deflate")]
        sse = EventStream(g.port, "/stream/a", receive_buffer=4096)
        sse.block()
        # As text it is compressed; as bytes it could not be.
        blocks = [os.urandom(200000).hex() for _ in range(40)]
        for block in blocks:
            g.publish("a", block, Content_Type="text/plain")
        for ws in sockets:
            for block in blocks:
                self.assertTrue(ws.read()[1].decode() == block)
            ws.close()
        for block in blocks:
            name, data = sse.block()
            while name.startswith("spillway."):
                name, data = sse.block()
            self.assertTrue(data == block)
        sse.close()

    def test_several_channels_stay_in_order_behind_a_slow_reader(self):
        slow = self.subscribe(SLOW, "a,b,c")
        ids = [self.publish(1, "abc"[n % 3])[0] for n in range(300)]
        for s in slow:
            self.assertEqual([e["id"] for e in s.events(300)], ids)

    def test_what_the_system_holds_of_a_slow_reader_is_bounded(self):
        """And a reload says otherwise for those who come then."""
        g = self.gateway

        def taken(channel):
            """Of six megabytes, while nobody reads."""
            (s,) = self.subscribe((SlowSse,), channel)
            ids = self.publish(120, channel)
            cursors = {a["name"]: a["cursor"] for c in
                       g.api("GET", "/v1/connections")[1]["connections"]
                       for a in c["channels"]}
            last = cursors[channel]
            self.assertEqual([e["id"] for e in s.events(120)], ids)
            return ids.index(last) + 1 if last in ids else 0

        self.assertLess(taken("a"), 10)
        g.configure(self.conf + 'notsent-lowat = "3m"\n')
        g.signal(signal.SIGHUP)
        g.wait_log("info configuration reloaded")
        self.assertGreater(taken("b"), 20)

    def test_the_newest_of_several_channels_stay_the_newest(self):
        """Also if not even the first of them fits into the socket."""
        g = self.gateway
        for n in range(10):
            g.publish("old", n)
        # 6 MB as JSON: each byte is escaped.
        ids = [g.publish("new", b"\x01" * size,
                         Content_Type="text/plain")["id"]
               for size in (1 << 20, 1)]
        for kind in SLOW:
            s = kind(g, "old,new", last=2)
            self.addCleanup(s.close)
            self.assertEqual([e["id"] for e in s.events(2)], ids)
            s.notice("caughtup")

    def test_commands_are_answered_behind_the_event_that_was_begun(self):
        (s,) = self.subscribe((SlowWs,), "a")
        ids = self.publish(200)
        s.ws.command(op="ping", ref="late")
        s.ws.command(op="subscribe", channel="b")
        ids += self.publish(200)
        got, answers = [], []
        while len(got) < len(ids) or len(answers) < 2:
            m = s.ws.message()
            (answers if "op" in m else got).append(m)
        self.assertEqual([m["id"] for m in got], ids)
        self.assertEqual(answers[0], {"op": "ok", "ref": "late"})

    def test_a_new_subscription_begins_where_it_says(self):
        """Also while an event of the one before it is on its way out."""
        g = self.gateway
        (s,) = self.subscribe((SlowWs,), "a")
        old = self.publish(2)
        self.assertEqual([e["id"] for e in s.events(2)], old)
        # 6 MB as JSON: each byte is escaped.
        large = g.publish("a", b"\x01" * (1 << 20),
                          Content_Type="text/plain")["id"]
        s.ws.more()
        s.ws.command(op="unsubscribe", channel="a")
        s.ws.command(op="subscribe", channel="a", after=old[0])
        self.assertEqual(s.ws.message()["id"], large)
        self.assertEqual([s.ws.message()["op"] for _ in range(2)],
                         ["ok", "ok"])
        self.assertEqual([e["id"] for e in s.events(2)], [old[1], large])
        s.notice("caughtup")

    def test_an_end_is_told_behind_the_event_that_was_begun(self):
        g = self.gateway

        def kick(ws):
            (c,) = g.api("GET", "/v1/connections")[1]["connections"]
            g.api("DELETE", "/v1/connections/" + c["id"])

        for code, end in (
                (1000, lambda ws: ws.say(b"\x03\xe8", CLOSE)),
                (1003, lambda ws: ws.say(b"", BINARY)),
                (1002, lambda ws: ws.say(b"", PING, fin=False)),
                (4403, kick),
                (4410, lambda ws: g.api("DELETE", "/v1/channels/b"))):
            (s,) = self.subscribe((SlowWs,), "a,b")
            # 6 MB as JSON: each byte is escaped.
            event = g.publish("a", b"\x01" * (1 << 20),
                              Content_Type="text/plain")["id"]
            s.ws.more()
            s.ws.command(op="ping", ref=code)
            end(s.ws)
            self.assertEqual(s.next()["id"], event)
            with self.assertRaises(Closed) as closed:
                self.assertEqual(s.next(), {"op": "ok", "ref": code})
                s.next()
            self.assertEqual(closed.exception.code, code)
            self.assertEqual(s.ws.rest(), b"")

    def test_a_large_answer_to_a_poll_waits_for_its_reader(self):
        g = self.gateway
        block = b"y" * (1 << 20)
        event = g.publish("a", block, Content_Type="text/plain")["id"]
        slow = [Wire(g.port, receive_buffer=4096) for _ in range(5)]
        for w in slow:
            w.send(request_head("/stream/a?after=start") * 8)
        self.assertEqual(g.get("/healthz")[0], 200)
        for w in slow:
            for _ in range(8):
                body = w.response()[2]
                self.assertEqual(body.count(event.encode()), 2)
                self.assertTrue(block in body)
            w.close()


class Stalled(Scenario):
    conf = """
stall-timeout = "1s"
window-bytes = "1m"
history-events = 100000
"""

    def test_who_reads_nothing_is_closed_and_resumes_without_loss(self):
        g = self.gateway
        for transport in self.each(SLOW):
            s = transport(g, "a")
            s.notice("caughtup")
            ids = [g.publish("a", BLOCK, Content_Type="text/plain")["id"]
                   for _ in range(300)]
            g.wait_log(f"closed .*transport={s.name} why=stalled")
            got = []
            with self.assertRaises(Closed):
                while True:
                    got.append(s.event()["id"])
            self.assertLess(len(got), 300)
            self.assertEqual(got, ids[:len(got)])
            s.close()
            again = transport(g, "a", s.cursor or "start")
            self.assertEqual([e["id"] for e in again.events(300 - len(got))],
                             ids[len(got):])
            again.close()
            g.api("DELETE", "/v1/channels/a")
        g.until_metric(2, "subscribers_closed_total", '{why="stalled"}')

    def test_who_only_has_nothing_to_read_is_not_stalled(self):
        g = self.gateway
        for transport in self.each(SLOW):
            idle = transport(g, "quiet")
            idle.notice("caughtup")
            other = transport(g, "a")
            other.notice("caughtup")
            for _ in range(300):
                g.publish("a", BLOCK, Content_Type="text/plain")
            # By then as much time has passed for the other one.
            g.wait_log(f"closed .*transport={other.name} why=stalled")
            event = g.publish("quiet", "still here")["id"]
            self.assertEqual(idle.event()["id"], event)
            idle.close()
            other.close()

    def test_nor_is_an_end_waited_for_that_nobody_reads(self):
        g = self.gateway
        # 6 MB as JSON: each byte is escaped.
        g.publish("a", b"\x01" * (1 << 20), Content_Type="text/plain")
        for count, leave in enumerate((lambda ws: None, WebSocket.reset), 1):
            s = SlowWs(g, "a", "start")
            self.addCleanup(s.close)
            s.notice("hello")
            s.ws.more()
            s.ws.say(b"\x03\xe8", CLOSE)
            g.wait_log("closed .*transport=ws why=client", count)
            leave(s.ws)
            g.until(lambda: g.metric("connections") == 1, "the end of it")

    def test_a_stalled_sender_of_echoes_is_closed_as_well(self):
        g = self.gateway
        self.gateway.configure(self.conf +
                               'channel "echo" { send = echo }')
        g.restart()
        with WebSocket(g.port, "/stream/echo?format=raw",
                       receive_buffer=4096) as ws:
            message = WebSocket.frame(BINARY, b"x" * 100000)
            sender = threading.Thread(target=self.send_on,
                                      args=(ws, message))
            sender.start()
            g.wait_log("closed .*transport=ws why=stalled")
            ws.s.shutdown(socket.SHUT_RDWR)
            sender.join()

    @staticmethod
    def send_on(ws, message):
        try:
            while True:
                ws.send(message)
        except OSError:
            pass


class Steady(Scenario):
    """Who takes its time, but goes on taking, gets all of a large answer."""

    conf = """
message-max = "32m"
idle-timeout = "1s"
close-timeout = "100ms"
stall-timeout = "8s"
heartbeat = "4s"
send = echo
"""

    def wait_out(self):
        """Until somebody who is idle was closed for that."""
        with Wire(self.gateway.port) as idle:
            idle.send(request_head("/stream/idle"))
            idle.response()
            self.assertEqual(idle.rest(), b"")

    def test_an_answer_is_written_to_its_end(self):
        block = "x" * (24 << 20)
        self.gateway.publish("a", block, Content_Type="text/plain")
        readers = []
        for headers in ([], [("Connection", "close")]):
            w = Wire(self.gateway.port, receive_buffer=65536)
            w.send(request_head("/stream/a?after=start", headers))
            readers.append(w)
        ws = WebSocket(self.gateway.port, "/stream/a",
                       protocol="spillway.raw", receive_buffer=65536)
        ws.say(block)
        sse = EventStream(self.gateway.port, "/stream/a?after=start",
                          receive_buffer=65536)
        everybody = readers + [ws, sse]
        for w in everybody:
            self.addCleanup(w.close)
        for part in range(1, 10):  # seconds, at least
            for w in everybody:
                while len(w.data) < len(block) * part // 9:
                    self.assertTrue(w.more(), (part, len(w.data)))
            self.wait_out()
        for w in readers:
            status, headers, body = w.response()
            self.assertEqual(status, 200)
            self.assertEqual(json.loads(body)["events"][0]["data"], block)
        self.assertEqual(ws.read(), (TEXT, block.encode()))
        self.assertIn(("message", block), (sse.block(), sse.block()))


class Deadlines(Scenario):
    conf = """
header-timeout = "300ms"
request-timeout = "1s"
idle-timeout = "1s"
close-timeout = "500ms"
channel "*" { send = publish }
"""

    def dribble(self, head, before=b""):
        """What is answered to a head that never comes to its end."""
        with Wire(self.gateway.port) as w:
            if before:
                w.send(before)
                w.response()
            w.send(head)
            # Another byte now and then does not buy time.
            while not select.select([w.s], [], [], 0.05)[0]:
                w.send(b"x")
            return w.rest()

    def test_a_head_has_to_be_complete_in_time(self):
        poll = request_head("/stream/a")
        other = request_head("/healthz")
        for before in b"", poll, other:
            answer = self.dribble(b"GET /stream/a HTTP/1.1\r\nHost: x\r\nA: ",
                                  before)
            self.assertIn(answer.split(b"\r\n")[0],
                          (b"HTTP/1.1 408 Request Timeout", b""))
            # These the first look leaves to the library at once.
            for head in (b"BREW / HTTP/1.1\r\nHost: x\r\nA: ",
                         b"GET http://x/ HTTP/1.1\r\nHost: x\r\nA: ",
                         b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
                self.assertEqual(self.dribble(head, before), b"", before)

    def test_a_connection_that_says_nothing_is_closed(self):
        g = self.gateway
        for before in b"", request_head("/stream/a"), request_head(
                "/healthz"):
            with Wire(g.port) as w:
                if before:
                    w.send(before)
                    self.assertEqual(w.response()[0], 200)
                self.assertEqual(w.rest(), b"")

    def test_a_body_has_to_be_complete_in_time(self):
        g = self.gateway
        head = [("Content-Length", "100")]
        with Wire(g.api_port) as w:
            w.send(request_head("/v1/channels/a/events", head, "POST") +
                   b"only this")
            self.assertEqual(w.response()[0], 408)
            self.assertEqual(w.rest(), b"")
        with Wire(g.port) as w:
            w.send(request_head("/stream/a", head, "POST") + b"only this")
            self.assertEqual(w.rest(), b"")
        self.assertEqual(g.poll("a", after="start")["events"], [])

    def test_many_of_them_hold_nobody_up(self):
        g = self.gateway
        wires = [Wire(g.port) for _ in range(300)]
        for w in wires:
            w.send(b"GET /stream/a HTTP/1.1\r\nHost:")
        for n in range(50):
            event = g.publish("a", n)["id"]
            self.assertEqual(g.poll("a", last=1)["events"][0]["id"], event)
        for w in wires:
            self.assertIn(w.rest()[:12], (b"HTTP/1.1 408", b""))
            w.close()
        g.until(lambda: g.metric("connections") == 1, "their ends")

    def test_a_peer_that_never_answers_a_close_is_let_go(self):
        g = self.gateway
        g.publish("a", 1)
        ws = WebSocket(g.port, "/stream/a")
        g.api("DELETE", "/v1/channels/a")
        # It keeps its side open, and says nothing.
        g.until(lambda: g.metric("connections") == 1, "its end")
        with self.assertRaises(Closed) as end:
            while True:
                ws.message()
        self.assertEqual(end.exception.code, 4410)
        ws.close()


class Lingering(Scenario):
    conf = 'heartbeat = "1s"\nclose-timeout = "60s"'
    workers = 1

    def test_a_peer_that_never_hangs_up_costs_no_time(self):
        g = self.gateway
        other = SseSubscriber(g, "b")
        with WebSocket(g.port, "/stream/a") as ws:
            ws.say("not masked", mask=None)
            with self.assertRaises(Closed):
                while True:
                    ws.message()
            # It keeps its side open.
            other.notice("heartbeat")
            before = g.cpu_time()
            other.notice("heartbeat")
            # Of the second between the two.
            self.assertLess(g.cpu_time() - before, 0.5)
        other.close()


class Vanishing(Scenario):
    """Whoever is gone while it is being written to is found gone, once."""

    conf = """
window-events = 1
channel "short" { history-events = 10 }
"""

    def test_clients_may_vanish_at_any_moment(self):
        g = self.gateway
        old = g.batch([{"channel": "short", "data": n} for n in range(50)])
        g.batch([{"channel": "a", "data": n} for n in range(3000)])
        paths = ("/stream/a", "/stream/a?after=start", "/stream/a?last=500",
                 f"/stream/short?after={old[3]}", "/stream/a?after=zzzz-1",
                 f"/stream/a,short,b?after={old[3]}")
        upgrade = [("Upgrade", "websocket"), ("Connection", "Upgrade"),
                   ("Sec-WebSocket-Key", WebSocket.KEY),
                   ("Sec-WebSocket-Version", "13")]
        follow = b"".join(WebSocket.frame(1, text) for text in (
            '{"op":"subscribe","channel":"x","after":"start"}',
            '{"op":"ping"}', '{"op":"unsubscribe","channel":"x"}'))
        ways = [(upgrade, follow), ([("Accept", "text/event-stream")], b""),
                ([("Prefer", "wait=20")], b"")]
        for round_ in range(20):
            for path in paths:
                for headers, more in ways:
                    w = Wire(g.port)
                    w.send(request_head(path, headers) + more)
                    if round_ % 4 == 1:
                        w.more()
                    if round_ % 2:
                        w.close()
                    else:
                        w.reset()
            g.publish("a", "live")
        g.until(lambda: g.metric("connections") == 1, "their ends")
        for transport in "ws", "sse", "long":
            g.until_metric(0, "subscribers", f'{{transport="{transport}"}}')
        self.assertTrue(g.poll("a", last=1)["events"])


class VanishingThroughTheLibrary(Vanishing):
    conf = Vanishing.conf + "\nfirst-look = no"


if __name__ == "__main__":
    main()
