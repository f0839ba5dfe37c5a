"""Clients that vanish, dawdle, or are too many: the others notice nothing."""

import json
import os
import random
import resource
import socket

from gateway import (Closed, EventStream, STREAMS, Scenario, TRANSPORTS,
                     WebSocket, Wire, WsSubscriber, main, request_head)
from post import Publisher, events_path, is_problem, lines, post


class Vanishing(Scenario):
    def waiting(self):
        return self.gateway.metric("subscribers", '{transport="long"}')

    def test_a_poll_that_waits_is_released_when_its_client_goes(self):
        g = self.gateway
        head = g.publish("a", 1)["id"]
        polls = []
        for n in range(30):
            w = Wire(g.port)
            w.send(request_head(f"/stream/a,b?wait=50&after={head}"))
            polls.append(w)
        g.until(lambda: self.waiting() == 30)
        for n, w in enumerate(polls):
            if n % 3 == 0:
                w.reset()
            elif n % 3 == 1:
                w.close()
            else:
                w.s.shutdown(socket.SHUT_WR)
        g.until(lambda: self.waiting() == 0, "no poll that waits")
        self.assertEqual(g.publish("a", 2)["subscribers"]["long"], 0)
        # Only the one that asks is left.
        for w in polls[2::3]:
            self.assertEqual(w.rest(), b"")
            w.close()
        g.until(lambda: g.metric("connections") == 1)

    def test_streams_are_released_too(self):
        g = self.gateway
        for end in (Wire.close, Wire.reset):
            streams = [t(g.port, "/stream/a") for t in
                       (WebSocket, EventStream) for _ in range(10)]
            g.until(lambda: g.publish("a", 1)["subscribers"] ==
                    {"ws": 10, "sse": 10, "long": 0})
            for s in streams:
                end(s)
            g.until(lambda: g.publish("a", 1)["subscribers"] ==
                    {"ws": 0, "sse": 0, "long": 0})
            g.until(lambda: g.metric("connections") == 1)

    def scripts(self, head):
        """What clients send, to be cut off anywhere."""
        ws = [("Upgrade", "websocket"), ("Connection", "Upgrade"),
              ("Sec-WebSocket-Key", WebSocket.KEY),
              ("Sec-WebSocket-Version", "13"),
              ("Sec-WebSocket-Extensions", "permessage-deflate")]
        frames = (WebSocket.frame(1, '{"op":"subscribe","channel":"b"}') +
                  WebSocket.frame(1, "x" * 200, fin=False) +
                  WebSocket.frame(9, "ping") + WebSocket.frame(0, "y" * 200) +
                  WebSocket.frame(1, '{"op":"send","data":1}') +
                  WebSocket.frame(8))
        body = lines([{"channel": "a", "data": n} for n in range(20)])
        public, api = self.gateway.port, self.gateway.api_port
        return (
            (public, request_head("/stream/a,b?after=start", ws) + frames),
            (public, request_head("/stream/a?after=start",
                                  [("Accept", "text/event-stream")])),
            (public, request_head("/stream/a?after=start&limit=3") * 3 +
             request_head(f"/stream/a?wait=20&after={head}")),
            (public, post("/stream/a", "message")),
            (public, request_head("/healthz") * 3),
            (api, post(events_path("a"), "x" * 300) * 3),
            (api, post(events_path("a"), "x" * 300, chunked=True)),
            (api, post(events_path("a"), "x" * 300, [("Trailer", "X")]) * 2),
            (api, post(events_path("a"), "1") +
             post("/v1/events", body) + request_head("/v1/channels")),
            (api, request_head("/v1/channels/a/events?after=start") +
             request_head("/v1/connections") + request_head("/metrics")),
        )

    def test_a_reset_anywhere_leaves_nothing_behind(self):
        g = self.gateway
        chance = random.Random(7)
        head = g.batch([{"channel": "a", "data": "x" * 3000}
                        for _ in range(50)])[-1]
        watcher = WsSubscriber(g, "a", head)
        watcher.notice("caughtup")
        for port, script in self.scripts(head):
            cuts = {1, len(script), len(script) - 1, script.index(b"\r\n\r\n"),
                    *chance.sample(range(1, len(script)), 12)}
            for cut in sorted(cuts):
                for end in (Wire.close, Wire.reset):
                    w = Wire(port)
                    w.send(script[:cut])
                    if chance.random() < 0.5 and cut == len(script):
                        w.more()
                    end(w)
        g.until(lambda: g.metric("connections") == 2)
        for transport in ("ws", "sse", "long"):
            g.until_metric(transport == "ws",
                           "subscribers", f'{{transport="{transport}"}}')
        # What was stored on the way came whole, and in order.
        last = g.publish("a", "end")["id"]
        order = []
        while not order or order[-1] != last:
            order.append(watcher.event()["id"])
        self.assertEqual([e["id"] for e in
                          g.poll("a", after=head, limit=1000)["events"]],
                         order)


