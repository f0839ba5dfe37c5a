"""Paths have backends of their own: `route` blocks of the reverse proxy."""

import os
import signal
import threading

from backend import Backend, echo, response
from gateway import GUARD, WebSocket, main
from test_reverse_proxy import Proxied, asking
from test_upgrades import application


def named(name):
    """A backend that says who it is and what it was asked for."""
    def answer(request, connection):
        body = connection.body(request)
        return response(f"{name} {request.method} {request.target}".encode() +
                        (b" " + body if body else b""))
    return answer


class Routed(Proxied):
    # As in test_reverse_proxy.Large.
    env = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") +
           ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64"}

    def backend_of(self, respond):
        b = Backend(respond)
        self.addCleanup(b.close)
        return b

    def route(self, text, outside=named("outside"), **backends):
        """A gateway with these routes; NAME in braces is a backend's URL."""
        self.backends = {
            name: self.backend_of(respond if callable(respond)
                                  else named(name))
            for name, respond in backends.items()}
        self.text = text
        self.outside = self.backend_of(outside) if outside else None
        return self.gate([self.outside.url] if outside else [],
                         self.routes(text))

    def routes(self, text):
        for name, b in self.backends.items():
            text = text.replace(f"<{name}>", f'backend = "{b.url}"')
        return text

    def get(self, path, method="GET", headers=""):
        status, _, body = self.ask(f"{method} {path} HTTP/1.1\nHost: a\n" +
                                   headers)
        return status, body.decode()

    def seen(self):
        """How many requests reached anybody."""
        return (len(self.outside.requests) if self.outside else 0) + sum(
            len(b.requests) for b in self.backends.values())


class Choosing(Routed):
    def test_the_first_route_that_matches_has_the_path(self):
        self.route('route "/api/v2/*" { <new> }\nroute "/api/*" { <old> }\n'
                   'route "/exact" { <exact> }\nroute "/*.php" { <php> }\n',
                   new=1, old=1, exact=1, php=1)
        for path, name in (("/", "outside"), ("/x", "outside"),
                           ("/api", "old"), ("/api/", "old"),
                           ("/api?a", "old"), ("/api/v1?b=/api/v2/", "old"),
                           ("/api/v2", "new"), ("/api/v2/x?c", "new"),
                           ("/api/v20", "old"), ("/apis", "outside"),
                           ("/API/x", "outside"), ("/exact", "exact"),
                           ("/exact?", "exact"), ("/exact/", "outside"),
                           ("/a/b.php?c", "php"), ("/x?/api/", "outside")):
            self.assertEqual(self.get(path), (200, f"{name} GET {path}"))

    def test_every_method_takes_the_route_with_its_body(self):
        self.route('route "/api/*" { <api> }\n', api=echo)
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS",
                       "PROPFIND", "X-OWN"):
            for body in (b"", b"x" * 100_000):
                status, headers, got = self.ask(
                    f"{method} /api/m HTTP/1.1\nHost: a\n"
                    f"Content-Length: {len(body)}\n", body)
                self.assertEqual((status, got), (200, body))
                self.assertEqual(headers["x-method"], method)
        w = self.wire()
        w.send(asking("HEAD /api/m HTTP/1.1\nHost: a\n"))
        self.assertIn(b"X-Method: HEAD\r\n", w.until(b"\r\n\r\n"))
        self.assertEqual(len(self.outside.requests), 0)

    def test_a_connection_may_take_one_route_after_the_other(self):
        self.route('route "/a/*" { <a> }\nroute "/b/*" { <b> }\n', a=1, b=1)
        w = self.wire()
        paths = ["/a/1", "/b/2", "/c/3", "/b", "/a"] * 4
        w.send(b"".join(asking(f"GET {p} HTTP/1.1\nHost: a\n")
                        for p in paths))
        names = {"a": "a", "b": "b", "c": "outside"}
        for p in paths:
            self.assertEqual(w.response()[2].decode(),
                             f"{names[p[1]]} GET {p}")

    def test_our_own_paths_stay_ours(self):
        g = self.route('route "/s*" { <s> }\nroute "/h*" { <h> }\n'
                       'route "/*" { <all> }\n', s=1, h=1, all=1)
        self.assertEqual(g.get("/healthz")[0], 200)
        self.assertEqual(g.get("/readyz")[0], 200)
        self.assertEqual(g.get("/stream/room")[0], 200)
        self.assertEqual(g.get("/spillway/")[0], 404)
        self.assertEqual(self.seen(), 0)
        self.assertEqual(self.get("/streams"), (200, "s GET /streams"))
        self.assertEqual(self.get("/"), (200, "all GET /"))

    def test_without_a_backend_a_path_is_nobodys(self):
        g = self.route('route "/off/*" { backend = off }\n'
                       'route "/api/*" { <api> }\n', api=1)
        self.assertEqual(self.get("/off/x", "POST")[0], 404)
        self.assertEqual(self.get("/off")[0], 404)
        status, headers, body = self.ask("GET /off/x HTTP/1.1\nHost: a\n")
        self.assertEqual(headers["content-type"], "application/problem+json")
        self.assertEqual(self.seen(), 0)
        self.assertEqual(self.get("/offer"), (200, "outside GET /offer"))
        g.until_metric(3, "route_requests_total",
                       '{route="/off/*",status="4xx"}')

    def test_routes_need_no_backend_outside(self):
        g = self.route('route "/api/*" { <api> }\n', outside=None, api=1)
        self.assertEqual(self.get("/api/x"), (200, "api GET /api/x"))
        self.assertEqual(self.get("/x")[0], 404)
        self.assertEqual(g.get("/healthz")[0], 200)
        self.assertEqual(g.get("/stream/room")[0], 200)

    def test_without_the_first_look_routes_are_the_same(self):
        self.route('first-look = no\nroute "/api/*" { <api>\n'
                   'strip-prefix = yes }\nroute "/off/*" { backend = off }\n',
                   api=1)
        w = self.wire()
        for path, answer in (("/api/x?y", (200, "api GET /x?y")),
                             ("/api", (200, "api GET /")),
                             ("/b", (200, "outside GET /b"))):
            w.send(asking(f"GET {path} HTTP/1.1\nHost: a\n"))
            status, _, body = w.response()
            self.assertEqual((status, body.decode()), answer)
        self.assertEqual(self.get("/off/x")[0], 404)
        self.assertEqual(self.get("/api/../off/x")[0], 400)


