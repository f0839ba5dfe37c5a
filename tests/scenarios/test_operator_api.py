"""The operator's view: history, channels, connections, and what they cost."""

import json
import threading
import time

from gateway import (Closed, EventStream, STREAMS, Scenario, SseSubscriber,
                     Wire, WsSubscriber, main, query, request_head)
from post import is_problem


class History(Scenario):
    conf = """
channel "short" { history-events = 10 }
channel "memory" { durability = memory }
channel "memory-short" { durability = memory  history-events = 10 }
"""

    def history(self, channel, **params):
        return self.gateway.get(f"/v1/channels/{channel}/events" +
                                query(params), api=True)

    def pages(self, channel, limit):
        events, cursor, count = [], None, 0
        while True:
            status, page = self.history(channel, limit=limit, after=cursor)
            self.assertEqual(status, 200)
            self.assertLessEqual(len(page["events"]), limit)
            events += page["events"]
            cursor = page["cursor"]
            count += 1
            if not page.get("more"):
                return events, count
            self.assertEqual(len(page["events"]), limit)

    def test_it_comes_in_pages_oldest_first_as_a_poll_has_it(self):
        g = self.gateway
        for channel in ("a", "memory"):
            ids = g.batch([{"channel": channel, "data": n, "type": "t"}
                           for n in range(250)])
            g.batch([{"channel": "other", "data": 0}] * 3)
            for limit, pages in ((100, 3), (250, 1), (1000, 1), (7, 36)):
                events, count = self.pages(channel, limit)
                self.assertEqual([e["id"] for e in events], ids)
                self.assertEqual(count, pages, limit)
            polled = g.poll(channel, after="start", limit=250)
            self.assertEqual(events, polled["events"])
            # Without a limit as many as a poll has.
            status, page = self.history(channel)
            self.assertEqual([e["id"] for e in page["events"]], ids[:100])
            self.assertIs(page["more"], True)

    def test_it_begins_where_it_is_told_to(self):
        g = self.gateway
        for channel in ("a", "memory"):
            ids = g.batch([{"channel": channel, "data": n}
                           for n in range(20)])
            for params, expected in (({"after": ids[4]}, ids[5:]),
                                     ({"after": "start"}, ids),
                                     ({"last": 3}, ids[-3:]),
                                     ({"last": 50}, ids),
                                     ({"after": ids[-1]}, [])):
                status, page = self.history(channel, **params)
                self.assertEqual([e["id"] for e in page["events"]], expected,
                                 (channel, params))
                self.assertNotIn("gap", page)
                self.assertNotIn("more", page)
                self.assertEqual(page["cursor"], ids[-1])

    def test_what_is_missing_is_told(self):
        g = self.gateway
        ids = g.batch([{"channel": "short", "data": n} for n in range(30)])
        epoch = ids[0].split("-")[0]
        for after, reason in ((ids[3], "trimmed"), ("zzzzz-1", "epoch"),
                              (f"{epoch}-999999", "ahead")):
            status, page = self.history("short", after=after)
            self.assertEqual(page["gap"], {"reason": reason, "after": after,
                                           "first": ids[20]})
            self.assertEqual([e["id"] for e in page["events"]], ids[20:])

    def test_faults_are_told(self):
        g = self.gateway
        g.publish("a", 1)
        for params in ({"after": "x"}, {"limit": 0}, {"limit": "x"},
                       {"last": 0}, {"last": "x"}, {"limit": -1}):
            status, problem = self.history("a", **params)
            self.assertEqual((status, problem["status"]), (400, 400), params)
        self.assertEqual(self.history("never-seen")[0], 404)

    def test_nothing_is_skipped_while_others_publish(self):
        g = self.gateway
        for channel in ("a", "memory"):
            ids = [g.publish(channel, 0)["id"]]
            publisher = threading.Thread(target=lambda: ids.extend(
                g.publish(channel, n)["id"] for n in range(400)))
            publisher.start()
            seen, page, running = [ids[0]], None, True
            while running or page["events"]:
                running = publisher.is_alive()
                page = self.history(channel, after=seen[-1])[1]
                # Where the next one begins, and what it has by then.
                rest = self.history(channel, after=page["cursor"])[1]
                seen += [e["id"] for e in page["events"] + rest["events"]]
            publisher.join()
            self.assertEqual(seen, ids)

    def test_of_what_memory_holds_only_what_is_kept_is_shown(self):
        g = self.gateway
        for channel in ("short", "memory-short"):
            ids = g.batch([{"channel": channel, "data": n}
                           for n in range(30)])
            for params, expected in (({"after": "start"}, ids[20:]),
                                     ({"after": ids[4]}, ids[20:]),
                                     ({"after": ids[19]}, ids[20:]),
                                     ({"after": ids[24]}, ids[25:]),
                                     ({"last": 3}, ids[27:]),
                                     ({"last": 20}, ids[20:])):
                page = self.history(channel, **params)[1]
                self.assertEqual([e["id"] for e in page["events"]], expected,
                                 (channel, params))
                self.assertEqual("gap" in page, params == {"after": ids[4]},
                                 (channel, params))
            described = g.get(f"/v1/channels/{channel}", api=True)[1]
            self.assertEqual((described["depth"], described["first"]),
                             (10, ids[20]))

    def test_what_memory_has_lost_is_told(self):
        g = self.gateway
        ids = g.batch([{"channel": "memory", "data": n} for n in range(3)])
        g.restart()
        # Somebody who listens is what makes it known again.
        listener = SseSubscriber(g, "memory")
        listener.notice("caughtup")
        expected = []
        for _ in range(2):
            page = self.history("memory", after=ids[0])[1]
            self.assertEqual(page["gap"]["reason"], "trimmed")
            self.assertEqual([e["id"] for e in page["events"]], expected)
            expected.append(g.publish("memory", 3)["id"])
        listener.close()


