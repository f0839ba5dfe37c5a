"""The tokens of the API: every call, with every token, through both doors."""

import http.client
import json

from gateway import GUARD, Scenario, Wire, main, request_head
from post import DOORS, Publisher, is_problem

PUBLISHER = "publisher-0123456789"
READER = "reader-0123456789"
ADMIN = "admin-0123456789"
PLAIN = "plain-0123456789"
BOTH = "publisher-and-reader-0123456789"

# Who holds it, what the request carries, what it is for; None: for nothing.
HOLDERS = (
    ("nobody", [], None),
    ("a stranger", ["Bearer stranger-0123456789"], None),
    ("half of one", ["Bearer " + ADMIN[:-1]], None),
    ("the scope in front", ["Bearer admin:" + ADMIN], None),
    ("another scheme", ["Basic " + ADMIN], None),
    ("no scheme", [ADMIN], None),
    ("two", ["Bearer " + ADMIN, "Bearer " + READER], None),
    ("a publisher", ["Bearer " + PUBLISHER], {"publish"}),
    ("a reader", ["Bearer " + READER], {"read"}),
    ("a publisher who reads", ["Bearer " + BOTH], {"publish", "read"}),
    ("an administrator", ["Bearer " + ADMIN], {"publish", "read", "admin"}),
    ("one without a scope", ["bearer " + PLAIN],
     {"publish", "read", "admin"}),
)

EVENT = '{"n":1}'
BATCH = '{"channel":"a","data":1}\n'

# What is asked, what for, and what it answers to whoever may.
CALLS = (
    ("POST", "/v1/channels/a/events", EVENT, "publish", 201),
    ("POST", "/v1/events", BATCH, "publish", 201),
    ("POST", "/v1/channels/no%20name/events", EVENT, "publish", 400),
    ("GET", "/v1/channels/a/events", None, "read", 200),
    ("HEAD", "/v1/channels/a/events", None, "read", 200),
    ("GET", "/v1/channels", None, "read", 200),
    ("GET", "/v1/channels/a", None, "read", 200),
    ("GET", "/v1/connections", None, "read", 200),
    ("GET", "/v1/connections/1000000", None, "read", 404),
    ("GET", "/v1/stats", None, "read", 200),
    ("GET", "/metrics", None, "read", 200),
    ("GET", "/nowhere", None, "read", 404),
    ("DELETE", "/v1/channels/spare", None, "admin", 404),
    ("DELETE", "/v1/connections/1000000", None, "admin", 404),
    ("POST", "/v1/channels/a", EVENT, "admin", 405),
    ("PUT", "/v1/channels/a/events", EVENT, "admin", 405),
)


class Scopes(Scenario):
    conf = f"""
api-token = {{ "publish:{PUBLISHER}", "read:{READER}", "admin:{ADMIN}",
              "{PLAIN}", "publish:{BOTH}", "read:{BOTH}" }}
"""

    def ask(self, method, path, body, credentials):
        """Status, headers, body; headers may be there more than once."""
        c = http.client.HTTPConnection("127.0.0.1", self.gateway.api_port,
                                       timeout=GUARD)
        try:
            c.putrequest(method, path)
            for value in credentials:
                c.putheader("Authorization", value)
            if body is not None:
                c.putheader("Content-Type", "application/x-ndjson"
                            if path == "/v1/events" else "application/json")
                c.putheader("Content-Length", str(len(body)))
            c.endheaders((body or "").encode())
            r = c.getresponse()
            headers = {k.lower(): v for k, v in r.getheaders()}
            return r.status, headers, r.read()
        finally:
            c.close()

    def refused(self, answer, expected, carried):
        status, headers, body = answer
        challenge = headers["www-authenticate"]
        self.assertTrue(challenge.startswith('Bearer realm="spillway"'))
        if body:
            is_problem(self, status, headers, json.loads(body), expected)
        if expected == 403:
            self.assertIn('error="insufficient_scope"', challenge)
        else:
            self.assertEqual('error="invalid_token"' in challenge, carried)

    def test_each_call_asks_for_what_it_does(self):
        refused = {401: 0, 403: 0}
        self.publish_by_plain()
        for method, path, body, scope, answer in CALLS:
            for who, credentials, allowed in HOLDERS:
                with self.subTest(call=f"{method} {path}", who=who):
                    expected = (401 if allowed is None else
                                answer if scope in allowed else 403)
                    got = self.ask(method, path, body, credentials)
                    self.assertEqual(got[0], expected, got)
                    if expected in (401, 403):
                        refused[expected] += 1
                        self.refused(got, expected, bool(credentials))
                        self.assertNotIn(b"0123456789", got[2])
                    if expected == 403 and got[2]:
                        self.assertEqual(
                            got[2].count(b"`admin`"), 1, got[2])
        self.assertEqual(refused[401], len(CALLS) * 7)
        _, _, body = self.ask("GET", "/metrics", None, ["Bearer " + READER])
        for why, status in (("unauthorized", 401), ("forbidden", 403)):
            self.assertIn(f'access_refused_total{{why="{why}"}} '
                          f"{refused[status]}\n", body.decode())

    def publish_by_plain(self):
        got = self.ask("POST", "/v1/channels/a/events", EVENT,
                       ["Bearer " + PLAIN])
        self.assertEqual(got[0], 201, got)

    def test_both_doors_for_publishing_agree(self):
        for chunked in DOORS:
            for who, credentials, allowed in HOLDERS:
                if len(credentials) > 1:
                    continue
                head = [("Authorization", v) for v in credentials]
                expected = (401 if allowed is None else
                            201 if "publish" in allowed else 403)
                with self.subTest(who=who, chunked=chunked), \
                        Publisher(self.gateway, chunked) as p:
                    self.assertEqual(p.publish("a", "1", *head)[0], expected)

    def test_what_was_refused_has_not_happened(self):
        self.publish_by_plain()
        for credentials in (["Bearer " + READER], ["Bearer " + PUBLISHER], []):
            self.ask("DELETE", "/v1/channels/a", None, credentials)
        for credentials in (["Bearer " + READER], []):
            self.ask("POST", "/v1/channels/a/events", EVENT, credentials)
            self.ask("POST", "/v1/events", BATCH, credentials)
        answer = self.gateway.poll("a", after="start")
        self.assertEqual([e["data"] for e in answer["events"]], [{"n": 1}])
        self.assertEqual(self.ask("DELETE", "/v1/channels/a", None,
                                  ["Bearer " + ADMIN])[0], 204)

    def test_who_is_not_let_in_is_not_asked_for_the_body(self):
        """Nor is it waited for: what it says is of no interest."""
        framings = ([("Content-Length", "1000000")],
                    [("Transfer-Encoding", "chunked")])
        for credentials, expected in (([], 401), (["Bearer " + READER], 403)):
            head = [("Authorization", c) for c in credentials]
            for framing in framings:
                for path in ("/v1/channels/a/events", "/v1/events"):
                    with self.subTest(path=path, framing=framing), \
                            Wire(self.gateway.api_port) as w:
                        w.send(request_head(
                            path, head + framing +
                            [("Expect", "100-continue")], "POST"))
                        status, headers, _ = w.response()
                        self.assertEqual(status, expected)
                        self.assertEqual(headers["connection"], "close")

    def test_health_is_for_everybody(self):
        for path in ("/healthz", "/readyz"):
            self.assertEqual(self.ask("GET", path, None, [])[0], 200)

    def test_no_token_is_in_the_log(self):
        for _, credentials, _ in HOLDERS:
            self.ask("GET", "/v1/stats", None, credentials)
        self.gateway.stop()
        for line in self.gateway.lines:
            for secret in (PUBLISHER, READER, ADMIN, PLAIN, BOTH):
                self.assertNotIn(secret, line)


