"""Short and long polls: what is answered, when, and on which connection."""

import json
import os
import re
import signal
import socket
import threading

from gateway import EventStream, Scenario, Wire, main, query, request_head

WAITING = '{transport="long"}'


def ask(path, headers=(), **params):
    return request_head(f"/stream/{path}" + query(params), headers)


class Polls(Scenario):
    conf = """
poll-limit = 7
poll-limit-max = 20
message-max = "2m"
channel "short*" { history-events = 10 }
"""

    def fill(self, channel, count):
        return self.gateway.batch([{"channel": channel, "data": n}
                                   for n in range(count)])

    def waiting(self, count):
        g = self.gateway
        g.until(lambda: g.metric("subscribers", WAITING) == count,
                f"{count} waiting polls")

    def exchange(self, wire, request):
        wire.send(request)
        status, _, body = wire.response()
        self.assertEqual(status, 200, body)
        return json.loads(body)

    def ids(self, answer):
        return [e["id"] for e in answer["events"]]

    # What is in an answer.

    def test_an_answer_has_these_members_and_no_others(self):
        g = self.gateway
        ids = self.fill("short", 30)
        full, rest, gap, empty = (
            g.poll("short", after=ids[20], limit=4),
            g.poll("short", after=ids[25]),
            g.poll("short", after=ids[3]), g.poll("short", after=ids[-1]))
        self.assertEqual(list(full), ["cursor", "events", "more", "retry"])
        self.assertEqual(list(rest), ["cursor", "events", "retry"])
        self.assertEqual(list(gap),
                         ["cursor", "events", "gap", "more", "retry"])
        self.assertEqual(list(empty), ["cursor", "events", "retry"])
        self.assertIs(full["more"], True)
        self.assertEqual(gap["gap"], {"reason": "trimmed", "after": ids[3],
                                      "first": ids[20]})
        self.assertEqual(empty, {"cursor": ids[-1], "events": [],
                                 "retry": 2000})
        # The gap is told once: the cursor is behind it from then on.
        self.assertNotIn("gap", g.poll("short", after=gap["cursor"]))

    def test_limits_are_kept_and_more_is_told(self):
        g = self.gateway
        ids = self.fill("a", 50)
        for limit, expected in ((None, 7), (1, 1), (19, 19), (20, 20),
                                (21, 20), (100000, 20)):
            answer = g.poll("a", after="start", limit=limit)
            self.assertEqual(self.ids(answer), ids[:expected], limit)
            self.assertEqual(answer["cursor"], ids[expected - 1])
        for limit in "0", "-1", "x", "", "1e3", "99999999999999999999":
            self.assertEqual(g.get(f"/stream/a?limit={limit}")[0], 400,
                             limit)
        # All of it, in answers of every size.
        for limit in 1, 3, 20:
            cursor, got, more = "start", [], True
            while more:
                answer = g.poll("a", after=cursor, limit=limit)
                got += self.ids(answer)
                cursor, more = answer["cursor"], answer.get("more")
            self.assertEqual(got, ids)

    def test_large_events_are_spread_over_answers(self):
        g = self.gateway
        for size in 700 << 10, 2 << 20, 10, 600 << 10, 10, 500 << 10:
            g.publish("a", "x" * size, Content_Type="text/plain")
        cursor, sizes, more = "start", [], True
        while more:
            answer = g.poll("a", after=cursor, wait=20)
            sizes.append([len(e["data"]) for e in answer["events"]])
            cursor, more = answer["cursor"], answer.get("more")
        self.assertEqual(sizes, [[700 << 10], [2 << 20], [10, 600 << 10, 10],
                                 [500 << 10]])

    def test_the_same_cursor_gives_the_same_answer(self):
        ids = self.fill("a", 40)
        self.fill("b", 3)
        with Wire(self.gateway.port) as w:
            for channels in "a", "a,b":
                for cursor in "start", ids[5], ids[33]:
                    for wait in 0, 20:
                        request = ask(channels, after=cursor, wait=wait)
                        first = self.exchange(w, request)
                        self.assertTrue(first["events"])
                        for _ in range(3):
                            self.assertEqual(self.exchange(w, request),
                                             first)

    def test_an_empty_answer_moves_the_cursor_past_other_channels(self):
        g = self.gateway
        mine = g.publish("a", 1)["id"]
        others = self.fill("b", 30)
        answer = g.poll("a", after=mine)
        self.assertEqual((answer["events"], answer["cursor"]),
                         ([], others[-1]))
        self.assertEqual(g.poll("a", after=answer["cursor"])["events"], [])
        self.assertNotIn("gap", g.poll("a", after=answer["cursor"]))

    def test_raw_events_are_payloads(self):
        g = self.gateway
        bodies = ['{"a": [1,  2]}', "text\nmore", '"quoted"', b"\xff\0"]
        for body in bodies:
            g.publish("a", body)
        answer = g.poll("a", after="start", format="raw")
        self.assertEqual(answer["events"], [
            {"a": [1, 2]}, "text\nmore", "quoted", "/wA="])
        self.assertIn("data", g.poll("a", after="start")["events"][0])

    def test_several_channels_are_merged_and_counted_together(self):
        g = self.gateway
        ids = g.batch([{"channel": "abc"[n % 3], "data": n}
                       for n in range(12)])
        answer = g.poll("c,a,b", after=ids[1], limit=5)
        self.assertEqual(self.ids(answer), ids[2:7])
        self.assertIs(answer["more"], True)
        with Wire(g.port) as w:
            w.send(ask("c,a,b", after=ids[-1], wait=20))
            self.waiting(1)
            live = g.publish("b", "live")["id"]
            self.assertEqual(self.ids(json.loads(w.response()[2])), [live])

    # Waiting.

    def test_prefer_asks_to_wait_and_the_parameter_is_stronger(self):
        g = self.gateway
        head = g.publish("a", 1)["id"]
        for prefer, params, waits in (
                ("wait=20", {}, True), ("WAIT = 20", {}, True),
                ("respond-async, wait=20", {}, True),
                ("wait=20", {"wait": 0}, False), ("wait=0", {}, False),
                ("wait=x", {}, False), ("respond-async", {}, False),
                ("wait=0", {"wait": 20}, True)):
            with Wire(g.port) as w:
                w.send(ask("a", [("Prefer", prefer)], after=head, **params))
                if waits:
                    self.waiting(1)
                    head = g.publish("a", 1)["id"]
                answer = json.loads(w.response()[2])
                self.assertEqual(len(answer["events"]), int(waits),
                                 (prefer, params))
                self.assertEqual(answer["cursor"], head)

    def test_a_poll_without_a_cursor_never_waits(self):
        head = self.gateway.publish("a", 1)["id"]
        for params in {"wait": 20}, {"transport": "long"}, {"wait": 0}:
            self.assertEqual(self.gateway.poll("a", **params)["cursor"], head)

    def test_waiting_ends_with_the_first_event_and_takes_its_batch_along(
            self):
        g = self.gateway
        head = g.publish("a", 1)["id"]
        with Wire(g.port) as w:
            w.send(ask("a", after=head, wait=20))
            self.waiting(1)
            g.publish("b", "of no interest")
            ids = self.fill("a", 5)
            self.assertEqual(self.ids(json.loads(w.response()[2])), ids)
            # More than one answer holds.
            w.send(ask("a", after=ids[-1], wait=20))
            self.waiting(1)
            more = self.fill("a", 10)
            answer = json.loads(w.response()[2])
            self.assertEqual(self.ids(answer), more[:7])
            self.assertIs(answer["more"], True)

    def test_a_hundred_polls_over_one_connection(self):
        g = self.gateway
        cursor = g.publish("a", 0)["id"]
        with Wire(g.port) as w:
            for n in range(100):
                w.send(ask("a", after=cursor, wait=20))
                self.waiting(1)
                event = g.publish("a", n)["id"]
                status, headers, body = w.response()
                answer = json.loads(body)
                self.assertEqual(status, 200)
                self.assertNotIn("connection", headers)
                self.assertEqual(self.ids(answer), [event])
                cursor = answer["cursor"]
        self.waiting(0)

    def test_many_wait_and_each_gets_the_event_once(self):
        g = self.gateway
        head = g.publish("a", 0)["id"]
        wires = [Wire(g.port) for _ in range(100)]
        for w in wires:
            w.send(ask("a", after=head, wait=20))
        self.waiting(100)
        ids = [g.publish("a", n)["id"] for n in range(3)]
        for w in wires:
            cursor, got = head, []
            answer = json.loads(w.response()[2])
            while True:
                got += self.ids(answer)
                cursor = answer["cursor"]
                if got == ids:
                    break
                answer = self.exchange(w, ask("a", after=cursor, wait=20))
            w.close()

    def test_a_client_that_goes_away_while_it_waits_is_noticed_at_once(self):
        g = self.gateway
        head = g.publish("a", 0)["id"]
        wires = [Wire(g.port) for _ in range(60)]
        for w in wires:
            w.send(ask("a", after=head, wait=50))
        self.waiting(60)
        connections = g.metric("connections")
        for i, w in enumerate(wires):
            w.reset() if i % 2 else w.close()
        # Nothing is published, and no timer is due.
        self.waiting(0)
        g.until(lambda: g.metric("connections") <= connections - 60)
        g.until_metric(60, "subscribers_closed_total", '{why="peer"}')
        self.assertEqual(g.publish("a", 1)["subscribers"]["long"], 0)

    def test_a_deleted_channel_answers_410_and_ends_the_wait(self):
        g = self.gateway
        head = g.publish("a", 0)["id"]
        with Wire(g.port) as w:
            w.send(ask("a,b", after=head, wait=20))
            self.waiting(1)
            self.assertEqual(g.api("DELETE", "/v1/channels/a")[0], 204)
            status, headers, body = w.response()
            self.assertEqual((status, headers["content-type"]),
                             (410, "application/problem+json"))
            self.assertEqual(json.loads(body)["status"], 410)

    def test_waiting_polls_are_answered_when_the_gateway_ends(self):
        g = self.gateway
        head = g.publish("a", 0)["id"]
        with Wire(g.port) as w:
            w.send(ask("a", after=head, wait=50))
            self.waiting(1)
            g.signal(signal.SIGTERM)
            status, headers, body = w.response()
            self.assertEqual((status, headers["connection"]), (200, "close"))
            self.assertEqual(json.loads(body), {
                "cursor": head, "events": [], "retry": 2000})
            self.assertEqual(w.rest(), b"")
        self.assertEqual(g.wait_end(), 0)
        g.start()
        self.assertEqual(g.poll("a", after=head)["events"], [])

    # Connections.

    def test_what_insists_on_another_transport_takes_nothing_away(self):
        g = self.gateway
        ids = self.fill("a", 5)
        for params, headers, expected in (
                ({"transport": "ws"}, (), 426),
                ({"transport": "ws"}, [("Accept", "text/event-stream")], 426),
                ({"transport": "sse"}, [("Accept", "application/json")], 406),
                ({"transport": "short"}, [("Accept", "text/html")], 406),
                ({"transport": "long"}, [("Upgrade", "websocket"),
                                         ("Connection", "Upgrade")], 406),
                ({"transport": "long"}, [("Accept", "text/event-stream")],
                 406),
                ({"transport": "carrier-pigeon"}, (), 400)):
            with Wire(g.port) as w:
                w.send(ask("a", headers, after="start", **params))
                status, answer, body = w.response()
                self.assertEqual(status, expected, (params, headers))
                self.assertEqual(answer["content-type"],
                                 "application/problem+json")
                self.assertNotIn(ids[0].encode(), body)
                # The connection is still good for what fits.
                self.assertEqual(
                    self.ids(self.exchange(w, ask("a", after="start"))), ids)

    def test_a_body_is_refused_with_what_follows_it(self):
        for framing, body in (("Content-Length", "3"), b"abc"), (
                ("Transfer-Encoding", "chunked"), b"0\r\n\r\n"):
            with Wire(self.gateway.port) as w:
                w.send(ask("a", [framing]) + body + ask("a"))
                self.assertEqual(w.response()[0], 400)
                self.assertEqual(w.rest(), b"")

    def test_a_client_may_ask_for_the_end_of_the_connection(self):
        g = self.gateway
        head = g.publish("a", 0)["id"]
        for wait in 0, 20:
            with Wire(g.port) as w:
                w.send(ask("a", [("Connection", "close")], after=head,
                           wait=wait))
                if wait:
                    self.waiting(1)
                    g.publish("a", 1)
                status, headers, _ = w.response()
                self.assertEqual((status, headers["connection"]),
                                 (200, "close"))
                self.assertEqual(w.rest(), b"")

    def test_http_1_0_is_answered_and_closed(self):
        g = self.gateway
        head = g.publish("a", 0)["id"]
        with Wire(g.port) as w:
            w.send(f"GET /stream/a?wait=20&after={head} HTTP/1.0\r\n\r\n"
                   .encode())
            self.waiting(1)
            event = g.publish("a", 1)["id"]
            _, _, body = w.response()
            self.assertEqual(self.ids(json.loads(body)), [event])
            self.assertEqual(w.rest(), b"")