class Channels(Scenario):
    conf = """
channel "room-*" { history-events = 5  send = publish  durability = full }
channel "m-*" { durability = memory  history-age = "1h" }
"""

    def channel(self, name):
        return self.gateway.get(f"/v1/channels/{name}", api=True)

    def test_one_is_described_with_what_holds_for_it(self):
        g = self.gateway
        ids = g.batch([{"channel": "room-1", "data": n} for n in range(12)])
        status, c = self.channel("room-1")
        self.assertEqual(status, 200)
        self.assertEqual(c, {
            "name": "room-1", "depth": 5, "first": ids[7], "last": ids[-1],
            "subscribers": {"ws": 0, "sse": 0, "long": 0},
            "pattern": "room-*", "durability": "full", "send": "publish",
            "retention": {"events": 5, "bytes": c["retention"]["bytes"],
                          "ageSeconds": 7 * 86400}})
        ids = g.batch([{"channel": "m-1", "data": n} for n in range(3)])
        c = self.channel("m-1")[1]
        self.assertEqual((c["depth"], c["first"], c["last"], c["durability"],
                          c["retention"]["ageSeconds"]),
                         (3, ids[0], ids[2], "memory", 3600))

    def test_subscribers_are_counted_by_transport(self):
        g = self.gateway
        self.assertEqual(self.channel("a")[0], 404)
        streams = [t(g, "a,b") for t in STREAMS * 3]
        for s in streams:
            s.notice("caughtup")
        with Wire(g.port) as w:
            w.send(request_head("/stream/a?wait=50&after=start"))
            g.until(lambda: self.channel("a")[1]["subscribers"] ==
                    {"ws": 3, "sse": 3, "long": 1})
        # Known by its listeners alone, and not for ever.
        c = self.channel("b")[1]
        self.assertEqual((c["depth"], c["first"], c["last"]), (0, None, None))
        for s in streams:
            s.close()
        g.until(lambda: self.channel("b")[0] == 404)

    def test_all_are_listed_in_order_and_in_pages(self):
        g = self.gateway
        names = sorted(f"{c}{n:02}" for c in "aBz" for n in range(40))
        g.batch([{"channel": c, "data": 1} for c in reversed(names)])

        def listed(**params):
            status, page = g.get("/v1/channels" + query(params), api=True)
            self.assertEqual(status, 200)
            return [c["name"] for c in page["channels"]], page.get("more")

        self.assertEqual(listed(), (names[:100], True))
        self.assertEqual(listed(limit=500), (names, None))
        self.assertEqual(listed(after=names[99]), (names[100:], None))
        self.assertEqual(listed(prefix="a", limit=3),
                         (["a00", "a01", "a02"], True))
        self.assertEqual(listed(prefix="a", after="a38"), (["a39"], None))
        self.assertEqual(listed(prefix="none"), ([], None))
        for limit in (1, 7, 40):
            found, more = listed(limit=limit)
            while more:
                page, more = listed(limit=limit, after=found[-1])
                self.assertTrue(len(page) == limit or not more)
                found += page
            self.assertEqual(found, names, limit)
        for bad in ("0", "x", "-1"):
            self.assertEqual(g.get(f"/v1/channels?limit={bad}",
                                   api=True)[0], 400)

    def test_thousands_are_listed_though_only_some_are_looked_at_at_once(self):
        g = self.gateway
        names = [f"many-{n * 7919 % 9000:04}" for n in range(9000)]
        g.batch([{"channel": name, "data": 1} for name in names])
        listed, after = [], "many"
        while True:
            page = g.get(f"/v1/channels?prefix=many&limit=2500&after={after}",
                         api=True)[1]
            listed += [c["name"] for c in page["channels"]]
            if not page.get("more"):
                break
            self.assertEqual(len(page["channels"]), 2500)
            after = listed[-1]
        self.assertEqual(listed, sorted(names))
        long = "n" * 129
        self.assertEqual(g.get(f"/v1/channels?after={long}", api=True)[0],
                         400)

    def test_a_restart_changes_nothing_of_it(self):
        g = self.gateway
        g.batch([{"channel": f"c{n % 7}", "data": n} for n in range(100)])
        _, before = g.get("/v1/channels", api=True)
        for end in (g.stop, g.kill9):
            end()
            g.start()
            self.assertEqual(g.get("/v1/channels", api=True)[1], before)

    def test_deleting_tells_everyone_and_only_those(self):
        g = self.gateway
        g.batch([{"channel": c, "data": 1} for c in ("a", "b")])
        gone = [t(g, "a") for t in STREAMS] + [t(g, "b,a") for t in STREAMS]
        others = [t(g, "b") for t in STREAMS]
        for s in gone + others:
            s.notice("caughtup")
        head = g.poll("a")["cursor"]
        with Wire(g.port) as w:
            w.send(request_head(f"/stream/a?wait=50&after={head}"))
            g.until(lambda: g.metric("subscribers",
                                     '{transport="long"}') == 1)
            self.assertEqual(g.api("DELETE", "/v1/channels/a"), (204, b""))
            status, headers, body = w.response()
            is_problem(self, status, headers, json.loads(body), 410)
        for s in gone:
            with self.assertRaises(Closed) as closed:
                s.next()
            if s.name == "ws":
                self.assertEqual(closed.exception.code, 4410)
            s.close()
        id = g.publish("b", 2)["id"]
        for s in others:
            self.assertEqual(s.event()["id"], id)
            s.close()
        self.assertEqual(g.api("DELETE", "/v1/channels/never-seen")[0], 404)
        self.assertEqual(self.channel("a")[1]["depth"], 0)