class WithoutTokens(Scenario):
    """Whoever reaches the API may use it, but for pages of others."""

    conf = 'allow-origin = { "http://friend.test", "*" }'

    def test_pages_of_other_origins_are_refused(self):
        g = self.gateway
        for door in DOORS:
            for origin, status in (
                    (None, 201), ("http://test", 201),
                    ("http://friend.test", 201), ("http://evil.test", 403),
                    ("null", 403)):
                with self.subTest(door=door, origin=origin):
                    headers = [] if origin is None else [("Origin", origin)]
                    with Publisher(g, door) as p:
                        got, fields, answer = p.publish(
                            "a", "1", *headers)
                    self.assertEqual(got, status)
                    if status == 403:
                        is_problem(self, got, fields, answer, 403)
                        self.assertIn("allow-origin", answer["detail"])
        for method, path in (("GET", "/v1/channels"), ("GET", "/metrics"),
                             ("DELETE", "/v1/channels/a")):
            self.assertEqual(
                g.request(method, path, headers={"Origin": "http://evil.test"},
                          api=True)[0], 403)
        events = g.poll("a", after="start")["events"]
        self.assertEqual(len([e for e in events if "data" in e]),
                         3 * len(DOORS))
        g.until_metric(2 * len(DOORS) + 3,
                       "access_refused_total", '{why="origin"}')


class Names(Scenario):
    """A page whose name points to loopback is of the same origin as we."""

    GOOD = ("localhost", "LOCALHOST:8081", "app.localhost", "127.0.0.1",
            "127.0.0.1:8081", "[::1]", "[::1]:8081", "backend", "backend:80",
            "")
    BAD = ("evil.test", "evil.test:8081", "127.0.0.1.evil.test", "localhost.",
           "localhost.evil.test", "evillocalhost.test", "a.localhost.test",
           "1.2.3.4.a", ".localhost.a:1", "rebind.evil.test:8081")

    def ask(self, host, method="GET", path="/v1/stats", body=b""):
        with Wire(self.gateway.api_port) as w:
            w.send(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n"
                   f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            return w.response()

    def test_only_names_that_nobody_else_can_give(self):
        for host in self.GOOD:
            with self.subTest(host):
                self.assertEqual(self.ask(host)[0], 200)
                self.assertEqual(self.ask(
                    host, "POST", "/v1/channels/a/events", b"1")[0], 201)
        for host in self.BAD:
            with self.subTest(host):
                for call in ((), ("POST", "/v1/channels/b/events", b"1"),
                             ("DELETE", "/v1/channels/a"),
                             ("GET", "/metrics")):
                    status, headers, body = self.ask(host, *call)
                    is_problem(self, status, headers, json.loads(body), 403)
                    self.assertIn("api-token", json.loads(body)["detail"])
        self.assertEqual(self.gateway.poll("b", after="start")["events"], [])

    def test_with_a_token_the_name_does_not_matter(self):
        g = self.gateway
        g.configure(f'api-token = "{PLAIN}"\n')
        g.restart()
        status, _, _ = g.request(
            "GET", "/v1/stats", api=True,
            headers={"Host": "api.example.test",
                     "Authorization": "Bearer " + PLAIN})
        self.assertEqual(status, 200)


if __name__ == "__main__":
    main()
