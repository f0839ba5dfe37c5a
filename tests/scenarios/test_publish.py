"""Publishing: an event is stored and acknowledged, or refused."""

import json
import threading
import time

from gateway import (Gateway, Scenario, SseSubscriber, WebSocket, Wire,
                     WsSubscriber, main, request_head)
from post import (DOORS, Publisher, events_path, is_problem, lines, post)


class Single(Scenario):
    """One event a request, through both doors."""

    conf = """
message-max = "10k"
channel "memory" { durability = memory }
channel "full" { durability = full }
channel "room:*" { send = publish }
"""

    def setUp(self):
        super().setUp()
        self.publishers = [Publisher(self.gateway, chunked=door)
                           for door in DOORS]
        for p in self.publishers:
            self.addCleanup(p.close)

    def doors(self):
        return self.each(self.publishers)

    def newest(self, channel):
        return self.gateway.poll(channel, last=1)["events"][0]

    def test_the_answer_says_what_was_stored_and_who_listens(self):
        g = self.gateway
        listeners = [WsSubscriber(g, "a"), WsSubscriber(g, "a"),
                     SseSubscriber(g, "a")]
        for s in listeners:
            s.notice("caughtup")
        head = g.poll("a")["cursor"]
        for p in self.doors():
            with Wire(g.port) as waiting:
                waiting.send(request_head(f"/stream/a?wait=50&after={head}"))
                g.until(lambda: g.metric(
                    "subscribers", '{transport="long"}') == 1)
                before = time.time_ns() // 1000000
                status, headers, receipt = p.publish("a", '{"n": 1}')
                self.assertEqual(status, 201)
                self.assertEqual(headers["content-type"], "application/json")
                self.assertEqual(
                    set(receipt),
                    {"id", "time", "duplicate", "durable", "subscribers"})
                self.assertIs(receipt["duplicate"], False)
                self.assertEqual(receipt["durable"], "normal")
                self.assertEqual(receipt["subscribers"],
                                 {"ws": 2, "sse": 1, "long": 1})
                self.assertGreaterEqual(receipt["time"], before)
                self.assertLessEqual(receipt["time"],
                                     time.time_ns() // 1000000)
                self.assertEqual(waiting.response()[0], 200)
            for s in listeners:
                event = s.event()
                self.assertEqual(
                    event, {"id": receipt["id"], "channel": "a",
                            "type": "message", "time": receipt["time"],
                            "data": {"n": 1}})
            head = receipt["id"]

    def test_durable_names_what_holds_for_the_channel(self):
        for p in self.doors():
            for channel, durable in (("memory", "memory"), ("full", "full"),
                                     ("other", "normal")):
                self.assertEqual(p.publish(channel, "1")[2]["durable"],
                                 durable)

    def test_in_a_store_that_is_memory_nothing_is_durable(self):
        g = Gateway(store="memory")
        self.addCleanup(g.close)
        g.start()
        self.assertEqual(g.publish("a", 1)["durable"], "memory")

    def test_the_content_type_is_kept_or_found_out(self):
        text, binary = "héllo, {", b"\xff\x00\xfe"
        cases = (
            # Sent with, body, how the envelope tells it.
            (None, '{"a":1}', {"data": {"a": 1}}),
            (None, text, {"data": text}),
            (None, binary, {"contentType": "application/octet-stream",
                            "encoding": "base64", "data": "/wD+"}),
            ("application/x-www-form-urlencoded", "[1]", {"data": [1]}),
            ("application/json", "null", {"data": None}),
            ("Application/JSON; charset=utf-8", '"x"', {"data": "x"}),
            ("application/problem+json", '{"status":1}',
             {"contentType": "application/problem+json",
              "data": {"status": 1}}),
            ("text/plain", '{"a":1}', {"data": '{"a":1}'}),
            ("text/plain; charset=utf-8", text, {"data": text}),
            ("text/html", "<p>", {"contentType": "text/html",
                                  "data": "<p>"}),
            ("text/html", binary, {"contentType": "text/html",
                                   "encoding": "base64", "data": "/wD+"}),
            ("image/png", b"abc", {"contentType": "image/png",
                                   "encoding": "base64", "data": "YWJj"}),
            # In JSON there is no place for what is not UTF-8.
            ("image/png; title=\udce9", b"abc",
             {"contentType": "image/png", "encoding": "base64",
              "data": "YWJj"}),
            ("text/plain; title=\udce9", text, {"data": text}),
            ("\udce9/\udce9", b"abc",
             {"contentType": "application/octet-stream",
              "encoding": "base64", "data": "YWJj"}),
            ("image/png; title=é", b"abc",
             {"contentType": "image/png; title=é", "encoding": "base64",
              "data": "YWJj"}),
        )
        for p in self.doors():
            for sent, body, expected in cases:
                head = [("Content-Type", sent)] if sent else []
                status, _, receipt = p.publish("a", body, *head)
                self.assertEqual(status, 201, (sent, body))
                event = self.newest("a")
                self.assertEqual(event.pop("id"), receipt["id"])
                for name in ("channel", "type", "time"):
                    event.pop(name)
                self.assertEqual(event, expected, (sent, body))

    def test_a_body_that_is_not_the_json_it_claims_to_be_is_refused(self):
        for p in self.doors():
            for body in ("{", "", "{'a':1}", '{"a":1}x', b'"\xff"', "NaN",
                         "[" * 200 + "]" * 200):
                is_problem(self, *p.publish(
                    "a", body, ("Content-Type", "application/json")), 400)
        self.assertEqual(self.gateway.poll("a", after="start")["events"], [])

    def test_json_leaves_as_the_bytes_it_came_as(self):
        g = self.gateway
        body = (b'{"a":1.10,"b":12345678901234567890123,"c":1e400,"d":-0.0,'
                b'"a":"\\u00e9\\/\xc3\xa9", "e" : [ ] }')
        for p in self.doors():
            self.assertEqual(p.publish("a", body)[0], 201)

        def check():
            status, _, answer = g.request("GET", "/stream/a?after=start")
            self.assertEqual(status, 200)
            self.assertEqual(answer.count(b'"data":' + body), 2)
            ws = WebSocket(g.port, "/stream/a?after=start&format=raw")
            self.assertEqual([ws.read()[1] for _ in range(2)], [body] * 2)
            ws.close()

        check()
        g.restart()
        check()

    def test_binary_payloads_are_exact_to_the_byte(self):
        g = self.gateway
        body = bytes(range(256)) * 20
        for p in self.doors():
            self.assertEqual(p.publish(
                "a", body, ("Content-Type", "application/x-mine"))[0], 201)
        for turn in (lambda: None, g.restart):
            turn()
            ws = WebSocket(g.port, "/stream/a?after=start&format=raw")
            for _ in DOORS:
                self.assertEqual(ws.read(), (2, body))
            ws.close()

    def test_an_empty_body_is_an_event(self):
        for p in self.doors():
            status, _, receipt = p.publish("a", b"")
            self.assertEqual(status, 201)
            event = self.newest("a")
            self.assertEqual((event["id"], event["data"]),
                             (receipt["id"], ""))

    def test_the_event_type_is_kept_and_ours_are_reserved(self):
        for p in self.doors():
            for sent, kept in ((None, "message"), ("message", "message"),
                               ("note", "note"), ("x" * 128, "x" * 128),
                               ("com.example/é", "com.example/é"),
                               ("spillwayx", "spillwayx")):
                head = [("Event-Type", sent)] if sent else []
                self.assertEqual(p.publish("a", "1", *head)[0], 201, sent)
                self.assertEqual(self.newest("a")["type"], kept)
            for bad in ("spillway.", "spillway.gap", "x" * 129, "a\tb", ""):
                is_problem(self, *p.publish("b", "1", ("Event-Type", bad)),
                           400)
        self.assertEqual(self.gateway.poll("b", after="start")["events"], [])

    def test_channels_have_the_names_that_the_contract_allows(self):
        g = self.gateway
        for p in self.doors():
            for name in ("x" * 128, "A-Za.z_0~9:-", "."):
                self.assertEqual(p.publish(name, "1")[0], 201, name)
        for p in self.doors():
            for name, status in (
                    ("x" * 129, 400), ("a%20b", 400), ("a,b", 400),
                    ("a%00", 400), ("*", 400), ("", 404), ("a/b", 404)):
                with Publisher(g, p.chunked) as fresh:
                    is_problem(self, *fresh.publish(name, "1"), status)
        self.assertEqual(len(g.get("/v1/channels", api=True)[1]["channels"]),
                         3)

    def test_a_name_may_come_with_escapes(self):
        g = self.gateway
        escaped = "room%3A7%7e"
        ids = [self.gateway.api("POST", f"/v1/channels/{escaped}/events",
                                "1")[1]["id"]]
        event = json.dumps({"specversion": "1.0", "id": "1", "source": "/s",
                            "type": "t", "data": 2})
        status, answer = g.api(
            "POST", f"/v1/events?channel={escaped}", f"[{event}]",
            {"Content-Type": "application/cloudevents-batch+json"})
        self.assertEqual(status, 201, answer)
        ids += answer["ids"]
        status, _, body = g.request("POST", f"/stream/{escaped}", "3")
        self.assertEqual(status, 201, body)
        ids.append(json.loads(body)["id"])
        for name in (escaped, "room:7~"):
            self.assertEqual(
                [e["id"] for e in g.poll(name, after="start")["events"]], ids)
            page = g.get(f"/v1/channels/{name}/events", api=True)[1]
            self.assertEqual([e["id"] for e in page["events"]], ids)
            c = g.get(f"/v1/channels/{name}", api=True)[1]
            self.assertEqual(c["name"], "room:7~")
            listed = g.get(f"/v1/channels?prefix={name}", api=True)[1]
            self.assertEqual([c["name"] for c in listed["channels"]],
                             ["room:7~"])
        for bad in ("a%2", "a%zz", "a%2Fb", "a%00", "a%2520"):
            self.assertEqual(g.api("POST", f"/v1/channels/{bad}/events",
                                   "1")[0], 400, bad)
            self.assertEqual(g.request("POST", f"/stream/{bad}", "1")[0],
                             400, bad)

    def test_a_body_above_message_max_is_refused_and_smaller_ones_go_on(self):
        g = self.gateway
        for p in self.doors():
            self.assertEqual(p.publish("a", b"x" * 10240)[0], 201)
            with Publisher(g, p.chunked) as fresh:
                is_problem(self, *fresh.publish("a", b"x" * 10241), 413)
                self.assertEqual(fresh.publish("a", "1")[0], 201)
        # The length alone says it: nothing of the body need be sent.
        with Wire(g.api_port) as w:
            w.send(request_head(events_path("a"),
                                [("Content-Length", 10 ** 12)], "POST"))
            self.assertEqual(w.response()[0], 413)
            w.close()

    def test_a_coded_body_is_refused_since_nobody_would_decode_it(self):
        for p in self.doors():
            is_problem(self, *p.publish(
                "a", b"\x1f\x8b", ("Content-Encoding", "gzip")), 415)
            self.assertEqual(p.publish(
                "b", "1", ("Content-Encoding", "identity"))[0], 201)
        self.assertEqual(self.gateway.poll("a", after="start")["events"], [])


class SingleThroughTheLibrary(Single):
    conf = Single.conf + "\nfirst-look = no"


class Pipelining(Scenario):
    conf = 'message-max = "64k"'

    def ids(self, wire, count):
        ids = []
        for _ in range(count):
            status, _, body = wire.response()
            self.assertEqual(status, 201, body)
            ids.append(json.loads(body)["id"])
        return ids

    def stored(self, channel, **params):
        answer = self.gateway.poll(channel, after="start", limit=1000,
                                   **params)
        return [(e["id"], e["data"]) for e in answer["events"]]

    def test_answers_come_in_the_order_of_the_requests(self):
        g = self.gateway
        with Wire(g.api_port) as w:
            w.send(b"".join(post(events_path("a"), str(n))
                            for n in range(500)))
            ids = self.ids(w, 500)
        self.assertEqual(self.stored("a"), list(zip(ids, range(500))))

    def test_both_doors_take_turns_on_one_connection(self):
        g = self.gateway
        requests, n = [], 0
        for turn in range(20):
            for more in ({}, {}, {"headers": [("Trailer", "X")]}, {},
                         {"headers": [("ce-specversion", "1.0"),
                                      ("ce-id", str(turn)),
                                      ("ce-source", "/x"),
                                      ("ce-type", "t")]}):
                requests.append(post(events_path("a"), str(n), **more))
                n += 1
        with Wire(g.api_port) as w:
            w.send(b"".join(requests))
            ids = self.ids(w, n)
        self.assertEqual(self.stored("a"), list(zip(ids, range(n))))

    def test_a_refusal_in_the_middle_keeps_its_place(self):
        g = self.gateway
        with Wire(g.api_port) as w:
            w.send(post(events_path("a"), "1") +
                   post(events_path("a"), "{", [("Content-Type",
                                                 "application/json")]) +
                   post(events_path("a"), "2") +
                   post(events_path("a"), "3", [("Event-Type",
                                                 "spillway.x")]) +
                   request_head("/healthz") +
                   post(events_path("a"), "4"))
            statuses = [w.response()[0] for _ in range(6)]
        self.assertEqual(statuses, [201, 400, 201, 400, 200, 201])
        self.assertEqual([d for _, d in self.stored("a")], [1, 2, 4])

    def test_large_bodies_come_in_pieces_behind_small_ones(self):
        g = self.gateway
        bodies = [f'"{n}{"x" * (60000 if n % 5 == 0 else 10)}"'
                  for n in range(40)]
        with Wire(g.api_port) as w:
            sender = threading.Thread(
                target=w.send, daemon=True,
                args=(b"".join(post(events_path("a"), b) for b in bodies),))
            sender.start()
            ids = self.ids(w, 40)
            sender.join()
        self.assertEqual(self.stored("a"),
                         [(i, json.loads(b)) for i, b in zip(ids, bodies)])

    def test_what_a_large_body_is_shows_when_it_has_come(self):
        """Its event was made before."""
        g = self.gateway
        large = 50000
        cases = (
            # Sent with, body, how the envelope tells it.
            (None, b"[" + b" " * large + b"]", {"data": []}),
            (None, b"t" * large, {"data": "t" * large}),
            (None, b"\xff" * 30000,
             {"contentType": "application/octet-stream", "encoding": "base64",
              "data": "/" * 40000}),
            ("a/b+json", b"[" + b" " * large + b"]",
             {"contentType": "a/b+json", "data": []}),
            ("text/plain", b"p" * large, {"data": "p" * large}),
            ("a/b", b"\xff" * 30000,
             {"contentType": "a/b", "encoding": "base64",
              "data": "/" * 40000}),
            ("application/x-www-form-urlencoded", b"f" * large,
             {"data": "f" * large}),
        )
        with Wire(g.api_port) as w:
            for sent, body, expected in cases:
                head = [("Event-Type", "kind")]
                head += [("Content-Type", sent)] if sent else []
                request = post(events_path("a"), body, head)
                # In two halves, and a small one right behind.
                w.send(request[:len(request) // 2])
                w.send(request[len(request) // 2:] +
                       post(events_path("b"), "1"))
                ids = self.ids(w, 2)
                event = g.poll("a", last=1)["events"][0]
                self.assertEqual(event.pop("id"), ids[0])
                self.assertEqual(event.pop("type"), "kind")
                event.pop("time"), event.pop("channel")
                self.assertEqual(event, expected, sent)
        self.assertEqual(len(self.stored("b")), len(cases))

    def test_bytes_that_come_one_by_one_make_the_same_event(self):
        g = self.gateway
        for chunked in DOORS:
            with Wire(g.api_port) as w:
                for byte in post(events_path("a"), '{"n": 1}',
                                 chunked=chunked):
                    w.send(bytes([byte]))
                self.ids(w, 1)
        self.assertEqual([d for _, d in self.stored("a")], [{"n": 1}] * 2)

    def test_a_client_that_expects_100_is_told_to_go_on(self):
        g = self.gateway
        head = [("Expect", "100-continue")]
        with Wire(g.api_port) as w:
            # Alone, and behind others on its connection.
            for before in (b"", post(events_path("a"), "0")):
                whole = post(events_path("a"), '"body"', head)
                w.send(before + whole[:-6])
                if before:
                    self.ids(w, 1)
                self.assertEqual(w.until(b"\r\n\r\n").split(b"\r\n")[0],
                                 b"HTTP/1.1 100 Continue")
                w.send(whole[-6:])
                self.ids(w, 1)
        with Wire(g.api_port) as w:
            w.send(request_head(events_path("a"), head +
                                [("Content-Length", 10 ** 9)], "POST"))
            self.assertEqual(w.response()[0], 413)

    def test_who_closes_the_sending_side_still_gets_all_answers(self):
        g = self.gateway
        with Wire(g.api_port) as w:
            w.send(b"".join(post(events_path("a"), str(n))
                            for n in range(50)))
            w.s.shutdown(1)
            self.ids(w, 50)
            self.assertEqual(w.rest(), b"")

    def test_the_connection_closes_when_it_was_asked_to(self):
        g = self.gateway
        for chunked in DOORS:
            with Wire(g.api_port) as w:
                w.send(post(events_path("a"), "1",
                            [("Connection", "close")], chunked))
                status, headers, _ = w.response()
                self.assertEqual((status, headers["connection"]),
                                 (201, "close"))
                self.assertEqual(w.rest(), b"")


class Tokens(Scenario):
    """With an api-token every call of the API needs one of them."""

    first, second = "first-token-0123456789", "second-token-0123456789"
    conf = f'api-token = {{ "{first}", "{second}" }}'

    def test_only_a_right_token_publishes(self):
        g = self.gateway
        for chunked in DOORS:
            for value in (None, "Bearer wrong", "Bearer", "Bearer " +
                          self.first[:-1], "Bearer " + self.first + "x",
                          "Basic " + self.first, self.first):
                head = [("Authorization", value)] if value else []
                with Publisher(g, chunked) as p:
                    status, headers, problem = p.publish("a", "1", *head)
                    is_problem(self, status, headers, problem, 401)
                    # RFC 9110 15.5.2: a 401 says how to do better.
                    self.assertTrue(headers["www-authenticate"].startswith(
                        "Bearer"))
            with Publisher(g, chunked) as p:
                for token in (self.first, self.second):
                    for scheme in ("Bearer ", "bearer "):
                        self.assertEqual(p.publish(
                            "a", "1", ("Authorization", scheme + token))[0],
                            201)
                    self.assertEqual(p.batch(
                        lines([{"channel": "b", "data": 1}]),
                        ("Authorization", "Bearer " + token))[0], 201)
        self.assertEqual(len(g.poll("a", after="start")["events"]), 8)

    def test_the_rest_of_the_api_asks_for_it_too(self):
        g = self.gateway
        for method, path in (("POST", "/v1/events"), ("GET", "/metrics"),
                             ("GET", "/v1/channels"), ("GET", "/v1/stats"),
                             ("GET", "/v1/connections"),
                             ("DELETE", "/v1/channels/a"),
                             ("DELETE", "/v1/connections/1"),
                             ("GET", "/v1/channels/a/events"),
                             ("GET", "/nowhere")):
            status, headers, _ = g.request(method, path, api=True)
            self.assertEqual(status, 401, path)
            self.assertIn("www-authenticate", headers)
        for path in ("/healthz", "/readyz"):
            self.assertEqual(g.request("GET", path, api=True)[0], 200)


if __name__ == "__main__":
    main()
