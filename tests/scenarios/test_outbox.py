"""What is stored for the backend reaches it, and what becomes of the rest."""

import json
import os
import sqlite3
import threading
import unittest

from bridge_backend import SECRET, TAKEN, Told
from gateway import EventStream, Gateway, WebSocket, Wire
from post import post


class Stored(Told, unittest.TestCase):
    more = ""

    def setUp(self):
        self.open_backend()
        self.gateway = Gateway(f"""
backend = "http://127.0.0.1:{self.backend.port}"
bridge-secret = "{SECRET}"
send = bridge
message-mode = queue
backend-fail-time = "50ms"
outbox-retry-max = "100ms"
channel "told*" {{ bridge-presence = yes }}
{self.more}
""")
        self.addCleanup(self.gateway.close)
        self.gateway.start()

    def post(self, body, query="", channel="room"):
        return self.gateway.request(
            "POST", f"/stream/{channel}{query}", json.dumps(body),
            {"Content-Type": "application/json"})[0]

    def bodies(self, count):
        return [json.loads(e.body) for e in self.backend.wait(count)]

    def until_metric(self, name, value):
        self.gateway.until(lambda: self.gateway.metric(name) == value,
                           f"{name} {value}")


class Messages(Stored):
    def test_a_message_is_taken_when_it_is_stored(self):
        self.assertEqual(self.post({"n": 1}), 202)
        event = self.backend.wait(1)[0]
        self.assertEqual(event.type, "spillway.message")
        self.assertEqual(event.headers["ce-channel"], "room")
        self.assertEqual(event.headers["Content-Type"], "application/json")
        self.assertEqual(json.loads(event.body), {"n": 1})
        self.assertTrue(event.signed_by())
        self.until_metric("outbox_delivered_total", 1)
        self.until_metric("outbox_waiting", 0)

    def test_a_websocket_is_told_so_too(self):
        ws = WebSocket(self.gateway.port, "/stream/room")
        self.addCleanup(ws.close)
        ws.command(op="send", channel="room", data=[1], ref=1)
        while True:
            message = json.loads(ws.read()[1])
            if "op" in message:
                break
        self.assertEqual(message, {"op": "ok", "ref": 1})
        self.assertEqual(self.bodies(1), [[1]])

    def test_nobody_needs_to_be_there(self):
        self.away()
        for n in range(20):
            self.assertEqual(self.post(n, "?session=s"), 202)
        self.gateway.until_metric(20, "outbox_waiting")
        # A restart forgets none.
        self.assertEqual(self.gateway.stop(), 0)
        self.gateway.start()
        self.back()
        self.assertEqual(self.bodies(20), list(range(20)))

    def test_a_file_that_was_renamed_takes_none(self):
        """What it took would end with the process: nobody is told else."""
        self.away()
        path = self.gateway.store + "-outbox"
        self.assertEqual(self.post(1, "?session=s"), 202)
        taken = [1]
        os.rename(path, path + ".aside")

        def refused():
            status = self.post(2, "?session=s")
            if status == 202:
                taken.append(2)
            return status == 503

        self.gateway.until(refused, "that it is missed")
        os.rename(path + ".aside", path)
        self.gateway.until(lambda: self.post(3, "?session=s") == 202,
                           "that it is back")
        self.back()
        self.assertEqual(self.bodies(len(taken) + 1), taken + [3])

    def test_a_failing_backend_has_its_next_chance_later(self):
        failures = iter([500, 503, 429, 502, 408, 425, 300])

        def says(event):
            return next(failures, 204), None, b""

        self.says = says
        self.assertEqual(self.post(1), 202)
        events = self.backend.wait(8)
        self.until_metric("outbox_delivered_total", 1)
        self.assertEqual(len({e.headers["webhook-id"] for e in events}), 1)
        self.assertEqual(len({e.headers["ce-time"] for e in events}), 1)
        self.assertTrue(all(e.signed_by() for e in events))
        self.gateway.until_metric(7, "outbox_retries_total")

    def test_a_refusal_is_an_answer(self):
        for count, status in enumerate((422, 400, 499), 1):
            self.says = (status, None, b"")
            self.assertEqual(self.post(1), 202)
            self.until_metric("outbox_refused_total", count)
        self.until_metric("outbox_waiting", 0)
        self.assertEqual(len(self.backend.events), 3)
        self.gateway.until_metric(0, "outbox_dead")

    def test_one_that_fails_holds_up_its_own_connection_alone(self):
        def says(event):
            return (500 if event.body == b'"bad"' else 204), None, b""

        self.says = says
        first = WebSocket(self.gateway.port, "/stream/room",
                          protocol="spillway.raw")
        self.addCleanup(first.close)
        first.say('"bad"')
        self.backend.wait(1)
        first.say('"behind"')
        for n in range(10):
            self.assertEqual(self.post(n), 202)
        self.until_metric("outbox_delivered_total", 10)
        self.assertNotIn(b'"behind"', [e.body for e in self.backend.events])
        self.says = TAKEN
        self.until_metric("outbox_delivered_total", 12)
        bodies = [e.body for e in self.backend.events]
        self.assertLess(max(i for i, b in enumerate(bodies) if b == b'"bad"'),
                        bodies.index(b'"behind"'))

    def test_what_it_publishes_is_published_once(self):
        said = []

        def says(event):
            said.append(event)
            return 200, "application/spillway+json", json.dumps({
                "publish": [{"data": len(said)}]}).encode()

        self.says = says
        self.assertEqual(self.post(1, "?session=s&seq=1"), 202)
        self.until_metric("outbox_delivered_total", 1)
        # The same message again: the backend sees it, the channel does not.
        self.assertEqual(self.post(1, "?session=s&seq=1"), 202)
        self.until_metric("outbox_delivered_total", 2)
        self.assertEqual(len({e.headers["webhook-id"] for e in said}), 1)
        answer = self.gateway.poll("room", after="start")
        self.assertEqual([e["data"] for e in answer["events"]], [1])


