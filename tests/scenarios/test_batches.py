"""Batches and CloudEvents: all of it is stored, or nothing, and which line."""

import base64
import json

from gateway import Scenario, TRANSPORTS, Wire, main, request_head
from post import (DOORS, Publisher, events_path, is_problem, lines, post)

CLOUD_JSON = ("Content-Type", "application/cloudevents+json")
CLOUD_BATCH = ("Content-Type", "application/cloudevents-batch+json")


def cloud(**more):
    return {"specversion": "1.0", "id": "1", "source": "/s", "type": "t",
            **more}


class Batches(Scenario):
    conf = """
message-max = "1k"
batch-max = "2m"
"""

    def setUp(self):
        super().setUp()
        self.publishers = [Publisher(self.gateway, chunked=door)
                           for door in DOORS]
        for p in self.publishers:
            self.addCleanup(p.close)

    def stored(self, channel="a"):
        return self.gateway.poll(channel, after="start",
                                 limit=1000)["events"]

    def test_a_batch_goes_to_channels_with_types_and_keys(self):
        g = self.gateway
        head = g.poll("a,b")["cursor"]
        body = lines([{"channel": "a", "data": {"n": 1}},
                      {"channel": "b", "type": "note", "data": "text"},
                      {"channel": "a", "key": "k", "data": None}])
        status, headers, receipt = self.publishers[0].batch(body)
        self.assertEqual(status, 201)
        self.assertEqual(headers["content-type"], "application/json")
        self.assertEqual(set(receipt), {"count", "duplicates", "ids"})
        self.assertEqual((receipt["count"], receipt["duplicates"]), (3, 0))
        for transport in self.each():
            s = transport(g, "a,b", head)
            self.assertEqual(
                [(e["id"], e["channel"], e["type"], e["data"])
                 for e in s.events(3)],
                list(zip(receipt["ids"], "aba", ("message", "note", "message"),
                         ({"n": 1}, "text", None))))
            s.close()

    def test_lines_may_end_and_be_spaced_as_writers_do(self):
        line = '{"channel":"a","data":%d}'
        for p in self.each(self.publishers):
            for body in (line % 1, line % 1 + "\n", line % 1 + "\r\n",
                         f"\n\n  {line % 1}  \r\n\r\n\n"):
                self.assertEqual(p.batch(body)[2]["count"], 1, body)
            status, _, receipt = p.batch(line % 1 + "\r\n" + line % 2)
            self.assertEqual((status, receipt["count"]), (201, 2))
        self.assertEqual([e["data"] for e in self.stored()],
                         [1, 1, 1, 1, 1, 2] * 2)

    def test_json_of_a_batch_leaves_as_the_bytes_it_came_as(self):
        g = self.gateway
        data = '{"a": 1.10,"b":12345678901234567890123, "a":"\\u00e9"}'
        for p in self.each(self.publishers):
            self.assertEqual(
                p.batch('{"channel":"a","data":%s }' % data)[0], 201)
        status, _, body = g.request("GET", "/stream/a?after=start")
        self.assertEqual(status, 200)
        self.assertEqual(body.decode().count('"data":' + data), 2)

    def test_a_batch_is_one_transaction(self):
        g = self.gateway
        before = g.metric("store_commits_total")
        g.batch([{"channel": f"c{n % 7}", "data": n} for n in range(5000)])
        g.until_metric(before + 1, "store_commits_total")

    def test_ten_thousand_lines_arrive_whole_and_in_order(self):
        g = self.gateway
        ids = g.batch([{"channel": "a", "data": n} for n in range(10000)])
        for transport in self.each():
            s = transport(g, "a", "start", limit=1000)
            events = s.events(10000)
            self.assertEqual([e["id"] for e in events], ids)
            self.assertEqual([e["data"] for e in events], list(range(10000)))
            s.close()

    def test_every_bad_line_is_told_by_number_and_nothing_is_stored(self):
        g = self.gateway
        head = g.publish("a", 0)["id"]
        good = '{"channel":"a","data":1}'
        bad = ("nonsense", "[]", '{"data":1}', '{"channel":"a"}',
               '{"channel":"no such name","data":1}',
               '{"channel":7,"data":1}', '{"channel":"a","data":1,"x":1}',
               '{"channel":"a","data":1,"type":"spillway.x"}',
               '{"channel":"a","data":1,"type":7}',
               '{"channel":"a","data":1,"key":""}',
               '{"channel":"a","data":1,"key":"%s"}' % ("x" * 256),
               '{"channel":"a","data":1,"key":7}',
               '{"channel":"a","data":1} {"channel":"a","data":1}',
               '{"channel":"a","data":01}')
        for p in self.each(self.publishers):
            status, headers, problem = p.batch(
                good + "\n\n" + "\n".join(bad) + "\n" + good)
            is_problem(self, status, headers, problem, 400)
            self.assertEqual([l["line"] for l in problem["lines"]],
                             list(range(3, 3 + len(bad))))
            for line in problem["lines"]:
                self.assertTrue(line["detail"])
        self.assertEqual([e["id"] for e in self.stored()], [head])
        self.assertEqual(g.poll("a")["cursor"], head)

    def test_of_very_many_bad_lines_the_first_hundred_are_told(self):
        for p in self.each(self.publishers):
            status, headers, problem = p.batch("x\n" * 5000)
            is_problem(self, status, headers, problem, 400)
            self.assertEqual([l["line"] for l in problem["lines"]],
                             list(range(1, 101)))

    def test_a_key_of_a_refused_batch_was_never_used(self):
        g = self.gateway
        p = self.publishers[0]
        self.assertEqual(p.batch(lines([{"channel": "a", "key": "k",
                                         "data": 1}]) + "bad")[0], 400)
        self.assertIs(g.publish("a", 2, Idempotency_Key="k")["duplicate"],
                      False)
        self.assertEqual([e["data"] for e in self.stored()], [2])

    def test_limits_are_named_and_nothing_is_stored(self):
        g = self.gateway
        line = '{"channel":"a","data":1}\n'
        for p in self.each(self.publishers):
            is_problem(self, *p.batch(b""), 400)
            is_problem(self, *p.batch(b"\r\n \n"), 400)
            status, headers, problem = p.batch(line * 10001)
            is_problem(self, status, headers, problem, 413)
            self.assertIn("batch-events-max", problem["detail"])
            large = lines([{"channel": "a", "data": 1},
                           {"channel": "a", "data": "x" * 1100}])
            status, headers, problem = p.batch(large)
            is_problem(self, status, headers, problem, 413)
            self.assertEqual(problem["lines"][0]["line"], 2)
            self.assertIn("message-max", problem["lines"][0]["detail"])
            with Publisher(g, p.chunked) as fresh:
                status, headers, problem = fresh.batch(
                    b" " * (2 << 20) + line.encode())
                is_problem(self, status, headers, problem, 413)
                self.assertIn("batch-max", problem["detail"])
        self.assertEqual(self.stored(), [])

    def test_a_coded_batch_is_refused(self):
        for p in self.each(self.publishers):
            is_problem(self, *p.batch(lines([{"channel": "a", "data": 1}]),
                                      ("Content-Encoding", "gzip")), 415)

    def test_a_batch_cut_off_by_its_client_is_not_stored_in_part(self):
        g = self.gateway
        whole = post("/v1/events", lines([{"channel": "a", "data": n}
                                          for n in range(1000)]))
        for end in (Wire.reset, Wire.close):
            w = Wire(g.api_port)
            w.send(whole[:-10])
            end(w)
        # The next one on another connection is answered after those ended.
        g.until(lambda: g.metric("connections") <= 3)
        self.assertEqual(g.poll("a")["events"], [])
        self.assertEqual(len(self.stored()), 0)

    def test_batches_on_one_connection_are_answered_in_order(self):
        g = self.gateway
        with Wire(g.api_port) as w:
            for n in range(10):
                w.send(post("/v1/events", lines(
                    [{"channel": "a", "data": [n, k]} for k in range(20)])))
                w.send(post(events_path("a"), str([n, "one"])
                            .replace("'", '"')))
            ids = []
            for _ in range(20):
                status, _, body = w.response()
                self.assertEqual(status, 201)
                receipt = json.loads(body)
                ids += receipt.get("ids") or [receipt["id"]]
        stored = self.stored()
        self.assertEqual([e["id"] for e in stored], ids)
        self.assertEqual([e["data"] for e in stored],
                         [[n, k] for n in range(10)
                          for k in list(range(20)) + ["one"]])