class Ambiguity(Routed):
    """What any server might take for another route's is nobody's."""

    ROUTES = ('route "/api/*" { <api>\nstrip-prefix = yes }\n'
              'route "/admin/*" { backend = off }\n')

    def test_no_reading_of_a_path_reaches_another_backend(self):
        self.route(self.ROUTES, api=1)
        for path in ("/api/../admin", "/api/..", "/api/../",
                     "/api/%2e%2e/admin", "/api/%2E%2e/x", "/api/.%2e/x",
                     "/api%2f../admin", "/api%2f..", "/api/..%2fadmin",
                     "/api/..%5cadmin", "/api/%252e%252e/admin",
                     "/api/%25252e%25252e/../../x", "/api/..;/admin",
                     "/x/../admin", "/../admin", "/./admin", "//admin",
                     "///admin/x", "/x/..//admin", "/%61dmin", "/%61dmin/x",
                     "/admin%2fx", "/admin;x/y", "/%2561dmin", "/admin%00",
                     "/api/x%00", "/api/x/../../admin", "/api/./../admin",
                     "/api/%2e%2e%2f%2e%2e%2fadmin", "/x/%2e%2e/admin?y"):
            for head in (f"GET {path} HTTP/1.1\nHost: a\n",
                         f"GET http://a{path} HTTP/1.1\nHost: a\n",
                         f"GET {path} HTTP/1.0\n",
                         f"POST {path} HTTP/1.1\nHost: a\n"
                         "Transfer-Encoding: chunked\n"):
                with self.subTest(head=head):
                    status, headers, _ = self.ask(head, b"0\r\n\r\n")
                    self.assertEqual(status, 400)
                    self.assertEqual(headers["content-type"],
                                     "application/problem+json")
        self.assertEqual(self.seen(), 0)

    def test_what_is_odd_within_one_route_passes_as_it_is(self):
        self.route(self.ROUTES, api=1)
        for path in ("/a%2Fb", "/caf%C3%A9", "/a/../b", "/a//b", "/a;b=c",
                     "/100%", "/...", "/.well-known/x", "//x", "/%2e"):
            self.assertEqual(self.get("/api" + path),
                             (200, f"api GET {path}"))
        for path in ("/a%2Fb", "/a/../b", "//x", "/.well-known/x", "/x;y",
                     "/ADMIN/x"):
            self.assertEqual(self.get(path), (200, f"outside GET {path}"))

    def test_without_routes_no_path_is_refused(self):
        self.route("")
        for path in ("/api/../admin", "/api%2f..", "/%252e", "/x%00", "//a"):
            self.assertEqual(self.get(path), (200, f"outside GET {path}"))

    def test_a_refused_body_is_not_the_next_request(self):
        self.route(self.ROUTES, api=1)
        for path in ("/api/../admin", "/admin/x"):
            w = self.wire()
            inner = asking("GET /api/smuggled HTTP/1.1\nHost: a\n")
            w.send(asking(f"POST {path} HTTP/1.1\nHost: a\n"
                          f"Content-Length: {len(inner)}\n", inner))
            self.assertIn(w.response()[0], (400, 404))
            self.assertEqual(w.rest(), b"")
        self.assertEqual(self.seen(), 0)