class Chatty(Stored):
    more = "message-max = 1k\n"

    def test_an_answer_that_is_too_large_is_an_answer(self):
        """What it was given it has: it is not asked again for an age."""
        for status in 200, 404:
            self.says = (status, "text/html", bytes(1 << 17))
            self.assertEqual(self.post(status, "?session=s"), 202)
        self.until_metric("outbox_refused_total", 2)
        self.until_metric("outbox_waiting", 0)
        self.assertEqual(len(self.backend.events), 2)
        # A failure is one however much is said about it.
        self.says = (500, "text/html", bytes(1 << 17))
        self.assertEqual(self.post(1, "?session=s"), 202)
        self.backend.wait(4)
        self.says = TAKEN
        self.until_metric("outbox_delivered_total", 1)


class Patience(Stored):
    more = 'bridge-timeout = "5m"\n'

    def test_one_that_is_told_to_slow_down_holds_up_nobody_else(self):
        go_on, statuses = threading.Event(), iter([429])
        self.addCleanup(go_on.set)

        def says(event):
            if event.body != b'"bad"':
                return TAKEN
            status = next(statuses, 204)
            if status == 204:
                go_on.wait()
            return status, None, b""

        self.says = says
        self.assertEqual(self.post("bad"), 202)
        self.backend.wait(2)
        # It is on its way for the second time, and stays so.
        for n in range(10):
            self.assertEqual(self.post(n), 202)
        self.until_metric("outbox_delivered_total", 10)
        go_on.set()
        self.until_metric("outbox_delivered_total", 11)
        self.gateway.until_metric(1, "outbox_retries_total")


class Ends(Stored):
    more = 'close-timeout = "100ms"\n'

    def test_the_end_of_a_stream_waits_for_the_backend(self):
        ws = WebSocket(self.gateway.port, "/stream/told")
        es = EventStream(self.gateway.port, "/stream/told")
        ws.read(), es.block()
        self.until_metric("outbox_delivered_total", 2)
        self.away()
        ws.close(), es.close()
        self.until_metric("outbox_waiting", 2)
        self.back()
        ends = self.backend.wait(4)[2:]
        self.assertEqual({e.type for e in ends}, {"spillway.disconnect"})
        self.assertEqual({e.headers["ce-transport"] for e in ends},
                         {"ws", "sse"})

    def test_streams_that_end_with_the_gateway_are_told_after_it(self):
        streams = [EventStream(self.gateway.port, "/stream/told")
                   for _ in range(20)]
        for es in streams:
            self.addCleanup(es.close)
            es.block()
        self.until_metric("outbox_delivered_total", 20)
        self.away()
        self.assertEqual(self.gateway.stop(), 0)
        self.back()
        self.gateway.start()
        ends = self.backend.wait(40)[20:]
        self.assertEqual(
            {(e.type, json.loads(e.body)["reason"]) for e in ends},
            {("spillway.disconnect", "restart")})