class CloudEvents(Scenario):
    def setUp(self):
        super().setUp()
        self.publishers = [Publisher(self.gateway, chunked=door)
                           for door in DOORS]
        for p in self.publishers:
            self.addCleanup(p.close)

    def newest(self, channel="a"):
        return self.gateway.poll(channel, last=1)["events"][0]

    def binary(self, p, body, content_type=None, **attributes):
        head = [("ce-" + k, v) for k, v in cloud(**attributes).items()
                if v is not None]
        if content_type:
            head.append(("Content-Type", content_type))
        return p.publish("a", body, *head)

    def test_binary_mode_takes_the_type_the_key_and_the_body(self):
        for p in self.each(self.publishers):
            n = p.name
            status, _, first = self.binary(
                p, b"\x00\xff", "image/png", id=n, type="com.example.x",
                time="2026-11-21T00:00:00Z", subject="s", extension="e")
            self.assertEqual((status, first["duplicate"]), (201, False))
            event = self.newest()
            self.assertEqual(
                (event["type"], event["contentType"], event["data"]),
                ("com.example.x", "image/png", "AP8="))
            status, _, again = self.binary(p, "other", id=n)
            self.assertEqual((status, again["duplicate"], again["id"]),
                             (200, True, first["id"]))
            # The id is unique within its source only.
            status, _, other = self.binary(p, "1", id=n, source="/t")
            self.assertEqual((status, other["duplicate"]), (201, False))

    def test_binary_mode_may_have_no_data(self):
        for p in self.each(self.publishers):
            status, _, answer = self.binary(p, "", "application/json",
                                            id=p.name)
            self.assertEqual(status, 201, answer)
            self.assertEqual(self.newest()["data"], "")

    def test_attributes_in_headers_are_unquoted_and_percent_decoded(self):
        for p in self.each(self.publishers):
            for sent, kept in (("Euro%20%E2%82%AC%20%F0%9F%98%80",
                                "Euro € 😀"), ('"a \\"b\\" %25"', 'a "b" %'),
                               ("100%25", "100%"), ("a+b", "a+b")):
                status, _, answer = self.binary(p, "1", id=p.name + sent,
                                                type=sent)
                self.assertEqual(status, 201, (sent, answer))
                self.assertEqual(self.newest()["type"], kept)
            for bad in ("50%", "%zz", "%00", '""'):
                is_problem(self, *self.binary(p, "1", id="x", type=bad), 400)

    def test_keys_of_different_sources_never_meet(self):
        """`a#b` with id `c` is another event than `a` with id `b#c`."""
        p = self.publishers[0]
        for source, name in (("a#b", "c"), ("a", "b#c"), ("a%23b", "c%23"),
                             ("a", "b%20c")):
            status, _, receipt = self.binary(p, "1", id=name, source=source)
            self.assertEqual((status, receipt["duplicate"]), (201, False))
        for source, name in (("a", "b\0c"), ("a", "b\0d")):
            is_problem(self, *p.publish("a", json.dumps(
                cloud(id=name, source=source)), CLOUD_JSON), 400)

    def test_binary_mode_wants_what_the_specification_requires(self):
        for p in self.each(self.publishers):
            for missing in ({"specversion": None}, {"specversion": "0.3"},
                            {"id": None}, {"id": ""}, {"source": None},
                            {"source": "no reference"}, {"type": None},
                            {"type": ""}, {"type": "spillway.x"},
                            {"id": "x" * 256}):
                is_problem(self, *self.binary(p, "1", **missing), 400)
        self.assertEqual(self.gateway.poll("a", after="start")["events"], [])

    def test_structured_mode_takes_data_of_every_kind(self):
        cases = (
            ({"data": {"n": 1.10}}, {"data": {"n": 1.10}}),
            ({"data": "text"}, {"data": "text"}),
            ({"data": None}, {"data": None}),
            ({}, {"data": ""}),
            ({"data": "<p>", "datacontenttype": "text/html"},
             {"contentType": "text/html", "data": "<p>"}),
            ({"data": "é\n", "datacontenttype": "text/plain"},
             {"data": "é\n"}),
            ({"data_base64": base64.b64encode(b"\x00\xff").decode()},
             {"contentType": "application/octet-stream",
              "encoding": "base64", "data": "AP8="}),
            ({"data_base64": "AP8=", "datacontenttype": "image/png"},
             {"contentType": "image/png", "encoding": "base64",
              "data": "AP8="}),
            ({"data": {"a": 1}, "datacontenttype": "application/geo+json"},
             {"contentType": "application/geo+json", "data": {"a": 1}}),
            ({"data": "7", "datacontenttype":
              "application/json; charset=utf-8"}, {"data": "7"}),
            ({"data": "x", "datacontenttype": "Application/Geo+JSON;v=1"},
             {"contentType": "Application/Geo+JSON;v=1", "data": "x"}),
            ({"datacontenttype": "application/json"}, {"data": ""}),
            ({"data": "x", "datacontenttype": None, "data_base64": None},
             {"data": "x"}),
        )
        for p in self.each(self.publishers):
            for n, (sent, expected) in enumerate(cases):
                event = cloud(id=f"{p.name}{n}", type="é", **sent)
                status, _, receipt = p.publish("a", json.dumps(event),
                                               CLOUD_JSON)
                self.assertEqual(status, 201, (sent, receipt))
                event = self.newest()
                self.assertEqual((event.pop("id"), event.pop("type")),
                                 (receipt["id"], "é"))
                event.pop("channel")
                event.pop("time")
                self.assertEqual(event, expected, sent)

    def test_structured_mode_keeps_numbers_as_they_were(self):
        g = self.gateway
        data = '[1.10, 12345678901234567890123,1e400]'
        body = ('{"data": %s ,"type":"t","source":"/s","id":"1",'
                '"specversion":"1.0"}' % data)
        self.assertEqual(self.publishers[0].publish(
            "a", body, ("Content-Type",
                        "Application/CloudEvents+JSON; charset=utf-8"))[0],
            201)
        self.assertIn('"data":' + data,
                      g.request("GET", "/stream/a?after=start")[2].decode())

    def test_structured_mode_tells_what_is_wrong(self):
        for p in self.each(self.publishers):
            for body in ("", "{", "[]", "7", json.dumps(cloud(id=7)),
                         json.dumps(cloud(id="")),
                         json.dumps(cloud(source="")),
                         json.dumps(cloud(type=None)),
                         json.dumps(cloud(specversion="2.0")),
                         json.dumps(cloud(specversion=1.0)),
                         json.dumps(cloud(data_base64="###")),
                         json.dumps(cloud(data_base64=7)),
                         json.dumps(cloud(datacontenttype=7)),
                         json.dumps(cloud(type="spillway.x"))):
                is_problem(self, *p.publish("a", body, CLOUD_JSON), 400)
            for other in ("application/cloudevents+xml", CLOUD_BATCH[1],
                          "application/cloudevents"):
                is_problem(self, *p.publish(
                    "a", json.dumps(cloud()), ("Content-Type", other)), 415)
        self.assertEqual(self.gateway.poll("a", after="start")["events"], [])

    def test_a_batch_of_cloud_events_goes_to_one_channel_in_order(self):
        g = self.gateway
        for p in self.each(self.publishers):
            events = [cloud(id=f"{p.name}{n}", type=f"t{n}", data=n)
                      for n in range(50)]
            status, _, receipt = p.batch(
                json.dumps(events), CLOUD_BATCH,
                path="/v1/events?channel=" + p.name.replace(" ", "-"))
            self.assertEqual((status, receipt["count"]), (201, 50))
            stored = g.poll(p.name.replace(" ", "-"),
                            after="start")["events"]
            self.assertEqual([(e["id"], e["type"], e["data"])
                              for e in stored],
                             [(i, f"t{n}", n)
                              for n, i in enumerate(receipt["ids"])])
            status, _, again = p.batch(
                json.dumps(events[:10]), CLOUD_BATCH,
                path="/v1/events?channel=" + p.name.replace(" ", "-"))
            self.assertEqual((status, again["duplicates"], again["ids"]),
                             (201, 10, receipt["ids"][:10]))

    def test_a_batch_of_no_cloud_events_is_one(self):
        for p in self.each(self.publishers):
            for body in ("[]", " [ ] \n"):
                status, _, receipt = p.batch(body, CLOUD_BATCH,
                                             path="/v1/events?channel=a")
                self.assertEqual((status, receipt), (
                    200, {"count": 0, "duplicates": 0, "ids": []}))

    def test_a_faulty_element_is_told_by_number_and_nothing_is_stored(self):
        for p in self.each(self.publishers):
            status, headers, problem = p.batch(
                json.dumps([cloud(), cloud(id=""), cloud(id="3"), 7]),
                CLOUD_BATCH, path="/v1/events?channel=a")
            is_problem(self, status, headers, problem, 400)
            self.assertEqual([l["line"] for l in problem["lines"]], [2, 4])
            for body in ("{}", "", "[", "[1"):
                is_problem(self, *p.batch(
                    body, CLOUD_BATCH, path="/v1/events?channel=a"), 400)
            status, headers, problem = p.batch(json.dumps([cloud()]),
                                               CLOUD_BATCH)
            is_problem(self, status, headers, problem, 400)
            self.assertIn("channel=", problem["lines"][0]["detail"])
        self.assertEqual(self.gateway.poll("a", after="start")["events"], [])