class Rewriting(Routed):
    def test_the_prefix_is_stripped_and_the_query_is_not(self):
        self.route('route "/a/b/*" { <ab>\nstrip-prefix = yes }\n'
                   'route "/api/*" { <api>\nstrip-prefix = yes }\n'
                   'route "/kept/*" { <api> }\n', ab=1, api=1)
        for path, name, target in (
                ("/api/x", "api", "/x"), ("/api/", "api", "/"),
                ("/api", "api", "/"), ("/api?q", "api", "/?q"),
                ("/api?", "api", "/?"), ("/api/?q=/api/", "api", "/?q=/api/"),
                ("/api/x/?a=%20&b", "api", "/x/?a=%20&b"),
                ("/api/api/x", "api", "/api/x"), ("/a/b", "ab", "/"),
                ("/a/b/c%2Fd", "ab", "/c%2Fd"),
                ("/kept/x?y", "api", "/kept/x?y"),
                ("/a/c", "outside", "/a/c")):
            self.assertEqual(self.get(path), (200, f"{name} GET {target}"))

    def test_the_backend_is_told_what_was_stripped(self):
        self.route('route "/api/*" { <api>\nstrip-prefix = yes }\n', api=1)
        self.get("/api/x", headers="X-Forwarded-Prefix: /evil\n")
        self.get("/x", headers="X-Forwarded-Prefix: /evil\n")
        self.assertEqual(
            self.backends["api"].wait(1).all("X-Forwarded-Prefix"), ["/api"])
        self.assertEqual(
            self.outside.wait(1).all("X-Forwarded-Prefix"), [])

    def test_a_trusted_proxy_has_stripped_something_before(self):
        self.route('trusted-proxy = "127.0.0.0/8"\n'
                   'route "/api/*" { <api>\nstrip-prefix = yes }\n', api=1)
        self.get("/api/x", headers="X-Forwarded-Prefix: /outer\n")
        self.assertEqual(
            self.backends["api"].wait(1).all("X-Forwarded-Prefix"),
            ["/outer/api"])

    def test_a_location_is_not_rewritten(self):
        self.route('route "/api/*" { <api>\nstrip-prefix = yes }\n',
                   api=lambda r, c: response(b"", "302 Found",
                                             "Location: /login\r\n"))
        _, headers, _ = self.ask("GET /api/x HTTP/1.1\nHost: a\n")
        self.assertEqual(headers["location"], "/login")

    def test_headers_are_set_and_left_out_by_route(self):
        self.route('request-header = "X-All: yes"\n'
                   'route "/api/*" { <api>\n'
                   'request-header = { "X-Team: a", "cookie:", '
                   '"Host: internal:80", "X-Forwarded-For:" }\n'
                   'response-header = { "Server:", "X-Frame-Options: DENY" }'
                   '\n}\nroute "/x/*" { <api> }\n',
                   api=lambda r, c: response(
                       headers="Server: old\r\nX-Frame-Options: ALLOW\r\n"
                               "X-Kept: 1\r\n"))
        sent = ("Cookie: a=b\nX-TEAM: evil\nX-Team: worse\nX_Team: c\n"
                "X-All: no\nConnection: X-Team\n")
        _, got, _ = self.ask("GET /api/x HTTP/1.1\nHost: a\n" + sent)
        r = self.backends["api"].wait(1)
        for name, values in (("X-Team", ["a"]), ("Cookie", []),
                             ("X_Team", []), ("Host", ["internal:80"]),
                             ("X-Forwarded-For", []), ("X-All", ["no"]),
                             ("X-Forwarded-Host", ["a"])):
            self.assertEqual(r.all(name), values, name)
        self.assertEqual((got.get("server"), got["x-frame-options"],
                          got["x-kept"]), (None, "DENY", "1"))
        _, got, _ = self.ask("GET /x/y HTTP/1.1\nHost: a\n" + sent)
        r = self.backends["api"].wait(2)
        self.assertEqual((r.all("X-All"), r.all("Cookie"), r.get("Host")),
                         (["yes"], ["a=b"], "a"))
        self.assertEqual((got["server"], got["x-frame-options"]),
                         ("old", "ALLOW"))