class DeadLetters(Stored):
    def die(self, count, says=(500, None, b"")):
        self.gateway.configure(self.conf_text().replace(
            "outbox-retry-max", 'outbox-max-age = "10ms"\noutbox-retry-max'))
        self.gateway.restart()
        self.says = says
        for n in range(count):
            self.assertEqual(self.post(n), 202)
        self.until_metric("outbox_dead", count)
        self.gateway.until_metric(0, "outbox_waiting")
        self.gateway.until_metric(count, "outbox_dead_total")

    def conf_text(self):
        with open(self.gateway.conf_path, encoding="utf-8") as f:
            text = f.read()
        return text[text.index('web-root = "off"') + len('web-root = "off"'):]

    def letters(self, query=""):
        status, answer = self.gateway.api("GET", "/v1/outbox/dead" + query)
        self.assertEqual(status, 200, answer)
        return answer["letters"]

    def test_what_is_too_old_is_dead_and_can_be_sent_again_or_dropped(self):
        self.die(4)
        letters = self.letters()
        self.assertEqual([l["data"] for l in letters], ["0", "1", "2", "3"])
        self.assertEqual({(l["type"], l["channel"], l["reason"])
                          for l in letters},
                         {("spillway.message", "room",
                           "The backend answered 500.")})
        self.assertEqual([l["data"] for l in self.letters(
            f"?after={letters[0]['id']}&limit=2")], ["1", "2"])
        # They outlive the gateway.
        self.gateway.restart()
        self.assertEqual(self.letters(), letters)
        self.assertEqual(self.gateway.api("GET", "/v1/outbox"), (200, {
            "healthy": True, "waiting": 0, "bytes": 0, "dead": 4}))
        self.says = TAKEN
        one = f"/v1/outbox/dead/{letters[1]['id']}"
        seen = len(self.backend.events)
        self.assertEqual(self.gateway.api("POST", one), (200, {"count": 1}))
        event = self.backend.wait(seen + 1)[seen]
        self.assertEqual(event.body, b"1")
        self.assertEqual(event.headers["webhook-id"],
                         letters[1]["webhookId"])
        self.assertEqual(self.gateway.api("POST", one)[0], 404)
        two = f"/v1/outbox/dead/{letters[2]['id']}"
        self.assertEqual(self.gateway.api("DELETE", two), (200, {"count": 1}))
        self.assertEqual(self.gateway.api("DELETE", two)[0], 404)
        self.assertEqual([l["data"] for l in self.letters()], ["0", "3"])
        self.assertEqual(self.gateway.api("POST", "/v1/outbox/dead"),
                         (200, {"count": 2}))
        self.assertEqual(
            {e.body for e in self.backend.wait(seen + 3)[seen + 1:]},
            {b"0", b"3"})
        self.assertEqual(self.letters(), [])
        self.gateway.until_metric(0, "outbox_dead")

    def test_what_the_file_refuses_has_not_happened(self):
        self.die(1)
        db = sqlite3.connect(self.gateway.store + "-outbox", timeout=60)
        self.addCleanup(db.close)
        with db:
            db.execute("CREATE TRIGGER broken BEFORE DELETE ON letter BEGIN "
                       "SELECT RAISE(ABORT, 'a test says so'); END")
        one = f"/v1/outbox/dead/{self.letters()[0]['id']}"
        self.assertEqual(self.gateway.api("DELETE", one)[0], 503)
        self.assertEqual(len(self.letters()), 1)
        with db:
            db.execute("DROP TRIGGER broken")
        self.assertEqual(self.gateway.api("DELETE", one), (200, {"count": 1}))

    def test_what_the_backend_says_of_it_is_quoted_in_the_log(self):
        detail = 'not now id=7 level="error"'
        self.die(1, (429, "application/json",
                     json.dumps({"detail": detail}).encode()))
        self.assertEqual(self.letters()[0]["reason"], detail)
        self.gateway.wait_log(r'why="not now id=7 level=\\"error\\""$')

    def test_what_the_backend_says_of_it_is_cut_between_characters(self):
        detail = "é" * 200
        self.die(1, (429, "text/plain", detail.encode()))
        self.assertEqual(self.letters()[0]["reason"], detail[:127])

    def test_they_are_listed_whatever_type_they_say_they_have(self):
        self.die(1)
        with Wire(self.gateway.port) as wire:
            wire.send(post("/stream/room", b"x",
                           [("Content-Type", "a/b; title=\udce9")]))
            self.assertEqual(wire.response()[0], 202)
        self.gateway.until_metric(2, "outbox_dead")
        self.assertEqual([l["contentType"] for l in self.letters()],
                         ["application/json", "a/b"])

    def test_all_can_be_dropped(self):
        self.die(3)
        self.assertEqual(self.gateway.api("DELETE", "/v1/outbox/dead"),
                         (200, {"count": 3}))
        self.assertEqual(self.letters(), [])

    def test_there_is_no_other_call(self):
        for method, path, status in (
                ("GET", "/v1/outbox/dead/1", 404),
                ("GET", "/v1/outbox/live", 404),
                ("POST", "/v1/outbox", 405), ("PUT", "/v1/outbox/dead", 405),
                ("GET", "/v1/outbox/dead?limit=x", 400),
                ("DELETE", "/v1/outbox/dead/0", 404)):
            self.assertEqual(self.gateway.api(method, path)[0], status, path)