class Dawdling(Scenario):
    """Each has its time, and is told when that is over."""

    conf = """
header-timeout = "300ms"
request-timeout = "1s"
idle-timeout = "1s"
stall-timeout = "1s"
heartbeat = "1s"
close-timeout = "100ms"
"""

    def test_a_head_that_does_not_end_gets_408_through_both_doors(self):
        g = self.gateway
        whole = request_head("/stream/a", [("X", "y")])
        odd = b"OPTIONS " + whole[4:]
        for port, part in ((g.port, whole[:-2]), (g.port, whole[:20]),
                           (g.api_port, post(events_path("a"), "1")[:40]),
                           # Behind a request that was answered.
                           (g.port, whole + whole[:20])):
            with Wire(port) as w:
                w.send(part)
                if part.startswith(whole):
                    self.assertEqual(w.response()[0], 200)
                status, headers, body = w.response()
                is_problem(self, status, headers, json.loads(body), 408)
                self.assertEqual(headers["connection"], "close")
                self.assertEqual(w.rest(), b"")
        with Wire(g.port) as w:
            w.send(odd[:20])
            self.assertIn(w.rest()[:12], (b"", b"HTTP/1.1 408"))

    def test_who_says_nothing_is_let_go(self):
        g = self.gateway
        with Wire(g.port) as w:
            w.send(request_head("/stream/a"))
            self.assertEqual(w.response()[0], 200)
            self.assertEqual(w.rest(), b"")
        with Wire(g.port) as w:
            w.send(request_head("/healthz"))
            self.assertEqual(w.response()[0], 200)
            self.assertEqual(w.rest(), b"")

    def test_a_body_that_does_not_end_is_not_waited_for(self):
        g = self.gateway
        with Wire(g.api_port) as w:
            w.send(post(events_path("a"), "x" * 100)[:-1])
            status, headers, body = w.response()
            is_problem(self, status, headers, json.loads(body), 408)
            self.assertEqual(w.rest(), b"")
        with Wire(g.api_port) as w:
            # It is answered in its turn, behind the one before.
            w.send(post(events_path("a"), "1") +
                   post(events_path("a"), "x" * 100)[:-1])
            self.assertEqual(w.response()[0], 201)
            self.assertEqual(w.response()[0], 408)
        with Wire(g.api_port) as w:
            w.send(post(events_path("a"), "x" * 100, chunked=True)[:-4])
            self.assertIn(w.rest()[:12], (b"", b"HTTP/1.1 408"))
        self.assertEqual(len(g.poll("a", after="start")["events"]), 1)

    def test_who_reads_nothing_is_closed_and_catches_up_later(self):
        g = self.gateway
        for transport in self.each(STREAMS):
            s = transport(g, "a")
            s.notice("caughtup")
            block = "x" * 100000
            count = '{why="stalled"}'
            before = g.metric("subscribers_closed_total", count)
            ids = []
            while g.metric("subscribers_closed_total", count) == before:
                if len(ids) < 150:
                    ids.append(g.publish("a", block,
                                         Content_Type="text/plain")["id"])
            got = []
            with self.assertRaises(Closed):
                while True:
                    e = s.next()
                    if "id" in e:
                        got.append(e["id"])
            s.close()
            s.open()
            got += [e["id"] for e in s.events(len(ids) - len(got))]
            self.assertEqual(got, ids)
            s.close()
            g.api("DELETE", "/v1/channels/a")

    def test_a_websocket_that_answers_no_ping_is_closed(self):
        g = self.gateway
        ws = WebSocket(g.port, "/stream/a")
        code = None
        while code is None:
            fin, rsv, opcode, payload = ws.read_frame()
            if opcode == 8:
                code = int.from_bytes(payload[:2], "big")
        self.assertEqual(code, 4408)
        ws.close()