class Connections(Scenario):
    def list(self, **params):
        status, answer = self.gateway.get("/v1/connections" + query(params),
                                          api=True)
        self.assertEqual(status, 200)
        self.assertEqual(answer["count"], len(answer["connections"]))
        return answer["connections"]

    def one(self, id):
        return self.gateway.get(f"/v1/connections/{id}", api=True)

    def kick(self, id, reconnect=None):
        return self.gateway.api("DELETE", f"/v1/connections/{id}" +
                                query({"reconnect": reconnect}))[0]

    def test_everyone_is_listed_with_transport_channels_and_cursor(self):
        g, began = self.gateway, time.monotonic()
        ids = g.batch([{"channel": c, "data": 1} for c in "ab"])
        ws = [WsSubscriber(g, "a,b", "start") for _ in range(4)]
        sse = [SseSubscriber(g, "a") for _ in range(4)]
        for s in ws + sse:
            s.notice("hello")
        for s in ws:
            s.events(2)
        with Wire(g.port) as w:
            w.send(request_head(f"/stream/a?wait=50&after={ids[1]}"))
            found = g.until(lambda: len(self.list()) == 9 and self.list())
            for c in found:
                self.assertEqual(self.one(c["id"])[1]["transport"],
                                 c["transport"])
        self.assertEqual(sorted(c["transport"] for c in found),
                         ["long"] + ["sse"] * 4 + ["ws"] * 4)
        self.assertEqual(len({c["id"] for c in found}), 9)
        for c in found:
            self.assertEqual(c["address"].rpartition(":")[0], "127.0.0.1")
            self.assertIn(c["worker"], (0, 1))
            self.assertEqual((c["lag"], c["blocked"]), (0, False))
            self.assertLess(c["ageSeconds"], time.monotonic() - began)
            if c["transport"] == "ws":
                self.assertEqual(sorted(x["name"] for x in c["channels"]),
                                 ["a", "b"])
                self.assertEqual((c["format"], c["events"]), ("json", 2))
            elif c["transport"] == "sse":
                self.assertEqual([x["name"] for x in c["channels"]], ["a"])
        for s in ws + sse:
            s.close()
        g.until(lambda: self.list() == [])

    def pages(self, limit):
        """All ids, and how many pages there were."""
        found, count, more = [], 0, True
        while more:
            status, page = self.gateway.get("/v1/connections" + query(
                {"limit": limit, "after": found[-1] if found else 0}),
                api=True)
            self.assertEqual(status, 200)
            self.assertEqual(page["count"], len(page["connections"]))
            more = page.get("more", False)
            self.assertTrue(0 < page["count"] <= limit)
            found += [int(c["id"]) for c in page["connections"]]
            count += 1
        return found, count

    def test_they_are_listed_in_pages_whichever_worker_has_them(self):
        g = self.gateway
        streams = [SseSubscriber(g, "a") for _ in range(30)]
        for s in streams:
            s.notice("hello")
        ids = [int(c["id"]) for c in self.list()]
        self.assertEqual(len(ids), 30)
        self.assertEqual(ids, sorted(ids))
        self.assertEqual({c["worker"] for c in self.list()}, {0, 1})
        for limit in (1, 7, 29, 30, 31):
            found, pages = self.pages(limit)
            self.assertEqual(pages, -(-30 // limit))
            self.assertEqual(found, ids, limit)
        for bad in "limit=0", "limit=x", "after=x", "after=-1", "after=":
            self.assertEqual(g.get("/v1/connections?" + bad, api=True)[0],
                             400, bad)
        for s in streams:
            s.close()

    def test_a_page_is_no_longer_than_others_like_to_wait(self):
        """Each names many channels: some have room in a megabyte."""
        g = self.gateway
        g.configure("header-max = 64k\nchannels-per-connection = 1000\n")
        g.restart()
        names = ",".join("%0100d" % n for n in range(500))
        streams = [EventStream(g.port, "/stream/" + names)
                   for _ in range(60)]
        for s in streams:
            s.block()
        found, pages = self.pages(100000)
        self.assertEqual(len(found), 60)
        self.assertEqual(found, sorted(found))
        self.assertGreater(pages, 1)
        for s in streams:
            s.close()

    def test_the_id_is_the_one_that_hello_tells(self):
        g = self.gateway
        for transport in self.each(STREAMS):
            s = transport(g, "a")
            id = s.notice("hello")["connection"]
            status, c = self.one(id)
            self.assertEqual((status, c["id"], c["transport"]),
                             (200, id, transport.name))
            s.close()
            g.until(lambda: self.one(id)[0] == 404)
            self.assertEqual(self.kick(id), 404)

    def test_lag_tells_how_far_behind_somebody_is(self):
        g = self.gateway
        s = EventStream(g.port, "/stream/a", receive_buffer=4096)
        id = json.loads(s.block()[1])["connection"]
        self.assertEqual(self.one(id)[1]["lag"], 0)
        for _ in range(100):
            last = g.publish("a", "x" * 100000, Content_Type="text/plain")
        behind = g.until(lambda: self.one(id)[1]["blocked"] and
                         self.one(id)[1])
        cursor = behind["channels"][0]["cursor"]
        self.assertGreater(behind["lag"], 0)
        self.assertEqual(behind["lag"], int(last["id"].split("-")[1]) -
                         int(cursor.split("-")[1]))
        while s.last_id != last["id"]:
            s.block()
        g.until(lambda: self.one(id)[1]["lag"] == 0)
        s.close()

    def test_whoever_is_kicked_hears_why(self):
        g = self.gateway
        for reconnect, code in ((None, 4403), ("no", 4403), ("yes", 4000)):
            for transport in self.each(STREAMS):
                s = transport(g, "a")
                id = s.notice("hello")["connection"]
                s.notice("caughtup")
                self.assertEqual(self.kick(id, reconnect), 204)
                with self.assertRaises(Closed) as closed:
                    s.next()
                if transport.name == "ws":
                    self.assertEqual(closed.exception.code, code)
                s.close()

    def test_whether_it_comes_back_is_yes_or_no(self):
        """`false` is no yes: who shall be gone for good would come back."""
        with EventStream(self.gateway.port, "/stream/a") as stream:
            stream.block()
            id = self.list()[0]["id"]
            for word in ("false", "0", "true", "YES", ""):
                for path in (f"/v1/connections/{id}?", "/v1/connections?"
                             "user=ann&"):
                    status, problem = self.gateway.api(
                        "DELETE", f"{path}reconnect={word}")
                    self.assertEqual(status, 400, (path, word))
                    self.assertIn("reconnect", problem["detail"])
            self.assertEqual([c["id"] for c in self.list()], [id])

    def test_a_poll_that_is_kicked_is_answered(self):
        g = self.gateway
        head = g.publish("a", 1)["id"]
        for reconnect, expected in ((None, 403), ("yes", 200)):
            with Wire(g.port) as w:
                w.send(request_head(f"/stream/a?wait=50&after={head}"))
                found = g.until(lambda: self.list())
                self.assertEqual(self.kick(found[0]["id"], reconnect), 204)
                status, headers, body = w.response()
                self.assertEqual(status, expected)
                if expected == 200:
                    self.assertEqual(json.loads(body)["cursor"], head)
                self.assertEqual(w.rest(), b"")


class Errors(Scenario):
    def test_every_refusal_has_the_same_shape_and_names_what_is_allowed(self):
        g = self.gateway
        g.publish("a", 1)
        for api, method, path, expected, allow in (
                (True, "GET", "/", 404, None),
                (True, "GET", "/v1", 404, None),
                (True, "GET", "/v1/nothing", 404, None),
                (True, "GET", "/stream/a", 404, None),
                (True, "PUT", "/v1/channels", 405, {"GET", "HEAD"}),
                (True, "POST", "/v1/channels", 405, {"GET", "HEAD"}),
                (True, "GET", "/v1/events", 405, {"POST"}),
                (True, "DELETE", "/v1/stats", 405, {"GET", "HEAD"}),
                (True, "POST", "/metrics", 405, {"GET", "HEAD"}),
                (True, "PUT", "/v1/channels/a", 405,
                 {"GET", "HEAD", "DELETE"}),
                (True, "DELETE", "/v1/channels/a/events", 405,
                 {"GET", "HEAD", "POST"}),
                (True, "POST", "/v1/connections/1", 405,
                 {"GET", "HEAD", "DELETE"}),
                (True, "GET", "/v1/connections/1", 404, None),
                (True, "GET", "/v1/connections/x", 404, None),
                (True, "GET", "/v1/channels/no%20name", 400, None),
                (True, "GET", "/v1/channels/a/", 404, None),
                (True, "GET", "/v1/channels//events", 404, None),
                (True, "POST", "/v1/channels/a/b/events", 404, None),
                (True, "GET", "/v1/connections?limit=0", 400, None),
                (False, "GET", "/nowhere", 404, None),
                (False, "GET", "/metrics", 404, None),
                (False, "POST", "/v1/events", 404, None),
                (False, "DELETE", "/stream/a", 405,
                 {"GET", "HEAD", "POST", "OPTIONS"}),
                (False, "GET", "/stream/", 400, None),
                (False, "POST", "/healthz", 405, {"GET", "HEAD"}),
                (True, "DELETE", "/readyz", 405, {"GET", "HEAD"})):
            port = g.api_port if api else g.port
            with Wire(port) as w:
                w.send(request_head(path, method=method))
                status, headers, body = w.response()
            with self.subTest(request=f"{method} {path}", api=api):
                is_problem(self, status, headers, json.loads(body), expected)
                if allow is None:
                    self.assertNotIn("allow", headers)
                else:
                    self.assertEqual({m.strip() for m in
                                      headers["allow"].split(",")}, allow)

    def test_who_takes_the_wrong_way_is_told_the_right_one(self):
        g = self.gateway
        of_a_channel = "Of a channel there is /v1/channels/CHANNEL, and " \
            "with /events or /presence behind it."
        for api, method, path, expected, detail in (
                (True, "PUT", "/v1/channels/a/events", 405,
                 "Allowed here: GET, HEAD, POST."),
                (True, "POST", "/metrics", 405, "Allowed here: GET, HEAD."),
                (False, "POST", "/readyz", 405, "Allowed here: GET, HEAD."),
                (True, "POST", "/v1/channels/a", 405,
                 "Events are POSTed to /v1/channels/CHANNEL/events."),
                (True, "POST", "/v1/channels/a/", 404, of_a_channel),
                (True, "POST", "/v1/channels/a/events/", 404, of_a_channel),
                (True, "POST", "/v1/channels/a/publish", 404, of_a_channel),
                (True, "GET", "/v1/channels/a/event", 404, of_a_channel),
                (True, "POST", "/v1/channels/a%2Fb/events", 400,
                 "A channel's name has 1 to 128 characters of "
                 "A-Z a-z 0-9 . _ ~ : -"),
                (True, "GET", "/stream/a", 404, "The API is at /v1/channels, "
                 "/v1/events, /v1/connections, /v1/outbox, /v1/stats and "
                 "/metrics; streams are at the addresses of listen."),
                (False, "POST", "/v1/channels/a/events", 404,
                 "Streams are at /stream/CHANNEL, the pages at /spillway/; "
                 "the API is at the addresses of api-listen.")):
            port = g.api_port if api else g.port
            with self.subTest(request=f"{method} {path}"), Wire(port) as w:
                w.send(request_head(path, [("Content-Length", "1")],
                                    method=method) + b"x"
                       if method == "POST" else
                       request_head(path, method=method))
                status, _, body = w.response()
                self.assertEqual((status, json.loads(body)["detail"]),
                                 (expected, detail))

    def test_head_answers_like_get_without_a_body(self):
        g = self.gateway
        g.publish("a", 1)
        s = WsSubscriber(g, "a")
        id = s.notice("hello")["connection"]
        for path in ("/v1/channels", "/v1/channels/a", "/v1/stats",
                     "/v1/channels/a/events", "/v1/connections",
                     f"/v1/connections/{id}", "/metrics", "/healthz",
                     "/readyz"):
            get = g.request("GET", path, api=True)
            head = g.request("HEAD", path, api=True)
            self.assertEqual((get[0], head[0], head[2]), (200, 200, b""),
                             path)
            self.assertEqual(get[1]["content-type"], head[1]["content-type"])
        s.close()

    def test_health_and_readiness_are_told_on_both_sides(self):
        g = self.gateway
        for api in (False, True):
            for path in ("/healthz", "/readyz"):
                status, headers, _ = g.request("GET", path, api=api)
                self.assertEqual((status, headers["cache-control"]),
                                 (200, "no-store"))


if __name__ == "__main__":
    main()