class Apart(Routed):
    """A backend in trouble is its own route's trouble."""

    def until_asked(self, target):
        """A request that times out may never have come that far."""
        b = self.outside
        with b.changed:
            self.assertTrue(b.changed.wait_for(
                lambda: target in [r.target for r in b.requests], GUARD))

    def test_one_is_away_and_the_others_serve(self):
        g = self.route('route "/dead/*" { backend = "http://127.0.0.1:1"\n'
                       'backend-failures = 2\nbackend-fail-time = "1h" }\n'
                       'route "/api/*" { <api> }\n', api=1)
        self.assertEqual([self.get("/dead/x")[0] for _ in range(4)],
                         [502, 502, 503, 503])
        self.assertEqual(self.get("/api/x"), (200, "api GET /api/x"))
        self.assertEqual(self.get("/x"), (200, "outside GET /x"))
        self.assertEqual(self.get("/dead/x")[0], 503)
        for end, count in (("unreachable", 2), ("down", 3), ("ok", 0)):
            g.until_metric(count, "route_backend_requests_total",
                           f'{{route="/dead/*",end="{end}"}}')
        g.until_metric(1, "route_backend_requests_total",
                       '{route="/api/*",end="ok"}')
        g.until_metric(1, "route_backend_requests_total",
                       '{route="",end="ok"}')
        g.until_metric(5, "route_requests_total",
                       '{route="/dead/*",status="5xx"}')

    def test_who_is_full_lets_others_pass(self):
        release = threading.Event()
        self.addCleanup(release.set)

        def slow(request, connection):
            release.wait(GUARD)
            return response(b"late")
        g = self.route('route "/slow/*" { <slow>\nbackend-requests-max = 1\n'
                       'backend-queue-max = 1 }\n', slow=slow)
        wires = [self.wire() for _ in range(2)]
        for n, w in enumerate(wires):
            w.send(asking(f"GET /slow/{n} HTTP/1.1\nHost: a\n"))
            g.until(lambda: g.metric("backend_running") +
                    g.metric("backend_waiting") == n + 1)
        self.assertEqual(self.get("/slow/2")[0], 503)
        self.assertEqual(self.get("/x"), (200, "outside GET /x"))
        release.set()
        for w in wires:
            self.assertEqual(w.response()[2], b"late")

    def test_timeouts_are_the_routes_own(self):
        release = threading.Event()
        self.addCleanup(release.set)

        def mute(request, connection):
            if "mute" in request.target:
                release.wait(GUARD)
            elif "stalls" in request.target:
                connection.s.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbegun")
                release.wait(GUARD)
            return response(b"said")
        self.route('route "/own/*" { <own>\n'
                   'backend-response-timeout = "50ms" }\n'
                   # These share the backend from outside, not its timeouts.
                   'route "/shared/*" { backend-response-timeout = "50ms" }\n'
                   'route "/total/*" { backend-total-timeout = "50ms" }\n'
                   'route "/idle/*" { backend-idle-timeout = "50ms" }\n',
                   own=mute, outside=mute)
        for path in ("/own/mute", "/shared/mute", "/total/mute"):
            self.assertEqual(self.get(path)[0], 504, path)
        w = self.wire()
        w.send(asking("GET /idle/stalls HTTP/1.1\nHost: a\n"))
        self.assertTrue(w.rest().endswith(b"\r\n\r\nbegun"))
        # Without them it takes its time: nobody else's timeout is in force.
        w = self.wire()
        w.send(asking("GET /mute HTTP/1.1\nHost: a\n"))
        self.until_asked("/mute")
        # Another 504 says that as much time has passed for that one.
        self.assertEqual(self.get("/total/mute")[0], 504)
        release.set()
        self.assertEqual(w.response()[2], b"said")

    def test_a_timeout_of_a_route_does_not_stay_in_a_kept_handle(self):
        release = threading.Event()
        self.addCleanup(release.set)

        def slow(request, connection):
            if "slow" in request.target:
                release.wait(GUARD)
            return response(b"said")
        self.route('route "/brief/*" { backend-total-timeout = "100ms" }\n',
                   outside=slow)
        for _ in range(3):
            self.get("/brief/x")
            self.get("/x")
        self.assertEqual(self.get("/brief/slow")[0], 504)
        w = self.wire()
        w.send(asking("GET /slow HTTP/1.1\nHost: a\n"))
        self.until_asked("/slow")
        # Another 504 says that as much time has passed for that one.
        self.assertEqual(self.get("/brief/slow")[0], 504)
        release.set()
        self.assertEqual(w.response()[2], b"said")

    def test_origins_of_a_route_share_its_requests(self):
        one, two = (self.backend_of(named(n)) for n in ("one", "two"))
        self.route(f'route "/api/*" {{ backend = {{ "{one.url} weight=2", '
                   f'"{two.url}" }} }}\n')
        names = [self.get("/api/x")[1].split()[0] for _ in range(30)]
        self.assertEqual((names.count("one"), names.count("two")), (20, 10))

    def test_probes_are_the_routes_own(self):
        up = {"status": "200 OK"}

        def app(request, connection):
            if request.target == "/up":
                return response(b"", up["status"])
            return response(b"app")
        g = self.route('route "/api/*" { <api>\nbackend-probe-path = "/up"\n'
                       'backend-probe-interval = "20ms"\n'
                       'backend-failures = 1 }\n', api=app)
        self.assertEqual(self.get("/api/x"), (200, "app"))
        up["status"] = "500 Down"
        g.until(lambda: self.get("/api/x")[0] == 503)
        self.assertEqual(self.get("/x"), (200, "outside GET /x"))
        up["status"] = "200 OK"
        g.until(lambda: self.get("/api/x")[0] == 200)
        self.assertEqual([r.target for r in self.outside.requests], ["/x"])