class Sending(Scenario):
    """POST /stream/C: what clients without a WebSocket send."""

    conf = """
message-max = "1k"
channel "open*" { send = publish }
channel "echo*" { send = echo }
"""

    def send(self, channel, body=b"", *headers, chunked=False, query=""):
        with Wire(self.gateway.port) as w:
            w.send(post(f"/stream/{channel}{query}", body, headers, chunked))
            return w.response()

    def test_what_is_published_reaches_everyone(self):
        g = self.gateway
        subscribers = [t(g, "open", "start") for t in TRANSPORTS]
        for chunked in DOORS:
            status, headers, body = self.send(
                "open", b"\x00\xff", ("Content-Type", "image/png"),
                chunked=chunked)
            receipt = json.loads(body)
            self.assertEqual(status, 201)
            self.assertEqual(headers["content-type"], "application/json")
            self.assertEqual(set(receipt), {"id", "time", "duplicate"})
            for s in subscribers:
                event = s.event()
                self.assertEqual((event["id"], event["contentType"],
                                  event["data"]),
                                 (receipt["id"], "image/png", "AP8="))
        for s in subscribers:
            s.close()

    def test_an_echo_comes_back_to_the_byte(self):
        for chunked in DOORS:
            for sent, kept in (("image/png", "image/png"),
                               (None, "application/octet-stream")):
                body = bytes(range(256))
                head = [("Content-Type", sent)] if sent else []
                status, headers, answer = self.send("echo", body, *head,
                                                    chunked=chunked)
                self.assertEqual((status, headers["content-type"], answer),
                                 (200, kept, body))
        self.assertEqual(self.gateway.poll("echo", after="start")["events"],
                         [])

    def test_a_repeated_number_in_a_session_is_published_once(self):
        first = json.loads(self.send("open", "1", query="?session=s&seq=7")[2])
        self.gateway.restart()
        status, _, body = self.send("open", "1", query="?session=s&seq=7")
        again = json.loads(body)
        self.assertEqual((status, again["duplicate"], again["id"]),
                         (200, True, first["id"]))
        for other in ("?session=s&seq=8", "?session=t&seq=7", "?seq=7",
                      "?session=s"):
            self.assertEqual(self.send("open", "1", query=other)[0], 201)

    def test_refusals_say_why(self):
        for channel, body, head, query, expected in (
                ("off", "1", (), "", 403),
                ("open", b"x" * 1025, (), "", 413),
                ("open", "{", [("Content-Type", "application/json")], "",
                 400),
                ("open", "1", (), "?session=s&seq=x", 400),
                ("open", "1", (), "?seq=1&session=" + "s" * 129, 400),
                ("open", "1", (), "?seq=1&session=", 400),
                ("no%20name", "1", (), "", 400), ("", "1", (), "", 400),
                ("open", "1", [("Content-Encoding", "br")], "", 415)):
            status, headers, answer = self.send(channel, body, *head,
                                                query=query)
            is_problem(self, status, headers, json.loads(answer), expected)
        self.assertEqual(self.gateway.poll("open", after="start")["events"],
                         [])

    def test_other_methods_are_told_what_is_allowed(self):
        with Wire(self.gateway.port) as w:
            w.send(request_head("/stream/open", method="PUT"))
            status, headers, _ = w.response()
            self.assertEqual(status, 405)
            self.assertEqual(
                {m.strip() for m in headers["allow"].split(",")},
                {"GET", "HEAD", "POST", "OPTIONS"})


if __name__ == "__main__":
    main()