class Full(Stored):
    more = 'outbox-max-bytes = 1k\n'

    def test_what_has_no_room_is_refused(self):
        self.away()
        statuses = [self.post("x" * 200) for _ in range(10)]
        self.assertEqual(set(statuses), {202, 503})
        self.assertEqual(statuses, sorted(statuses))

    def test_of_coming_and_going_the_end_has_always_room(self):
        self.away()
        ws = WebSocket(self.gateway.port, "/stream/told")
        self.addCleanup(ws.close)
        for n in range(40):
            ws.command(op="subscribe", channel=f"told-{n}", ref=n)
        for n in range(40):
            while json.loads(ws.read()[1]).get("ref") != n:
                pass

        def lost():
            return sum("lost=overloaded" in line for line in self.gateway.lines)

        self.gateway.until(
            lambda: self.gateway.metric("outbox_waiting") + lost() == 41,
            "what became of them")
        waiting = 41 - lost()
        self.assertIn(waiting, range(1, 41))
        self.assertLessEqual(self.gateway.metric("outbox_bytes"), 1024)
        # The attempts that failed are among them.
        self.assertGreaterEqual(self.gateway.metric(
            "bridge_events_total",
            '{type="spillway.subscribe",outcome="refused"}'), lost())
        ws.close()
        self.until_metric("outbox_waiting", waiting + 1)
        self.back()
        told = self.backend.wait(waiting + 1)
        self.assertEqual([e.type for e in told],
                         ["spillway.subscribe"] * waiting +
                         ["spillway.disconnect"])


class TooManyChannels(Stored):
    more = "max-channels = 2\n"

    def test_what_its_answer_publishes_waits_for_room(self):
        """For two new channels there is none while that stream is there."""
        self.says = (200, "application/spillway+json", json.dumps(
            {"publish": [{"channel": "b", "data": 1},
                         {"channel": "c", "data": 2}]}).encode())
        stream = EventStream(self.gateway.port, "/stream/a")
        self.addCleanup(stream.close)
        stream.block()
        self.assertEqual(self.post(1), 202)
        self.gateway.until(lambda: self.gateway.metric(
            "outbox_retries_total") > 0, "a second chance")
        stream.close()
        self.until_metric("outbox_delivered_total", 1)
        self.assertEqual(self.gateway.metric("outbox_refused_total"), 0)
        for channel, data in (("b", 1), ("c", 2)):
            events = self.gateway.poll(channel, after="start")["events"]
            self.assertEqual([e["data"] for e in events], [data])


if __name__ == "__main__":
    unittest.main()