class Streaming(Routed):
    def test_an_upgrade_takes_its_route(self):
        self.route('route "/ws/*" { <ws>\nstrip-prefix = yes\n'
                   'request-header = "X-Team: a" }\n'
                   'route "/plain/*" { <ws>\nupgrade = off }\n',
                   ws=lambda r, c: application(r, c)
                   if r.get("Upgrade") else response(b"plain"))
        ws = WebSocket(self.front.port, "/ws/app?x")
        self.addCleanup(ws.close)
        self.assertEqual(ws.status, 101)
        ws.say("through the route")
        self.assertEqual(ws.read()[1], b"through the route")
        r = self.backends["ws"].wait(1)
        self.assertEqual((r.target, r.get("X-Team"),
                          r.get("X-Forwarded-Prefix")), ("/app?x", "a", "/ws"))
        ws = WebSocket(self.front.port, "/plain/app")
        self.addCleanup(ws.close)
        self.assertEqual(ws.status, 200)

    def test_bodies_stream_through_a_route(self):
        size = 8 << 20
        self.route('route "/up/*" { <up>\nstrip-prefix = yes }\n', up=echo)
        w = self.wire()
        sent = threading.Thread(target=w.send, args=(asking(
            "PUT /up/file HTTP/1.1\nHost: a\nExpect: 100-continue\n"
            f"Content-Length: {size}\n", b"z" * size),))
        sent.start()
        status, _, body = w.response()
        sent.join()
        if status == 100:
            status, _, body = w.response()
        self.assertEqual((status, len(body), body.strip(b"z")),
                         (200, size, b""))


