"""Reload, drain and return: no stream is cut without a word."""

import json
import os
import re
import signal
import socket
import sqlite3
import threading

from gateway import (Closed, EventStream, GUARD, Gateway, STREAMS, Scenario,
                     TRANSPORTS, WebSocket, Wire, WsSubscriber, main,
                     request_head)
from post import Publisher, events_path, post


def waiting_poll(gateway, path):
    """A long poll that certainly waits."""
    before = gateway.metric("subscribers", '{transport="long"}')
    w = Wire(gateway.port)
    w.send(request_head(path))
    gateway.until(lambda: gateway.metric(
        "subscribers", '{transport="long"}') == before + 1)
    return w


class Reload(Scenario):
    def reload(self, conf, count=1):
        self.gateway.configure(conf)
        self.gateway.signal(signal.SIGHUP)
        self.gateway.wait_log("info configuration reloaded", count)

    def test_limits_and_channels_change_and_streams_go_on(self):
        g = self.gateway
        head = g.batch([{"channel": "a", "data": n} for n in range(50)])[-1]
        streams = [t(g, "a") for t in STREAMS]
        for s in streams:
            s.notice("caughtup")
        poll = waiting_poll(g, f"/stream/a?wait=50&after={head}")
        _, before = g.get("/v1/connections", api=True)
        with Publisher(g) as p:
            self.assertEqual(p.publish("b", "x" * 2000)[0], 201)
            self.reload("""
message-max = "1k"
poll-limit = 3
channel "a" { history-events = 20  send = echo  durability = full }
""")
            # Also on a connection that was there before.
            self.assertEqual(p.publish("b", "x" * 2000)[0], 413)
        _, after = g.get("/v1/connections", api=True)
        self.assertEqual({c["id"] for c in before["connections"]},
                         {c["id"] for c in after["connections"]})
        receipt = g.publish("a", "live")
        self.assertEqual(receipt["durable"], "full")
        for s in streams:
            self.assertEqual(s.next()["id"], receipt["id"])
            s.close()
        self.assertEqual(poll.response()[0], 200)
        poll.close()
        self.assertEqual(len(g.poll("a", after="start")["events"]), 3)
        self.assertEqual(g.request("POST", "/stream/a", "hi")[2], b"hi")
        _, channel = g.get("/v1/channels/a", api=True)
        self.assertEqual((channel["depth"], channel["retention"]["events"],
                          channel["send"]), (20, 20, "echo"))

    def test_a_token_is_rotated_without_a_restart(self):
        g = self.gateway
        old, new = "old-token-0123456789", "new-token-0123456789"

        def publish(token):
            with Publisher(g) as p:
                return p.publish("a", "1",
                                 ("Authorization", "Bearer " + token))[0]

        path = g.dir + "/token"
        with open(path, "w", encoding="ascii") as f:
            f.write(old + "\n")
        conf = f'api-token = {{ "file:{path}" }}'
        self.reload(conf)
        self.assertEqual((publish(old), publish(new)), (201, 401))
        with open(path, "w", encoding="ascii") as f:
            f.write(new + "\n")
        self.reload(conf, 2)
        self.assertEqual((publish(old), publish(new)), (401, 201))

    def test_a_broken_file_keeps_the_old_configuration_and_says_so(self):
        g = self.gateway
        self.reload('channel "a" { history-events = 7 }')
        s = WsSubscriber(g, "a")
        s.notice("caughtup")
        for broken in ('channel "a" { history-events = 9',
                       'history-events = 9\nhistory-evens = 1\n'
                       'heartbeat = "soon"', None):
            if broken is None:
                with open(g.conf_path, "w", encoding="ascii") as f:
                    f.write("\0\1\2 = ")
            else:
                g.configure(broken)
            before = sum("error reload" in l for l in g.lines)
            g.signal(signal.SIGHUP)
            line = g.wait_log("error reload: the configuration has faults; "
                              "the old one stays in use", before + 1)
            self.assertIn(g.conf_path, line)
            if broken and "soon" in broken:
                # Each fault with its place, and what to write instead.
                for fault in ("history-evens", "heartbeat"):
                    g.wait_log(re.escape(g.conf_path) + r":\d+: .*" + fault)
            _, channel = g.get("/v1/channels/a", api=True)
            self.assertEqual(channel["retention"]["events"], 7)
            self.assertEqual(g.request("GET", "/readyz")[0], 200)
        id = g.publish("a", 1)["id"]
        self.assertEqual(s.next()["id"], id)
        s.close()
        self.reload('channel "a" { history-events = 9 }', 2)
        self.assertEqual(g.get("/v1/channels/a", api=True)[1]
                         ["retention"]["events"], 9)

    def test_what_came_through_a_pipe_is_not_read_again(self):
        """Else a reload would be one to nothing but defaults."""
        g = self.gateway
        g.configure('channel "a" { history-events = 7 }')
        g.stop()
        with open(g.conf_path, "rb") as f:
            text = f.read()
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        os.write(writing, text)
        os.close(writing)
        g.conf_path, g.pass_fds = f"/dev/fd/{reading}", (reading,)
        g.start()
        g.signal(signal.SIGHUP)
        g.publish("a", 1)
        g.wait_log(f"error {g.conf_path}: is a pipe")
        g.wait_log("error reload: the configuration has faults; "
                   "the old one stays in use")
        self.assertEqual(g.get("/v1/channels/a", api=True)[1]
                         ["retention"]["events"], 7)

    def test_a_key_in_a_pipe_does_not_hold_the_end_up(self):
        """Nobody writes it again, and it is not waited for for ever."""
        g = self.gateway
        path = g.dir + "/key"
        os.mkfifo(path)
        g.configure(f'token-key = {{ "HS256:file:{path}" }}')
        g.stop()
        writer = threading.Thread(target=self.write, daemon=True,
                                  args=(path, "x" * 40 + "\n"))
        writer.start()
        g.start()
        writer.join()
        g.signal(signal.SIGHUP)
        g.wait_log(f"{path} cannot be read: Connection timed out")
        g.wait_log("error reload: .*the old one stays in use")
        self.assertEqual(g.get("/stream/a")[0], 401)
        self.assertEqual(g.stop(), 0)

    @staticmethod
    def write(path, text):
        with open(path, "w", encoding="ascii") as f:
            f.write(text)

    def test_faults_are_entries_of_the_log_as_all_else_is(self):
        g = self.gateway
        g.configure("log-format = json")
        g.stop()
        g.start(expect_failure=True)
        g.wait_log('"message":"ready"')
        g.configure('history-evens = 1\nheartbeat = "soon"')
        g.signal(signal.SIGHUP)
        g.wait_log('"message":"reload: the configuration has faults')
        entries = [json.loads(l) for l in g.lines]
        messages = [e["message"] for e in entries if e["level"] == "error"]
        self.assertEqual(len(messages), 3)
        for message, fault in zip(messages, ("history-evens", "soon")):
            self.assertRegex(
                message, re.escape(g.conf_path) + r":\d+: .*" + fault)

    def test_what_needs_a_restart_is_named_and_stays_as_it_was(self):
        g = self.gateway
        port = g.plain_port
        g.workers, g.plain_port = 3, port + 1
        self.reload('window-events = 77\nheader-max = "4k"\nretry = "9s"')
        line = g.wait_log("warn reload: a restart is needed for: ")
        for name in ("listen", "workers", "header-max"):
            self.assertIn(name, line)
        for name in ("retry", "api-listen", "heartbeat"):
            self.assertNotRegex(line, rf"[:,] {name}\b")
        self.assertEqual(g.get("/v1/stats", api=True)[1]["workers"], 2)
        g.plain_port = port
        self.assertEqual(g.poll("a")["retry"], 9000)
        # The head of a request may have 12k, as it might at the start.
        self.assertEqual(g.get("/stream/a", {"X-Long": "x" * 8000})[0], 200)
        # It is said again as long as it is so, and no longer.
        g.plain_port = port + 1
        self.reload('header-max = "4k"', 2)
        self.assertEqual(g.wait_log("warn reload: a restart is needed for: ",
                                    2).partition("warn")[2],
                         line.partition("warn")[2])
        g.workers, g.plain_port = 2, port
        self.reload("", 3)
        self.assertEqual(sum("a restart is needed" in l for l in g.lines), 2)

    def test_who_reaches_an_address_is_asked_for_a_token_until_it_is_gone(self):
        g = self.gateway
        name = f'"127.0.0.1:{g.api_port}"'

        def write(address, conf):
            g.configure(conf)
            with open(g.conf_path, encoding="ascii") as f:
                text = f.read()
            with open(g.conf_path, "w", encoding="ascii") as f:
                f.write(text.replace(name, address))

        def asks():
            return g.request("GET", "/metrics", api=True)[0] == 401

        write(f'"0.0.0.0:{g.api_port}"', 'api-token = "0123456789abcdef"')
        g.restart()
        self.assertTrue(asks())
        # Fine for the address in the file, which is not yet that in use.
        write(name, 'retry = "9s"')
        g.signal(signal.SIGHUP)
        g.wait_log(r"error listen address=0\.0\.0\.0:\d+: others reach it: "
                   "write api-token = ")
        g.wait_log("error reload: the old configuration stays in use")
        self.assertTrue(asks())
        self.assertEqual(g.poll("a")["retry"], 2000)
        g.restart()
        self.assertFalse(asks())

    def test_who_rotates_logs_does_not_end_it(self):
        g = self.gateway
        for name in ("USR1", "USR2"):
            g.signal(getattr(signal, "SIG" + name))
            g.wait_log(f"warn SIG{name} means nothing here")
        self.assertEqual(g.request("GET", "/readyz")[0], 200)

    def test_reloads_in_a_row_disturb_neither_publishers_nor_streams(self):
        g = self.gateway
        subscribers = [t(g, "a", "start") for t in TRANSPORTS]
        ids, stop = [], threading.Event()

        def publish():
            with Publisher(g) as p:
                # Fewer than are kept: nobody reads yet.
                while not stop.is_set() and len(ids) < 4000:
                    status, _, receipt = p.publish("a", "1")
                    assert status == 201
                    ids.append(receipt["id"])

        publisher = threading.Thread(target=publish)
        publisher.start()
        try:
            for n in range(20):
                self.reload(f'channel "a" {{ history-events = {5000 + n} }}',
                            n + 1)
        finally:
            stop.set()
            publisher.join()
        for s in subscribers:
            self.assertEqual([e["id"] for e in s.events(len(ids))], ids)
            s.close()