class PollsThroughTheLibrary(Polls):
    conf = Polls.conf + "\nfirst-look = no"


class PollsFromTheStore(Polls):
    conf = Polls.conf + "\nwindow-events = 1"


class Pipelined(Scenario):
    def test_polls_that_wait_are_answered_in_their_order(self):
        g = self.gateway
        head = g.publish("a", 0)["id"]
        with Wire(g.port) as w:
            w.send(ask("a", after=head, wait=20) + ask("a", after="start") +
                   ask("b", after=head, wait=20) + ask("a"))
            g.until(lambda: g.metric("subscribers", WAITING) == 1)
            first = g.publish("a", 1)["id"]
            answer = json.loads(w.response()[2])
            self.assertEqual([e["id"] for e in answer["events"]], [first])
            answer = json.loads(w.response()[2])
            self.assertEqual([e["id"] for e in answer["events"]],
                             [head, first])
            g.until(lambda: g.metric("subscribers", WAITING) == 1)
            second = g.publish("b", 2)["id"]
            answer = json.loads(w.response()[2])
            self.assertEqual([e["id"] for e in answer["events"]], [second])
            answer = json.loads(w.response()[2])
            self.assertEqual((answer["events"], answer["cursor"]),
                             ([], second))

    def test_a_thousand_at_once(self):
        g = self.gateway
        ids = g.batch([{"channel": "a", "data": n} for n in range(1000)])
        script = b"".join(ask("a", after=c, limit=1)
                          for c in ["start"] + ids[:-1])
        with Wire(g.port) as w:
            # The answers are read meanwhile, or both sides would wait.
            sender = threading.Thread(target=w.send, args=(script,))
            sender.start()
            for event in ids:
                answer = json.loads(w.response()[2])
                self.assertEqual([e["id"] for e in answer["events"]],
                                 [event])
            sender.join()


