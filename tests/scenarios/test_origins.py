"""Pages of other origins: who is let in, and what browsers are told."""

import json

import tokens
from gateway import (EventStream, Scenario, WebSocket, Wire, main,
                     request_head)
from post import is_problem, post

APP = "https://app.example.com"
EVIL = "https://evil.example"


class Origins(Scenario):
    conf = f"""
allow-origin = {{ "{APP}", "http://localhost:3000" }}
send = publish
"""
    # What each origin gets, and whether it is told so.
    verdicts = (
        (None, True, None), (APP, True, APP),
        ("http://localhost:3000", True, "http://localhost:3000"),
        (EVIL, False, None), ("null", False, None), ("", False, None),
        (APP + ":8443", False, None), (APP.replace("s:", ":"), False, None),
        (APP + ".evil.example", False, None), ("*", False, None),
        (APP.upper(), False, None), (APP + "/", False, None))

    def cases(self):
        """Headers, whether they are let in, and what is allowed."""
        for origin, fine, allowed in self.verdicts:
            yield ([] if origin is None else [("Origin", origin)], fine,
                   allowed)
        own = f"http://127.0.0.1:{self.gateway.port}"
        yield [("Origin", own), ("Host", own[7:])], True, None

    def head(self, path, headers=(), method="GET"):
        """As request_head; a Host among the headers takes its place."""
        head = request_head(path, headers, method)
        if any(name == "Host" for name, _ in headers):
            head = head.replace(b"Host: test\r\n", b"", 1)
        return head

    def told(self, headers, allowed):
        self.assertEqual(headers.get("access-control-allow-origin"), allowed)
        named = allowed not in (None, "*")
        self.assertEqual(headers.get("access-control-allow-credentials"),
                         "true" if named else None)
        self.assertEqual(headers["vary"], "Origin")
        if allowed is not None and "allow" not in headers:
            self.assertIn("WWW-Authenticate",
                          headers["access-control-expose-headers"])

    def refused(self, status, headers, body):
        is_problem(self, status, headers, json.loads(body), 403)
        self.assertIn("allow-origin", json.loads(body)["detail"])
        self.told(headers, None)
        self.assertNotIn("www-authenticate", headers)

    def test_polls_and_what_they_are_refused_for(self):
        for headers, fine, allowed in self.cases():
            for path, expected in (("/stream/a", 200), ("/stream/a?wait=1",
                                                        200),
                                   ("/stream/a%20b", 400),
                                   ("/stream/a?after=x", 400),
                                   ("/stream/a?transport=ws", 426)):
                with self.subTest(headers, path=path), \
                        Wire(self.gateway.port) as w:
                    w.send(self.head(path, headers))
                    answer = w.response()
                    if fine:
                        self.assertEqual(answer[0], expected)
                        self.told(answer[1], allowed)
                    else:
                        self.refused(*answer)

    def test_waiting_polls_of_different_origins_get_their_own_headers(self):
        g = self.gateway
        head = g.publish("a", 0)["id"]
        waiting = []
        for headers, fine, allowed in self.cases():
            if fine:
                w = Wire(g.port)
                self.addCleanup(w.close)
                w.send(self.head(f"/stream/a?wait=50&after={head}", headers))
                waiting.append((w, allowed))
        g.until(lambda: g.metric("subscribers", '{transport="long"}') ==
                len(waiting))
        g.publish("a", 1)
        for w, allowed in waiting:
            status, headers, body = w.response()
            self.assertEqual(status, 200)
            self.assertEqual(json.loads(body)["events"][0]["data"], 1)
            self.told(headers, allowed)

    def test_event_streams(self):
        for headers, fine, allowed in self.cases():
            with self.subTest(headers), Wire(self.gateway.port) as w:
                w.send(self.head("/stream/a", headers +
                                 [("Accept", "text/event-stream")]))
                answer = w.response()
                if fine:
                    self.assertEqual(answer[0], 200)
                    self.told(answer[1], allowed)
                else:
                    self.refused(*answer)

    def test_websockets(self):
        upgrade = [("Upgrade", "websocket"), ("Connection", "Upgrade"),
                   ("Sec-WebSocket-Key", WebSocket.KEY),
                   ("Sec-WebSocket-Version", "13")]
        for headers, fine, _ in self.cases():
            with self.subTest(headers), Wire(self.gateway.port) as w:
                w.send(self.head("/stream/a", headers + upgrade))
                answer = w.response()
                if fine:
                    self.assertEqual(answer[0], 101)
                    self.assertNotIn("access-control-allow-origin", answer[1])
                else:
                    self.refused(*answer)

    def test_messages(self):
        count = 0
        for headers, fine, allowed in self.cases():
            with self.subTest(headers), Wire(self.gateway.port) as w:
                w.send(post("/stream/a", "1", headers).replace(
                    b"Host: test\r\n", b"" if len(headers) > 1 else
                    b"Host: test\r\n", 1))
                answer = w.response()
                count += fine
                if fine:
                    self.assertEqual(answer[0], 201)
                    self.told(answer[1], allowed)
                else:
                    self.refused(*answer)
        self.assertEqual(
            len(self.gateway.poll("a", after="start")["events"]), count)

    def test_a_message_that_is_too_large_is_told_to_the_page_as_well(self):
        with Wire(self.gateway.port) as w:
            w.send(request_head("/stream/a", [
                ("Origin", APP), ("Content-Length", 10 ** 9)], "POST"))
            status, headers, _ = w.response()
            self.assertEqual(status, 413)
            self.told(headers, APP)

    def test_preflights(self):
        for headers, fine, allowed in self.cases():
            for method, asked in (("GET", "last-event-id,authorization"),
                                  ("POST", "content-type")):
                with self.subTest(headers), Wire(self.gateway.port) as w:
                    w.send(self.head("/stream/a", headers + [
                        ("Access-Control-Request-Method", method),
                        ("Access-Control-Request-Headers", asked)],
                        "OPTIONS"))
                    status, answer, body = w.response()
                    if not fine:
                        self.refused(status, answer, body)
                        continue
                    self.assertEqual((status, body), (204, b""))
                    self.told(answer, allowed)
                    if allowed is None:
                        self.assertNotIn("access-control-allow-methods",
                                         answer)
                        continue
                    self.assertIn(method,
                                  answer["access-control-allow-methods"])
                    listed = answer["access-control-allow-headers"].lower()
                    for name in asked.split(","):
                        self.assertIn(name, listed)
                    self.assertGreater(int(answer["access-control-max-age"]),
                                       0)

    def test_what_is_no_stream_names_no_origin(self):
        g = self.gateway
        for path, api, expected in (("/healthz", False, 200),
                                    ("/v1/channels", True, 403)):
            status, headers, _ = g.request("GET", path,
                                           headers={"Origin": EVIL}, api=api)
            self.assertEqual(status, expected)
            self.assertNotIn("Access-Control-Allow-Origin", headers)
            self.assertNotIn("Vary", headers)

    def test_refusals_are_counted(self):
        g = self.gateway
        for _ in range(3):
            self.assertEqual(g.get("/stream/a", {"Origin": EVIL})[0], 403)
        g.until_metric(3, "access_refused_total", '{why="origin"}')