class Operating(Routed):
    def reload(self, g, text):
        with g.changed:
            g.lines.clear()
        g.configure(f'backend = "{self.outside.url}"\n' + self.routes(text))
        g.signal(signal.SIGHUP)
        g.wait_log("configuration reloaded")
        with g.changed:
            return [l for l in g.lines if "a restart is needed" in l]

    def test_what_a_route_says_changes_with_a_reload(self):
        g = self.route('route "/api/*" { <api> }\n', api=1)
        self.assertEqual(self.get("/api/x"), (200, "api GET /api/x"))
        self.assertEqual(self.reload(
            g, 'route "/api/*" { <api>\nstrip-prefix = yes\n'
               'request-header = "X-New: 1" }\n'), [])
        g.until(lambda: self.get("/api/x") == (200, "api GET /x"))
        self.assertEqual(self.backends["api"].requests[-1].get("X-New"), "1")

    def test_other_routes_need_a_restart_and_until_then_nothing_changes(self):
        g = self.route('route "/a/*" { <a> }\nroute "/b/*" { <b> }\n',
                       a=1, b=1)
        before = {p: self.get(p) for p in ("/a/x", "/b/x", "/c/x")}
        for text in ('route "/b/*" { <b> }\nroute "/a/*" { <a> }\n',
                     'route "/b/*" { <b> }\n', "",
                     'route "/c/*" { <a> }\nroute "/b/*" { <b> }\n',
                     'route "/a/*" { backend = off }\nroute "/b/*" { <a> }\n',
                     'route "/a/*" { }\nroute "/b/*" { <b> }\n'):
            for _ in range(3):
                warned = self.reload(g, text)
                self.assertEqual(len(warned), 1)
                self.assertIn("a restart is needed for: route", warned[0])
                for path, answer in before.items():
                    self.assertEqual(self.get(path), answer)
        g.restart()
        self.assertEqual(self.get("/a/x"), (200, "outside GET /a/x"))

    def test_the_access_log_names_the_route(self):
        g = self.route('access-log = yes\n'
                       'route "/api/*" { <api>\nstrip-prefix = yes }\n'
                       'route "/quiet/*" { access-log = no }\n', api=1)
        for path in ("/quiet/x", "/api/x?y", "/x"):
            self.get(path)
        g.wait_log(r'request id=.* target="?/api/x\?y"? route="?/api/\*"? '
                   r'status=200 .* end=ok')
        g.wait_log(r'request id=.* target="?/x"? route=none status=200 ')
        with g.changed:
            self.assertFalse([l for l in g.lines
                              if " request id" in l and "/quiet" in l])

    def test_clients_events_go_to_the_backend_outside(self):
        g = self.route('bridge-secret = whsec_MDEyMzQ1Njc4OWFiY2RlZmdo\n'
                       'send = bridge\n'
                       'route "/spillway-events/*" { backend = off }\n'
                       'route "/*" { <all> }\n', all=1)
        status = g.request("POST", "/stream/room", b"hello")[0]
        self.assertEqual(status, 200)
        r = self.outside.wait(1)
        self.assertEqual((r.method, r.target), ("POST", "/spillway-events"))
        self.assertEqual(self.get("/spillway-events")[0], 404)
        self.assertEqual(len(self.outside.requests), 1)


if __name__ == "__main__":
    main()