class Pipeliner(Scenario):
    """One that has many requests on their way, and another with one."""

    workers = 1

    def test_the_other_one_waits_for_a_few_of_them_only(self):
        g = self.gateway
        with Wire(g.port) as many, Wire(g.api_port) as other:
            many.send(ask("a"))
            many.response()
            other.send(request_head("/metrics"))
            before = self.answered(other)
            # Both have asked by the time it looks.
            g.signal(signal.SIGSTOP)
            os.waitpid(g.process.pid, os.WUNTRACED)
            many.send(1000 * ask("a"))
            other.send(request_head("/metrics"))
            g.signal(signal.SIGCONT)
            self.assertLess(self.answered(other) - before, 500)
            for _ in range(1000):
                self.assertEqual(many.response()[0], 200)

    def answered(self, wire):
        body = wire.response()[2].decode()
        return int(re.search(r"^spillway_requests_first_look_total (\d+)$", body,
                             re.MULTILINE).group(1))


class HalfClosed(Scenario):
    """A client that says at once that it will ask nothing more."""

    workers = 1
    conf = 'message-max = 32m\nwindow-bytes = 256m\n'

    def test_a_large_answer_arrives_whole(self):
        g = self.gateway
        with EventStream(g.port, "/stream/a"):
            head = g.publish("a", "0")["id"]
            g.publish("a", '"' + 20_000_000 * "x" + '"')
            # More than there is room for on the way.
            with Wire(g.port) as w:
                w.send(ask("a", after=head))
                # Of TCP: TLS goes on.
                socket.socket.shutdown(w.s, socket.SHUT_WR)
                status, _, body = w.response()
                self.assertEqual(status, 200)
                self.assertEqual(len(json.loads(body)["events"]), 1)
                self.assertEqual(w.rest(), b"")

    def test_answers_out_of_the_store_arrive(self):
        g = self.gateway
        head = g.publish("b", 0)["id"]
        g.batch([{"channel": "b", "data": i} for i in range(2000)])
        for _ in range(50):
            wires = [Wire(g.port) for _ in range(4)]
            for w in wires:
                w.send(ask("b", after=head, limit=1000))
            for w in wires:
                socket.socket.shutdown(w.s, socket.SHUT_WR)
            for w in wires:
                status, _, body = w.response()
                self.assertEqual(status, 200)
                self.assertEqual(len(json.loads(body)["events"]), 1000)
                w.close()


class Waits(Scenario):
    conf = 'poll-wait = "1s"\npoll-wait-max = "2s"'

    def test_no_poll_waits_for_longer_than_it_may(self):
        """Without a bound these would still be waiting at the end of time."""
        g = self.gateway
        head = g.publish("a", 1)["id"]
        wires = []
        for params in ({"wait": 4294967295}, {"wait": 100},
                       {"transport": "long"},
                       {"transport": "long", "wait": 0}):
            w = Wire(g.port)
            w.send(ask("a", after=head, **params))
            wires.append(w)
        for w in wires:
            status, headers, body = w.response()
            self.assertEqual((status, json.loads(body)["events"]), (200, []))
            self.assertNotIn("connection", headers)
            w.close()
        for wait in "-1", "x", "", "4294967296", "1.5":
            self.assertEqual(g.get(f"/stream/a?wait={wait}")[0], 400, wait)


if __name__ == "__main__":
    main()