class OriginsThroughTheLibrary(Origins):
    conf = Origins.conf + "first-look = no\n"


class Unconfigured(Scenario):
    """As it comes: its own pages, and programs."""

    def test_only_pages_of_its_own(self):
        g = self.gateway
        for origin, expected in ((None, 200), (EVIL, 403), ("null", 403),
                                 (f"http://127.0.0.1:{g.port}", 200)):
            status, headers, _ = g.request(
                "GET", "/stream/a",
                headers={} if origin is None else {"Origin": origin})
            self.assertEqual(status, expected, origin)
            self.assertEqual(headers["Vary"],
                             None if origin is None else "Origin")
            self.assertIsNone(headers["Access-Control-Allow-Origin"])


class Cookies(Scenario):
    """A cookie comes along whoever asks: so it matters who does."""

    conf = f"""
token-key = "HS256:{tokens.SECRET}"
token-cookie = "jwt"
allow-origin = {{ "*", "{APP}" }}
send = publish
"""

    def test_only_pages_that_are_named_can_use_a_cookie(self):
        g = self.gateway
        token = tokens.token(subscribe=["a"], send=["a"])
        for origin, carried, expected in (
                (APP, {"Cookie": f"jwt={token}"}, 200),
                (None, {"Cookie": f"jwt={token}"}, 200),
                (EVIL, {"Cookie": f"jwt={token}"}, 401),
                ("null", {"Cookie": f"jwt={token}"}, 401),
                (EVIL, {"Authorization": f"Bearer {token}"}, 200)):
            headers = dict(carried, **({"Origin": origin} if origin else {}))
            status, answer, _ = g.request("GET", "/stream/a", headers=headers)
            self.assertEqual(status, expected, origin)
            if origin == EVIL:
                self.assertEqual(answer["Access-Control-Allow-Origin"], "*")
                self.assertIsNone(
                    answer["Access-Control-Allow-Credentials"])
            self.assertEqual(
                g.request("POST", "/stream/a", "1", headers)[0],
                201 if expected == 200 else 401)
            s = EventStream(g.port, "/stream/a", list(headers.items()))
            self.assertEqual(s.status, expected)
            s.close()


if __name__ == "__main__":
    main()