class Drain(Scenario):
    """SIGTERM: everyone is told, everything accepted is stored."""

    def setUp(self):
        self.gateway = Gateway(workers=self.workers)
        self.addCleanup(self.gateway.close)
        self.drain_for("300ms")
        self.gateway.start()

    def drain_for(self, time):
        """The harness has a drain-time of its own."""
        self.gateway.configure("")
        with open(self.gateway.conf_path, encoding="ascii") as f:
            text = f.read()
        with open(self.gateway.conf_path, "w", encoding="ascii") as f:
            f.write(text.replace('drain-time = "300ms"',
                                 f'drain-time = "{time}"'))

    def term(self):
        self.gateway.signal(signal.SIGTERM)
        self.gateway.wait_log("info draining")

    def end(self):
        self.assertEqual(self.gateway.wait_end(), 0)
        self.assertTrue(any(l.endswith("info stopped")
                            for l in self.gateway.lines))

    def test_every_stream_is_told_in_its_own_words(self):
        g = self.gateway
        head = g.publish("a", 1)["id"]
        sockets = [WebSocket(g.port, "/stream/a") for _ in range(20)]
        raw = WebSocket(g.port, "/stream/a?format=raw")
        streams = [EventStream(g.port, "/stream/a") for _ in range(20)]
        polls = [waiting_poll(g, f"/stream/a?wait=50&after={head}")
                 for _ in range(5)]
        for s in sockets:
            s.message()
            s.message()
        for s in streams:
            s.block()
            s.block()
        self.term()
        for s in sockets + [raw]:
            with self.assertRaises(Closed) as closed:
                s.read()
            self.assertEqual(closed.exception.code, 1012)
        delays = set()
        for s in streams:
            with self.assertRaises(Closed):
                s.block()
            # With jitter: a crowd must not come back as one.
            self.assertGreaterEqual(s.retry, 2000)
            self.assertLessEqual(s.retry, 2300)
            delays.add(s.retry)
        self.assertGreater(len(delays), 5)
        for w in polls:
            status, headers, body = w.response()
            self.assertEqual((status, headers["connection"]), (200, "close"))
            answer = json.loads(body)
            self.assertEqual((answer["events"], answer["cursor"]), ([], head))
            self.assertEqual(w.rest(), b"")
        self.end()

    def test_clients_go_on_where_they_were_after_the_restart(self):
        g = self.gateway
        subscribers = [t(g, "a", "start") for t in TRANSPORTS]
        first = [g.publish("a", n)["id"] for n in range(5)]
        for s in subscribers:
            self.assertEqual([e["id"] for e in s.events(5)], first)
        self.term()
        self.end()
        for s in subscribers:
            s.close()
        g.start()
        for s in subscribers:
            s.open()
        second = [g.publish("a", n)["id"] for n in range(5)]
        for s in subscribers:
            self.assertEqual([e["id"] for e in s.events(5)], second)
            s.close()

    def test_while_draining_nobody_new_is_taken_and_readiness_fails(self):
        g = self.gateway
        self.drain_for("10m")
        g.signal(signal.SIGHUP)
        g.wait_log("configuration reloaded")
        stream = WsSubscriber(g, "a")
        stream.notice("caughtup")
        # A request that has begun is still answered; and it has, when the
        # one before it in the same bytes was.
        asking = {}
        for port in (g.port, g.api_port):
            asking[port] = w = Wire(port)
            w.send(request_head("/readyz") +
                   request_head("/readyz", [("Content-Length", 1)]))
            self.assertEqual(w.response()[0], 200)
        self.term()
        for port in (g.port, g.api_port):
            g.until(lambda: self.refused(port), "closed listeners")
        for w in asking.values():
            w.send(b"x")
            status, headers, body = w.response()
            self.assertEqual(status, 503)
            self.assertEqual(headers["connection"], "close")
            self.assertGreaterEqual(int(headers["retry-after"]), 1)
            self.assertIn("shutting down", json.loads(body)["detail"])
            w.close()
        g.signal(signal.SIGTERM)
        self.end()

    @staticmethod
    def refused(port):
        try:
            socket.create_connection(("127.0.0.1", int(port))).close()
        except (ConnectionRefusedError, ConnectionResetError):
            return True
        return False

    def test_a_second_signal_ends_it_at_once(self):
        g = self.gateway
        self.drain_for("10m")
        for first, second in ((signal.SIGTERM, signal.SIGTERM),
                              (signal.SIGINT, signal.SIGINT),
                              (signal.SIGTERM, signal.SIGINT)):
            if g.process.poll() is not None:
                g.start()
            else:
                g.restart()
            # Of this many, most would have to wait.
            streams = [WsSubscriber(g, "a") for _ in range(10)]
            for s in streams:
                s.notice("caughtup")
            g.signal(first)
            g.wait_log("info draining")
            self.assertIsNone(g.process.poll())
            g.signal(second)
            self.end()
            for s in streams:
                with self.assertRaises(Closed):
                    s.next()
                s.close()

    def test_whoever_has_connected_and_asked_is_answered(self):
        """Of more than are accepted at a time, while it could not look."""
        g = self.gateway
        path = g.dir + "/public.socket"
        g.configure(f'listen += "unix:{path}"')
        g.restart()
        requests = [request_head("/healthz"), request_head("/stream/a")]
        asked = {
            (g.plain_port, socket.AF_INET): requests,
            (path, socket.AF_UNIX): requests,
            (g.api_port, socket.AF_INET): [
                post(events_path("a"), "1"), request_head("/v1/stats")],
        }
        # All of the process, which acts on nothing that comes meanwhile.
        g.signal(signal.SIGSTOP)
        clients = []
        for (place, family), heads in asked.items():
            for n in range(120):
                s = socket.socket(family)
                s.settimeout(GUARD)
                s.connect(place if family == socket.AF_UNIX
                          else ("127.0.0.1", place))
                s.sendall(heads[n % 2])
                clients.append(s)
        g.signal(signal.SIGTERM)
        g.signal(signal.SIGCONT)
        for s in clients:
            with s:
                self.assertRegex(s.recv(12), rb"^HTTP/1.1 20[01]$")
        self.end()
        g.start()
        self.assertEqual(len(g.poll("a", after="start")["events"]), 60)

    def test_who_asks_again_shortly_after_is_answered_and_told(self):
        """Its request may be on its way when the drain begins."""
        g = self.gateway
        self.drain_for("10m")
        g.restart()
        asked = {g.port: (request_head("/healthz"), request_head("/stream/a")),
                 g.api_port: (post(events_path("a"), "1"),
                              request_head("/v1/stats"))}
        clients = []
        for port, requests in asked.items():
            for request in requests:
                w = Wire(port)
                w.send(request)
                self.assertIn(w.response()[0], (200, 201))
                clients.append((w, request))
        self.term()
        g.until(lambda: self.refused(g.api_port), "closed listeners")
        for w, request in clients:
            w.send(request)
            status, headers, _ = w.response()
            self.assertIn(status, (200, 201))
            self.assertEqual(headers["connection"], "close")
            self.assertEqual(w.rest(), b"")
            w.close()
        g.signal(signal.SIGTERM)
        self.end()

    def test_a_publisher_is_told_that_its_connection_ends(self):
        g = self.gateway
        lock = sqlite3.connect(g.store, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        with Wire(g.api_port) as w:
            before = g.metric("requests_first_look_total")
            w.send(post(events_path("a"), "1") * 3)
            g.until(lambda: g.metric("requests_first_look_total") ==
                    before + 3)
            self.term()
            lock.execute("ROLLBACK")
            lock.close()
            answers = [w.response() for _ in range(3)]
            self.assertEqual([a[0] for a in answers], [201] * 3)
            # Not by an answer that others follow.
            self.assertEqual([a[1].get("connection") for a in answers],
                             [None, None, "close"])
        self.end()

    def test_what_waits_for_the_writer_is_committed_and_acknowledged(self):
        g = self.gateway
        g.publish("a", 0)
        lock = sqlite3.connect(g.store, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        wires = [Wire(g.api_port) for _ in range(8)]
        before = g.metric("requests_first_look_total")
        for n, w in enumerate(wires):
            w.send(post(events_path("a"), str(n + 1)))
        g.until(lambda: g.metric("requests_first_look_total") == before + 8)
        self.term()
        lock.execute("ROLLBACK")
        lock.close()
        ids = []
        for w in wires:
            status, _, body = w.response()
            self.assertEqual(status, 201)
            ids.append(json.loads(body)["id"])
            w.close()
        self.end()
        g.start()
        events = g.poll("a", after="start")["events"]
        self.assertEqual({e["id"] for e in events[1:]}, set(ids))

    def test_a_body_on_its_way_is_still_taken(self):
        g = self.gateway
        wires = [Wire(g.api_port) for _ in range(2)]
        heads = ((), [("Trailer", "X")])
        bodies = [post(events_path("a"), '"first look"', heads[0]),
                  post(events_path("a"), '"library"', heads[1])]
        for w, body, head in zip(wires, bodies, heads):
            # It was read up to there when the one before is answered.
            w.send(post(events_path("b"), "1", head) + body[:-5])
            self.assertEqual(w.response()[0], 201)
        self.term()
        for w, body in zip(wires, bodies):
            w.send(body[-5:])
            self.assertEqual(w.response()[0], 201)
            w.close()
        self.end()
        g.start()
        self.assertEqual({e["data"] for e in
                          g.poll("a", after="start")["events"]},
                         {"first look", "library"})

    def test_who_reads_nothing_does_not_hold_the_end_up(self):
        g = self.gateway
        self.gateway.configure('close-timeout = "100ms"')
        g.restart()
        stuck = [t(g.port, "/stream/a", receive_buffer=4096)
                 for t in (WebSocket, EventStream)]
        half = Wire(g.api_port)
        half.send(post(events_path("a"), "1") +
                  post(events_path("a"), "x" * 100)[:-50])
        self.assertEqual(half.response()[0], 201)
        block = "x" * 100000
        for _ in range(100):
            g.publish("a", block, Content_Type="text/plain")
        self.term()
        self.end()
        for s in stuck + [half]:
            s.close()


class Durable(Scenario):
    """What each kind of durability keeps over which end."""

    conf = """
channel "memory" { durability = memory }
channel "normal" { durability = normal }
channel "full" { durability = full }
"""

    def test_normal_and_full_outlive_the_process_and_memory_does_not(self):
        g = self.gateway
        kinds = ("memory", "normal", "full")
        ids = {k: [] for k in kinds}
        for end in (g.kill9, g.stop):
            for n in range(10):
                for k in kinds:
                    receipt = g.publish(k, n)
                    self.assertEqual(receipt["durable"], k)
                    ids[k].append(receipt["id"])
            end()
            g.start()
            for k in ("normal", "full"):
                answer = g.poll(k, after="start")
                self.assertEqual([e["id"] for e in answer["events"]], ids[k])
            self.assertEqual(g.poll("memory", after="start")["events"], [])
            self.assertEqual(
                g.poll("memory", after=ids["memory"][0])["gap"]["reason"],
                "trimmed")

    def test_a_cursor_from_before_a_crash_resumes_with_nothing_between(self):
        g = self.gateway
        head = g.publish("normal", 1)["id"]
        for end in (g.kill9, g.kill9, g.stop, g.kill9):
            end()
            g.start()
            for transport in self.each():
                s = transport(g, "normal", head, wait=0) \
                    if transport not in STREAMS else transport(
                        g, "normal", head)
                # Neither a gap nor an event: just live.
                s.notice("caughtup")
                s.close()
        subscribers = [t(g, "normal", head) for t in TRANSPORTS]
        id = g.publish("normal", 2)["id"]
        for s in subscribers:
            self.assertEqual(s.event()["id"], id)
            s.close()


class OneWorker(Scenario):
    """The same story, however many threads tell it."""

    workers = 1

    def test_every_transport_gets_every_event_in_order(self):
        g = self.gateway
        self.assertEqual(g.get("/v1/stats", api=True)[1]["workers"],
                         self.workers)
        subscribers = [t(g, "a,b", "start") for t in TRANSPORTS * 8]
        ids = []
        for n in range(20):
            ids.append(g.publish("ab"[n % 2], n)["id"])
        ids += g.batch([{"channel": "ab"[n % 2], "data": n}
                        for n in range(200)])
        for s in subscribers:
            self.assertEqual([e["id"] for e in s.events(220)], ids)
            s.close()


class FourWorkers(OneWorker):
    workers = 4


if __name__ == "__main__":
    main()