class TooMany(Scenario):
    # Whoever runs this may look at the daemon's descriptors.
    conf = "core-dumps = yes\n"

    def test_when_descriptors_run_out_accepting_rests_and_goes_on(self):
        g = self.gateway
        live = [t(g, "a") for t in TRANSPORTS]
        for s in live:
            s.notice("caughtup")
        with Publisher(g) as p, Wire(g.port) as poller:
            self.assertEqual(p.publish("a", "0")[0], 201)
            poller.send(request_head("/stream/b"))
            poller.response()
            for s in live:
                s.event()
            limits = resource.prlimit(g.process.pid, resource.RLIMIT_NOFILE)
            used = len(os.listdir(f"/proc/{g.process.pid}/fd"))
            resource.prlimit(g.process.pid, resource.RLIMIT_NOFILE,
                             (used + 4, limits[1]))
            crowd = [Wire(g.port) for _ in range(40)]
            for w in crowd:
                w.send(request_head("/stream/c"))
            g.wait_log("warn accepting rests for .*Too many open files")
            # Whoever is in notices nothing.
            for n in range(20):
                status, _, receipt = p.publish("a", str(n))
                self.assertEqual(status, 201)
                for s in live:
                    self.assertEqual(s.event()["id"], receipt["id"])
            for w in crowd[:36]:
                w.close()
            # Nobody is forgotten: those in the queue have their turn.
            for w in crowd[36:]:
                self.assertEqual(w.response()[0], 200)
                w.close()
        resource.prlimit(g.process.pid, resource.RLIMIT_NOFILE, limits)
        for s in live:
            s.close()
        self.assertEqual(g.poll("a")["events"], [])

    def test_history_is_read_while_there_are_no_descriptors(self):
        """What reads it was opened at the start."""
        g = self.gateway
        ids = g.batch([{"channel": "a", "data": "x" * 1000}
                       for _ in range(3000)])
        g.restart()
        with Wire(g.port) as w:
            w.send(request_head("/stream/b"))
            w.response()
            limits = resource.prlimit(g.process.pid, resource.RLIMIT_NOFILE)
            used = len(os.listdir(f"/proc/{g.process.pid}/fd"))
            resource.prlimit(g.process.pid, resource.RLIMIT_NOFILE,
                             (used, limits[1]))
            w.send(request_head("/stream/a?after=start"))
            status, _, body = w.response()
            self.assertEqual(status, 200, body)
            self.assertEqual([e["id"] for e in json.loads(body)["events"]],
                             ids[:100])
            resource.prlimit(g.process.pid, resource.RLIMIT_NOFILE, limits)
        for transport in self.each():
            s = transport(g, "a", "start")
            self.assertEqual([e["id"] for e in s.events(3000)], ids)
            s.close()


class Limited(Scenario):
    conf = """
max-connections = 20
max-connections-per-address = 12
limit-loopback = yes
"""

    def test_who_is_one_too_many_is_refused_and_counted(self):
        g = self.gateway
        metrics = Wire(g.api_port)
        metrics.send(request_head("/metrics"))
        metrics.response()
        streams = []
        for _ in range(11):
            s = WsSubscriber(g, "a")
            s.notice("caughtup")
            streams.append(s)
        for _ in range(3):
            with Wire(g.port) as w:
                try:
                    w.send(request_head("/stream/a"))
                    self.assertEqual(w.rest(), b"")
                except (BrokenPipeError, ConnectionResetError):
                    pass
        metrics.send(request_head("/metrics"))
        _, _, body = metrics.response()
        self.assertIn(b"\nspillway_connections_refused_total 3\n", body)
        streams.pop().close()
        g.until(lambda: self.one_more(), "room for one more")
        metrics.close()
        for s in streams:
            s.close()

    def one_more(self):
        try:
            return self.gateway.request("GET", "/stream/a")[0] == 200
        except (ConnectionError, OSError):
            return False


if __name__ == "__main__":
    main()
