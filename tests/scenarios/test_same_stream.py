"""The same stream, whatever carries it."""

import json

from gateway import (EventStream, Scenario, STREAMS, TRANSPORTS, WebSocket,
                     Wire, main, query, request_head)


class SameStream(Scenario):
    conf = 'channel "mem" { durability = memory }'

    def test_all_transports_replay_the_same_envelopes(self):
        g = self.gateway
        g.publish("a", {"n": 1, "big": 12345678901234567890})
        g.publish("a", "plain text", Content_Type="text/plain")
        g.publish("a", b"\x00\xff\x01", Content_Type="image/png")
        g.publish("a", '"quoted"', Event_Type="note")
        seen = []
        for transport in self.each():
            s = transport(g, "a", "start")
            seen.append(s.events(4))
            s.close()
        for other in seen[1:]:
            self.assertEqual(other, seen[0])
        one, text, image, note = seen[0]
        self.assertEqual(one["data"], {"n": 1, "big": 12345678901234567890})
        self.assertEqual(list(one), ["id", "channel", "type", "time", "data"])
        self.assertEqual(text["data"], "plain text")
        self.assertEqual(image["encoding"], "base64")
        self.assertEqual(image["contentType"], "image/png")
        self.assertEqual(image["data"], "AP8B")
        self.assertEqual((note["type"], note["data"]), ("note", "quoted"))

    def test_large_payloads_are_the_same_on_all_transports(self):
        """They are sent from where they are, but for the forms that differ."""
        g = self.gateway
        bodies = [(body, kind) for size in (16383, 16384, 100000)
                  for body, kind in (
                      ('"%s"' % ("j" * (size - 2)), "application/json"),
                      ("[1,\r\n%s2]" % (" " * (size - 7)),
                       "application/json"),
                      ("t" * size, "text/plain"),
                      ("\u00e9" * (size // 2), "text/plain"),
                      ("a line\r\n\nand\r" + "l" * size, "text/plain"))]

        def check():
            for transport in self.each():
                s = transport(g, "a", "start")
                for body, kind in bodies:
                    data = s.event()["data"]
                    self.assertEqual(
                        data, body if kind == "text/plain"
                        else json.loads(body))
                s.close()
            ws = WebSocket(g.port, "/stream/a?after=start&format=raw")
            for body, _ in bodies:
                self.assertEqual(ws.read(), (1, body.encode()))
            ws.close()

        for body, kind in bodies:
            g.publish("a", body.encode(), Content_Type=kind)
        check()
        g.restart()
        check()

    def test_live_events_arrive_on_all_transports_in_order(self):
        g = self.gateway
        subscribers = [t(g, "a") for t in TRANSPORTS]
        for s in subscribers:
            s.notice("caughtup")
        ids = [g.publish("a", {"n": n})["id"] for n in range(50)]
        for s in subscribers:
            with self.subTest(transport=s.name):
                self.assertEqual([e["id"] for e in s.events(50)], ids)
                s.close()

    def test_a_stream_begins_with_hello_and_a_second_notice(self):
        g = self.gateway
        head = g.publish("a", 1)["id"]
        for transport in self.each(STREAMS):
            s = transport(g, "a")
            hello = s.next()
            self.assertEqual(hello["type"], "spillway.hello")
            self.assertEqual(hello["transport"], s.name)
            self.assertEqual(hello["cursor"], head)
            self.assertEqual(hello["channels"], ["a"])
            self.assertEqual(hello["heartbeat"], 15000)
            self.assertEqual(s.next(),
                             {"type": "spillway.caughtup", "cursor": head})
            s.close()

    def test_replay_ends_with_caughtup_and_goes_on_live(self):
        g = self.gateway
        ids = g.batch([{"channel": "a", "data": n} for n in range(300)])
        for transport in self.each(STREAMS):
            s = transport(g, "a", ids[99])
            got = [s.next() for _ in range(202)]
            self.assertEqual(got[0]["type"], "spillway.hello")
            self.assertEqual(got[0]["cursor"], ids[99])
            self.assertEqual([e["id"] for e in got[1:201]], ids[100:])
            self.assertEqual(got[201], {"type": "spillway.caughtup",
                                        "cursor": ids[-1]})
            live = g.publish("a", "live")["id"]
            self.assertEqual(s.event()["id"], live)
            ids.append(live)
            ids = ids[:1] + ids[1:]
            s.close()
            # The next transport begins with the same events.
            ids = ids[:300]
            g.api("DELETE", "/v1/channels/a")
            ids = g.batch([{"channel": "a", "data": n} for n in range(300)])

    def test_start_last_and_cursor(self):
        g = self.gateway
        ids = g.batch([{"channel": "a", "data": n} for n in range(20)])
        for transport in self.each():
            for params, cursor, expected in (
                    ({}, "start", ids), ({"last": 3}, None, ids[-3:]),
                    ({"last": 500}, None, ids), ({}, ids[4], ids[5:])):
                s = transport(g, "a", cursor, **params)
                self.assertEqual([e["id"] for e in s.events(len(expected))],
                                 expected, (params, cursor))
                s.notice("caughtup")
                s.close()

    def test_last_is_as_many_wherever_an_answer_ends(self):
        g = self.gateway
        names = ["a", "mem", "a"]
        ids = g.batch([{"channel": names[n % 3], "data": n}
                       for n in range(390)])
        mem = ids[1::3]
        for transport in self.each():
            for channels, of_them in ("mem", mem), ("a,mem", ids):
                for last in 101, 120, 350:
                    s = transport(g, channels, None, last=last)
                    expected = of_them[-last:]
                    self.assertEqual(
                        [e["id"] for e in s.events(len(expected))], expected,
                        (channels, last))
                    s.notice("caughtup")
                    s.close()

    def test_several_channels_come_merged_in_order_of_ids(self):
        g = self.gateway
        names = ["a", "b", "c"]
        before = g.batch([{"channel": names[n % 3], "data": n}
                          for n in range(60)])
        others = g.batch([{"channel": "other", "data": 0}])
        for transport in self.each():
            s = transport(g, "a,b,c", "start")
            ids = [e["id"] for e in s.events(60)]
            self.assertEqual(ids, before)
            s.notice("caughtup")
            live = [g.publish(names[n % 3], n)["id"] for n in range(9)]
            self.assertEqual([e["id"] for e in s.events(9)], live)
            s.close()
            before += live
            before = before[-60:]
            for name in names:
                g.api("DELETE", f"/v1/channels/{name}")
            before = g.batch([{"channel": names[n % 3], "data": n}
                              for n in range(60)])
        self.assertEqual(len(others), 1)

    def test_raw_format_is_the_payload_alone(self):
        g = self.gateway
        g.publish("a", '{"n": 1}')
        g.publish("a", "line one\nline two", Content_Type="text/plain")
        g.publish("a", b"\x00\x01", Content_Type="application/octet-stream")
        ws = WebSocket(g.port, "/stream/a?after=start&format=raw")
        self.assertEqual(ws.read(), (1, b'{"n": 1}'))
        self.assertEqual(ws.read(), (1, b"line one\nline two"))
        self.assertEqual(ws.read(), (2, b"\x00\x01"))
        ws.close()
        sse = EventStream(g.port, "/stream/a?after=start")
        self.assertEqual(sse.block()[0], "spillway.hello")
        self.assertEqual(sse.block(), ("message", '{"n": 1}'))
        self.assertEqual(sse.block(), ("message", "line one\nline two"))
        self.assertEqual(sse.block(), ("message", "AAE="))
        sse.close()
        answer = g.poll("a", after="start", format="raw")
        self.assertEqual(answer["events"],
                         [{"n": 1}, "line one\nline two", "AAE="])

    def test_an_event_stream_has_the_head_that_proxies_need(self):
        with EventStream(self.gateway.port, "/stream/a") as s:
            self.assertEqual(s.status, 200)
            self.assertEqual(s.headers["content-type"], "text/event-stream")
            self.assertEqual(s.headers["cache-control"],
                             "no-store, no-transform")
            self.assertEqual(s.headers["x-accel-buffering"], "no")
            # The first byte of the body comes with the head, and the
            # preamble is no event of its own.
            self.assertTrue(s.data.startswith(b":\nretry: 2000\nevent: "))
            s.block()
            self.assertEqual(s.retry, 2000)
        with EventStream(self.gateway.port, "/stream/a?padding=1") as s:
            self.assertIn(b":" + b" " * 2048 + b"\n", s.until(b"retry"))

    def test_a_poll_repeats_until_the_cursor_moves(self):
        g = self.gateway
        ids = g.batch([{"channel": "a", "data": n} for n in range(250)])
        first = g.poll("a", after="start")
        self.assertEqual(len(first["events"]), 100)
        self.assertIs(first["more"], True)
        self.assertEqual(first["cursor"], ids[99])
        self.assertEqual(g.poll("a", after="start"), first)
        second = g.poll("a", after=first["cursor"], limit=149)
        self.assertEqual(len(second["events"]), 149)
        self.assertIs(second["more"], True)
        last = g.poll("a", after=second["cursor"])
        self.assertEqual([e["id"] for e in last["events"]], ids[-1:])
        self.assertNotIn("more", last)
        self.assertEqual(last["retry"], 2000)
        empty = g.poll("a", after=last["cursor"])
        self.assertEqual((empty["events"], empty["cursor"]), ([], ids[-1]))

    def test_a_poll_without_a_cursor_tells_where_the_head_is(self):
        g = self.gateway
        head = g.publish("a", 1)["id"]
        for wait in (None, 20):
            answer = g.poll("a", wait=wait)
            self.assertEqual(answer["events"], [])
            self.assertEqual(answer["cursor"], head)

    def test_a_long_poll_waits_for_the_first_event(self):
        g = self.gateway
        head = g.publish("a", 1)["id"]
        with Wire(g.port) as w:
            w.send(request_head(f"/stream/a?wait=20&after={head}"))
            g.until(lambda: g.metric("subscribers", '{transport="long"}') == 1)
            receipt = g.publish("a", 2)
            self.assertEqual(receipt["subscribers"],
                             {"ws": 0, "sse": 0, "long": 1})
            status, headers, body = w.response()
            self.assertEqual(status, 200)
            self.assertIn(receipt["id"], body.decode())
            self.assertEqual(headers["cache-control"],
                             "no-store, no-transform")
            # The connection goes on with the next one.
            w.send(request_head(f"/stream/a?after={receipt['id']}"))
            self.assertEqual(w.response()[0], 200)

    def test_a_long_poll_ends_empty_when_its_time_is_over(self):
        g = self.gateway
        head = g.publish("a", 1)["id"]
        answer = g.poll("a", wait=1, after=head)
        self.assertEqual((answer["events"], answer["cursor"]), ([], head))

    def test_pipelined_polls_are_answered_in_order(self):
        g = self.gateway
        ids = g.batch([{"channel": "a", "data": n} for n in range(3)])
        with Wire(g.port) as w:
            w.send(b"".join(request_head(f"/stream/a?limit=1&after={c}")
                            for c in ["start"] + ids[:2]))
            for expected in ids:
                self.assertIn(f'"cursor":"{expected}"',
                              w.response()[2].decode())

    def test_a_request_may_come_byte_by_byte(self):
        g = self.gateway
        head = g.publish("a", 1)["id"]
        with Wire(g.port) as w:
            for byte in request_head("/stream/a?after=start"):
                w.send(bytes([byte]))
            self.assertIn(head, w.response()[2].decode())

    def test_transport_insists(self):
        g = self.gateway
        for params, headers, expected in (
                ({"transport": "ws"}, (), 426),
                ({"transport": "sse"}, [("Accept", "application/json")], 406),
                ({"transport": "long"}, [("Accept", "text/event-stream")],
                 406),
                ({"transport": "pigeon"}, (), 400),
                ({"after": "nonsense"}, (), 400),
                ({"after": "k3x9-01"}, (), 400),
                ({"limit": "0"}, (), 400),
                ({"wait": "-1"}, (), 400),
                ({"last": "x"}, (), 400),
                ({"format": "xml"}, (), 400)):
            with Wire(g.port) as w:
                w.send(request_head("/stream/a" + query(params), headers))
                status, answer, body = w.response()
                self.assertEqual(status, expected, (params, body))
                self.assertEqual(answer["content-type"],
                                 "application/problem+json")
        with Wire(g.port) as w:
            w.send(request_head("/stream/a?transport=ws"))
            self.assertEqual(w.response()[1]["upgrade"], "websocket")


class SameStreamThroughTheLibrary(SameStream):
    """Everything again without the shortcut of the first look."""

    conf = "first-look = no"

    def test_pipelined_polls_are_answered_in_order(self):
        """What the library has read of the next one is lost: it is told."""
        g = self.gateway
        ids = g.batch([{"channel": "a", "data": n} for n in range(2)])
        with Wire(g.port) as w:
            w.send(b"".join(request_head(f"/stream/a?limit=1&after={c}")
                            for c in ("start", ids[0])))
            _, headers, body = w.response()
            self.assertIn(f'"cursor":"{ids[0]}"', body.decode())
            self.assertEqual(headers["connection"], "close")
            self.assertEqual(w.rest(), b"")


class SameStreamFromTheStore(SameStream):
    """With a window so small that history comes from SQLite, alone with it."""

    conf = 'window-events = 1\nwindow-bytes = "1m"\nstore-shared = no'
    workers = 1


class ManyChannels(Scenario):
    """On one connection: more than are looked through one by one."""

    conf = "channels-per-connection = 2000\nheader-max = 64k"
    names = [f"c{n}" for n in range(400)]

    def publish(self, names):
        return self.gateway.batch([{"channel": name, "data": 1}
                                   for name in names])

    def test_they_come_merged_from_the_store_from_memory_and_live(self):
        g = self.gateway
        before = self.publish(self.names * 3)
        for transport in self.each():
            s = transport(g, ",".join(self.names), before[5])
            self.assertEqual([e["id"] for e in s.events(len(before) - 6)],
                             before[6:])
            s.notice("caughtup")
            live = self.publish(reversed(self.names))
            self.assertEqual([e["id"] for e in s.events(len(live))], live)
            s.close()
            before += live
            # The next one finds nothing in memory.
            g.restart()

    def test_they_come_and_go(self):
        g = self.gateway
        first = self.publish(self.names)
        s = WebSocket(g.port, "/stream/c0?after=" + first[-1])
        for name in self.names[1:]:
            s.command(op="subscribe", channel=name, ref=name)
        gone = self.names[::3]
        for name in gone:
            s.command(op="unsubscribe", channel=name, ref="-" + name)
        # One is back, with what it missed; one is there already.
        s.command(op="subscribe", channel="c3", after=first[2], ref="again")
        s.command(op="subscribe", channel="c4", ref="twice")
        answers, events = {}, []
        while "twice" not in answers:
            m = s.message()
            if "ref" in m:
                answers[m["ref"]] = m["op"]
            elif "id" in m:
                events.append(m["id"])
        self.assertEqual(answers.pop("twice"), "error")
        self.assertEqual(set(answers.values()), {"ok"})
        self.assertEqual(len(answers), 399 + len(gone) + 1)
        ids = dict(zip(self.names, self.publish(self.names)))
        want = [first[3]] + [ids[name] for name in self.names
                             if name not in gone or name == "c3"]
        while len(events) < len(want):
            m = s.message()
            if "id" in m:
                events.append(m["id"])
        self.assertEqual(events, want)
        s.close()

    def test_one_of_them_twice(self):
        status, why = self.gateway.get(
            "/stream/" + ",".join(self.names) + ",c7")
        self.assertEqual((status, why["detail"]),
                         (400, "A channel is named twice."))


class OneAfterAnother(Scenario):
    """A channel that comes when another is gone has nothing of it."""

    workers = 1

    def test_what_was_made_for_one_is_not_sent_to_another(self):
        g = self.gateway
        for transport in self.each():
            for n in range(30):
                start = g.publish("seed", n)["id"]
                for name in (f"first{n}", f"second{n}"):
                    want = g.publish(name, name, Content_Type="text/plain")
                    s = transport(g, name, start)
                    event, = s.events(1)
                    self.assertEqual((event["channel"], event["data"]),
                                     (name, name))
                    self.assertEqual(event["id"], want["id"])
                    s.close()
                    g.api("DELETE", "/v1/channels/" + name)


if __name__ == "__main__":
    main()
