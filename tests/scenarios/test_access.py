"""Tokens: who may subscribe and send, on every transport, and how long."""

import json
import os
import signal
import subprocess
import tempfile
import time
import unittest

import tokens
from gateway import (DAEMON, Closed, EventStream, Gateway, Scenario, WebSocket,
                     Wire, main, request_head)
from post import is_problem, post
from tokens import OTHER_SECRET, SECRET, bearer

CONF = f"""
token-key = {{ "HS256:{SECRET}" }}
token-audience = "spillway"
token-issuer = "login"
token-leeway = 0
auth-timeout = 0
send = publish
channel "open" {{ subscribe = anyone }}
channel "board" {{ send-access = anyone }}
"""


class Tokens(Scenario):
    """Remembers its tokens: none of them may ever be in the log."""

    conf = CONF

    def setUp(self):
        super().setUp()
        self.made = []

    def tearDown(self):
        for line in self.gateway.lines:
            for token in self.made:
                self.assertNotIn(token.split(".")[1], line)
        super().tearDown()

    def ws(self, path, protocol=None, headers=()):
        ws = WebSocket(self.gateway.port, path, protocol, headers=headers)
        self.addCleanup(ws.close)
        return ws

    def sse(self, path, headers=()):
        s = EventStream(self.gateway.port, path, headers)
        self.addCleanup(s.close)
        return s

    def token(self, *args, **claims):
        claims.setdefault("aud", "spillway")
        claims.setdefault("iss", "login")
        token = tokens.token(*args, **claims)
        self.made.append(token)
        return token

    def reader(self, pattern="room-*", **more):
        return self.token(subscribe=[pattern], send=[pattern], **more)

    def short_lived(self, **more):
        """Valid for one to two seconds."""
        return self.reader(expires=int(time.time()) + 2 - time.time(), **more)

    def credentials(self):
        """Every kind of them, and what room-7 answers."""
        good = self.reader()
        return (
            ("none", None, 401),
            ("empty", "", 401),
            ("no token at all", "secret", 401),
            ("bad signature", good[:-4] + "AAAA", 401),
            ("another secret", self.reader(secret=OTHER_SECRET), 401),
            ("no signature", good.rpartition(".")[0] + ".", 401),
            ("claims of another",
             good.split(".")[0] + "." + self.token(
                 sub="root", subscribe=["*"]).split(".")[1] + "." +
             good.split(".")[2], 401),
            ("algorithm none", self.reader(alg="none"), 401),
            ("another algorithm", self.reader(header={"alg": "HS512"}), 401),
            ("expired", self.reader(expires=-1), 401),
            ("not yet valid", self.reader(nbf=int(time.time()) + 300), 401),
            ("wrong audience", self.reader(aud="others"), 401),
            ("no audience", self.reader(aud=[]), 401),
            ("wrong issuer", self.reader(iss="others"), 401),
            ("wrong channel", self.reader("room-8"), 403),
            ("no channels", self.token(), 403),
            ("right", good, 200),
            ("right, never expires", self.reader(expires=None), 200),
            ("right, in a list", self.reader(aud=["x", "spillway"]), 200),
            ("right, by name", self.reader("room-7"), 200),
        )


def headers_of(token):
    return [] if token is None else bearer(token)


class EveryDoor(Tokens):
    """Every kind of credential at every endpoint."""

    def refused(self, status, headers, body, expected, token):
        is_problem(self, status, headers, json.loads(body), expected)
        challenge = headers["www-authenticate"]
        self.assertTrue(challenge.startswith('Bearer realm="spillway"'))
        if expected == 403:
            self.assertIn('error="insufficient_scope"', challenge)
        elif token is None:
            self.assertNotIn("error", challenge)
        else:
            self.assertIn('error="invalid_token"', challenge)

    def check_ws(self, path, token, expected):
        for headers, protocol in (
                (headers_of(token), None),
                ([], token and f"spillway.v1, bearer.{token}")):
            if not headers and not protocol and token is not None:
                continue
            ws = self.ws(path, protocol, headers=headers)
            self.assertEqual(ws.status, 101)
            self.assertNotIn("bearer", str(ws.headers))
            if expected == 200:
                self.assertEqual(ws.message()["type"], "spillway.hello")
            else:
                with self.assertRaises(Closed) as closed:
                    ws.message()
                self.assertEqual(closed.exception.code, 4000 + expected)
                self.assertIn("token", closed.exception.reason)
                self.assertEqual(ws.rest(), b"")
            ws.close()

    def check_sse(self, path, token, expected):
        s = self.sse(path, headers_of(token))
        if expected == 200:
            self.assertEqual(s.status, 200)
            self.assertEqual(s.block()[0], "spillway.hello")
        else:
            self.refused(s.status, s.headers, s.body, expected, token)
        s.close()

    def check_poll(self, path, token, expected):
        with Wire(self.gateway.port) as w:
            # The connection is not to blame: it goes on.
            for _ in range(2):
                w.send(request_head(path, headers_of(token)))
                status, headers, body = w.response()
                if expected == 200:
                    self.assertEqual(status, 200, body)
                else:
                    self.refused(status, headers, body, expected, token)

    def check_post(self, path, token, expected):
        for chunked in (False, True):
            with Wire(self.gateway.port) as w:
                w.send(post(path, "1", headers_of(token), chunked))
                status, headers, body = w.response()
                if expected == 200:
                    self.assertEqual(status, 201, body)
                else:
                    self.refused(status, headers, body, expected, token)

    def test_every_credential_at_every_door(self):
        head = self.gateway.publish("room-7", 0)["id"]
        for name, token, expected in self.credentials():
            for door, check, path in (
                    ("ws", self.check_ws, "/stream/room-7"),
                    ("sse", self.check_sse, "/stream/room-7"),
                    ("long", self.check_poll,
                     "/stream/room-7?wait=20&after=start"),
                    ("short", self.check_poll, "/stream/room-7"),
                    ("short, resumed", self.check_poll,
                     f"/stream/room-7?after={head}"),
                    ("post", self.check_post, "/stream/room-7")):
                with self.subTest(credential=name, door=door):
                    check(path, token, expected)

    def test_a_token_that_is_not_valid_is_refused_where_none_is_needed(self):
        for name, token, expected in self.credentials():
            if token is not None and expected == 403:
                expected = 200
            elif token is None:
                expected = 200
            for check in self.check_ws, self.check_sse, self.check_poll:
                with self.subTest(credential=name, check=check.__name__):
                    check("/stream/open", token, expected)
            with self.subTest(credential=name, check="post"):
                self.check_post("/stream/board", token, expected)

    def test_of_several_channels_all_must_be_allowed(self):
        token = self.reader()
        for check in self.check_ws, self.check_sse, self.check_poll:
            check("/stream/room-1,room-2,open", token, 200)
            check("/stream/room-1,other", token, 403)
            check("/stream/open,room-1", None, 401)
            check("/stream/open", None, 200)

    def test_refusals_are_counted(self):
        g = self.gateway
        self.check_poll("/stream/room-7", None, 401)
        self.check_ws("/stream/other", self.reader(), 403)
        self.check_post("/stream/other", self.reader(), 403)
        for why, count in (("unauthorized", 2), ("forbidden", 4),
                           ("origin", 0)):
            g.until_metric(count, "access_refused_total", f'{{why="{why}"}}')


class EveryDoorThroughTheLibrary(EveryDoor):
    conf = CONF + "first-look = no\n"


class Algorithms(Tokens):
    """Pairs of keys, each for one algorithm."""

    def setUp(self):
        self.made = []
        self.gateway = Gateway(workers=1)
        self.addCleanup(self.gateway.close)
        self.keys = tokens.Keys(self.gateway.dir)
        self.configure("RS256", "ES256")
        self.gateway.start()

    def configure(self, *algs, more=""):
        files = {"RS256": "rsa.pem", "PS256": "rsa.pem", "ES256": "ec.pem"}
        self.gateway.configure("token-key = { " + ", ".join(
            f'"{a}:file:{self.keys.path(files[a])}"' for a in algs) + " }\n" +
            more)

    def status(self, token):
        return self.gateway.get("/stream/a", dict(bearer(token)))[0]

    def ask(self, alg, **more):
        token = tokens.token(alg, keys=self.keys, subscribe=["a"], **more)
        self.made.append(token)
        return self.status(token)

    def test_each_key_serves_its_algorithm_alone(self):
        with open(self.keys.path("rsa.pem"), "rb") as f:
            public = f.read()
        self.assertEqual(self.ask("RS256"), 200)
        self.assertEqual(self.ask("ES256"), 200)
        self.assertEqual(self.ask("PS256"), 401)
        self.assertEqual(self.ask("PS256", header={"alg": "RS256"}), 401)
        self.assertEqual(self.ask("ES256", header={"alg": "RS256"}), 401)
        self.assertEqual(self.ask("none"), 401)
        # The public key as a secret, the oldest of these tricks.
        for header in ({}, {"alg": "RS256"}, {"alg": "ES256"}):
            self.assertEqual(self.ask("HS256", secret=public, header=header),
                             401)
        self.configure("PS256")
        self.gateway.signal(signal.SIGHUP)
        self.gateway.wait_log("configuration reloaded")
        self.assertEqual(self.ask("PS256"), 200)
        self.assertEqual(self.ask("RS256"), 401)

    def test_the_command_makes_tokens_of_every_kind(self):
        g = self.gateway
        self.configure("RS256", "ES256", "PS256", more=f"""
token-key += {{ "HS256:kid=mine:file:{self.keys.path('secret')}" }}
token-audience = "us"
token-issuer = "me"
""")
        with open(self.keys.path("secret"), "w", encoding="ascii") as f:
            f.write(SECRET + "\n")
        g.signal(signal.SIGHUP)
        g.wait_log("configuration reloaded")
        for alg, key, *more in (("HS256", "secret", "--kid", "mine"),
                                ("RS256", "rsa.key"), ("PS256", "rsa.key"),
                                ("ES256", "ec.key", "--expires", "5s")):
            out = tokens.subprocess.run(
                [os.environ.get("SPILLWAY", "./spillway"), "token",
                 "--key", self.keys.path(key), "--alg", alg, "--sub", "ann",
                 "--subscribe", "a", "--subscribe", "b*", "--aud", "us",
                 "--iss", "me", *more],
                check=True, capture_output=True, text=True)
            token = out.stdout.strip()
            self.made.append(token)
            self.assertEqual(self.status(token), 200, alg)
            self.assertEqual(
                g.get("/stream/bc", dict(bearer(token)))[0], 200)
            self.assertEqual(g.get("/stream/c", dict(bearer(token)))[0], 403)

    def test_a_key_may_come_from_anywhere(self):
        """By a relative path, and by a pipe, which has none."""
        with tempfile.TemporaryDirectory() as place:
            with open(os.path.join(place, "key"), "w",
                      encoding="ascii") as f:
                f.write(SECRET)
            for key in "key", "/dev/stdin":
                out = subprocess.run(
                    [os.path.abspath(DAEMON), "token", "--key", key],
                    check=False, cwd=place, input=SECRET,
                    capture_output=True, text=True)
                self.assertEqual((out.returncode, out.stderr), (0, ""), key)
                self.assertEqual(out.stdout.count("."), 2)

    def test_the_command_says_what_it_needs(self):
        for args, word in (
                ((), "Usage"), (("--key", "/nonexistent"), "No such file"),
                (("--key", self.keys.path("rsa.key") + "/x"),
                 "Not a directory"),
                (("--key", self.keys.path("rsa.key")), "has a key in PEM"),
                (("--key", self.keys.path("rsa.pem"), "--alg", "RS256"),
                 "private key"),
                (("--key", self.keys.path("rsa.key"), "--alg", "none"),
                 "HS256"),
                (("--key", "x", "--subscribe", "a b"), "patterns"),
                (("--key", "x", "--expires", "soon"), "unit"),
                (("--key", "x", "--what"), "Usage")):
            out = tokens.subprocess.run(
                [os.environ.get("SPILLWAY", "./spillway"), "token", *args],
                check=False, capture_output=True, text=True)
            self.assertIn(out.returncode, (1, 2), args)
            self.assertEqual(out.stdout, "")
            self.assertIn(word, out.stderr)


class Carried(Tokens):
    """The places that may carry a token."""

    conf = CONF.replace("auth-timeout = 0", """
auth-timeout = "60s"
token-cookie = "jwt"
token-in-url = yes
""")

    def test_five_places(self):
        g, token = self.gateway, self.reader(sub="ann")
        places = (
            (bearer(token), "", None),
            ([("Cookie", f"a=b; jwt={token}")], "", None),
            ([], "", f"spillway.v1, bearer.{token}"),
            ([], f"?token={token}", None))
        for headers, query, protocol in places:
            ws = self.ws("/stream/room-1" + query, protocol,
                           headers=headers)
            self.assertEqual(ws.message()["type"], "spillway.hello")
            ws.close()
            if protocol is None:
                s = self.sse("/stream/room-1" + query, headers)
                self.assertEqual(s.status, 200)
                s.close()
                for method, body in ("GET", None), ("POST", "1"):
                    self.assertIn(g.request(
                        method, "/stream/room-1" + query, body,
                        dict(headers))[0], (200, 201))
        ws = self.ws("/stream/room-1")
        ws.command(op="auth", token=token, ref=7)
        answer = ws.message()
        self.assertEqual((answer["op"], answer["ref"], answer["user"]),
                         ("ok", 7, "ann"))
        self.assertEqual(ws.message()["type"], "spillway.hello")
        ws.close()

    def test_url_and_cookie_are_off_unless_configured(self):
        g, token = self.gateway, self.reader()
        g.configure(CONF)
        g.restart()
        for path, headers in ((f"/stream/room-1?token={token}", {}),
                              ("/stream/room-1", {"Cookie": f"jwt={token}"}),
                              ("/stream/room-1", {"Cookie": f"off={token}"})):
            self.assertEqual(g.get(path, headers)[0], 401)

    def test_a_token_in_the_wrong_place_is_told_the_right_ones(self):
        """As those are who come from a server that takes it there."""
        g, token = self.gateway, self.reader()
        g.configure(CONF)
        g.restart()
        places = ("This channel needs a token: `Authorization: Bearer TOKEN`, "
                  "the protocol bearer.TOKEN, or ?token= with token-in-url = "
                  "yes.")
        for path, headers in ((f"/stream/room-1?token={token}", {}),
                              (f"/stream/room-1?access_token={token}", {}),
                              ("/stream/room-1", {"Authorization": token})):
            status, _, body = g.request("GET", path, None, headers)
            self.assertEqual((status, json.loads(body)["detail"]),
                             (401, places))
        ws = self.ws(f"/stream/room-1?token={token}")
        with self.assertRaises(Closed) as closed:
            ws.message()
        self.assertEqual((closed.exception.code, closed.exception.reason),
                         (4401, places))

    def test_the_first_message_brings_what_the_upgrade_asked_for(self):
        g = self.gateway
        ids = [g.publish("room-1", n)["id"] for n in range(3)]
        ws = self.ws(f"/stream/room-1?after={ids[0]}")
        # All in one piece: what follows the token is read as usual.
        ws.send(ws.frame(1, json.dumps({"op": "auth",
                                        "token": self.reader()})) +
                ws.frame(1, json.dumps({"op": "send", "ref": 1,
                                        "data": "x" * 40000})))
        self.assertEqual(ws.message()["op"], "ok")
        self.assertEqual(ws.message()["type"], "spillway.hello")
        self.assertEqual([ws.message()["data"] for _ in range(2)], [1, 2])
        self.assertEqual(ws.message()["type"], "spillway.caughtup")
        rest = [ws.message(), ws.message()]
        self.assertEqual({m.get("op", m.get("type")) for m in rest},
                         {"ok", "message"})
        ws.close()

    def test_last_event_id_is_remembered_with_the_request(self):
        g = self.gateway
        ids = [g.publish("room-1", n)["id"] for n in range(3)]
        ws = self.ws(f"/stream/room-1?after={ids[0]}",
                       headers=[("Last-Event-ID", ids[1])])
        ws.command(op="auth", token=self.reader())
        kinds = [ws.message() for _ in range(3)]
        self.assertEqual(kinds[2]["data"], 2)
        ws.close()

    def test_there_is_time_to_send_the_token(self):
        ws = self.ws("/stream/room-1")
        for n in range(30):
            self.gateway.publish("room-2", n)
        ws.command(op="auth", token=self.reader())
        self.assertEqual(ws.message()["op"], "ok")
        ws.close()

    def test_the_first_message_has_to_be_a_valid_token(self):
        for first, code, word in (
                ({"op": "ping"}, 4401, "first message"),
                ({"op": "subscribe", "channel": "open"}, 4401, "first"),
                ({"op": "auth"}, 4401, "first message"),
                ({"op": "auth", "token": self.reader(expires=-1)}, 4401,
                 "expired"),
                ({"op": "auth", "token": "a.b.c"}, 4401, "token")):
            ws = self.ws("/stream/room-1")
            ws.command(**first)
            with self.assertRaises(Closed) as closed:
                ws.message()
            self.assertEqual(closed.exception.code, code)
            self.assertIn(word, closed.exception.reason)
            ws.close()
        ws = self.ws("/stream/room-1")
        ws.command(op="auth", token=self.reader("room-2"))
        self.assertEqual(ws.message()["op"], "ok")
        with self.assertRaises(Closed) as closed:
            ws.message()
        self.assertEqual(closed.exception.code, 4403)
        for why, count in ("unauthorized", 5), ("forbidden", 1):
            self.gateway.until_metric(count, "access_refused_total",
                                      f'{{why="{why}"}}')
        # A frame as large as any message is none that a token needs.
        ws = self.ws("/stream/room-1")
        ws.say(b"x" * 17000)
        with self.assertRaises(Closed) as closed:
            ws.message()
        self.assertEqual(closed.exception.code, 1009)

    def test_without_a_token_in_time_it_is_closed(self):
        g = self.gateway
        g.configure(CONF.replace("auth-timeout = 0",
                                 'auth-timeout = "100ms"'))
        g.restart()
        ws = self.ws("/stream/room-1")
        with self.assertRaises(Closed) as closed:
            ws.message()
        self.assertEqual(closed.exception.code, 4401)
        # Raw ones have no messages for it.
        ws = self.ws("/stream/room-1", "spillway.raw")
        with self.assertRaises(Closed) as closed:
            ws.message()
        self.assertEqual(closed.exception.code, 4401)


class Commands(Tokens):
    """What a WebSocket asks for later is looked at as well."""

    def open(self, path="/stream/room-1", **claims):
        ws = self.ws(path,
                       headers=bearer(self.reader(**claims)))
        self.assertEqual(ws.message()["type"], "spillway.hello")
        self.assertEqual(ws.message()["type"], "spillway.caughtup")
        return ws

    def answer(self, ws, **command):
        ws.command(**command)
        while True:
            m = ws.message()
            if "op" in m:
                return m

    def test_subscribe_and_send(self):
        ws = self.open()
        for op in "subscribe", "send":
            more = {"data": 1} if op == "send" else {}
            self.assertEqual(self.answer(
                ws, op=op, channel="room-2", **more)["op"], "ok")
            refused = self.answer(ws, op=op, channel="other", ref=1, **more)
            self.assertEqual((refused["op"], refused["code"], refused["ref"]),
                             ("error", "forbidden", 1))
        self.assertEqual(
            self.answer(ws, op="subscribe", channel="open")["op"], "ok")
        ws.close()

    def test_somebody_without_a_token_is_told_to_bring_one(self):
        ws = self.ws("/stream/open")
        ws.message(), ws.message()
        for op in "subscribe", "send":
            self.assertEqual(self.answer(ws, op=op, channel="room-1",
                                         data=1)["code"], "unauthorized")
        self.assertEqual(
            self.answer(ws, op="auth", token=self.reader())["op"], "ok")
        self.assertEqual(
            self.answer(ws, op="subscribe", channel="room-1")["op"], "ok")
        ws.close()

    def test_raw_messages_end_what_may_not_send(self):
        ws = self.ws("/stream/open", "spillway.raw")
        ws.say("hello")
        with self.assertRaises(Closed) as closed:
            ws.read()
        self.assertEqual(closed.exception.code, 4401)

    def test_a_token_is_replaced_by_one_of_the_same_user_for_as_much(self):
        ws = self.open(sub="ann")
        for token, code in (
                (self.reader(sub="bob"), "forbidden"),
                (self.reader(), "forbidden"),
                (self.reader("room-2", sub="ann"), "forbidden"),
                (self.reader(sub="ann", expires=-1), "unauthorized")):
            answer = self.answer(ws, op="auth", token=token)
            self.assertEqual((answer["op"], answer["code"]), ("error", code))
        answer = self.answer(ws, op="auth",
                             token=self.reader("room-1", sub="ann"))
        self.assertEqual((answer["op"], answer["user"]), ("ok", "ann"))
        self.assertGreater(answer["expires"], 1000 * time.time())
        # What the new one does not allow is no longer allowed.
        self.assertEqual(self.answer(ws, op="subscribe",
                                     channel="room-2")["code"], "forbidden")
        ws.close()

    def test_a_large_token_is_replaced_as_well(self):
        """As large as one may be that comes with the upgrade."""
        large = self.reader(groups=["x" * 5700])
        self.assertGreater(len(large), 7500)
        ws = self.open(groups=["x" * 5700])
        self.assertEqual(self.answer(ws, op="auth", token=large)["op"], "ok")
        ws.close()

    def test_the_user_is_seen_by_the_operator_and_in_the_log(self):
        g = self.gateway
        ws = self.open(sub='ann "x"')
        s = self.sse("/stream/open")
        s.block()
        _, answer = g.api("GET", "/v1/connections")
        users = {c["transport"]: c.get("user")
                 for c in answer["connections"]}
        self.assertEqual(users, {"ws": 'ann "x"', "sse": None})
        ws.close()
        g.wait_log(r'closed id=.*transport=ws .*user="ann \\"x\\"" events=')
        s.close()


class Expiry(Tokens):
    """A stream ends with its token."""

    def test_streams_and_polls_that_wait_end_with_their_token(self):
        g = self.gateway
        head = g.publish("room-1", 0)["id"]
        token = self.short_lived(sub="ann")
        ws = self.ws("/stream/room-1", headers=bearer(token))
        sse = self.sse("/stream/room-1", bearer(token))
        poll = Wire(g.port)
        poll.send(request_head(f"/stream/room-1?wait=50&after={head}",
                               bearer(token)))
        for _ in range(2):
            ws.message(), sse.block()
        with self.assertRaises(Closed) as closed:
            ws.message()
        self.assertEqual((closed.exception.code, closed.exception.reason),
                         (4401, "the token has expired"))
        with self.assertRaises(Closed):
            sse.block()
        status, headers, body = poll.response()
        is_problem(self, status, headers, json.loads(body), 401)
        self.assertIn('error="invalid_token"', headers["www-authenticate"])
        g.until_metric(3, "subscribers_closed_total", '{why="expired"}')
        # The next poll brings a new one, and misses nothing.
        g.publish("room-1", 1)
        answer = g.get(f"/stream/room-1?after={head}",
                       dict(bearer(self.reader())))[1]
        self.assertEqual([e["data"] for e in answer["events"]], [1])
        for s in ws, sse, poll:
            s.close()

    def test_a_websocket_goes_on_with_a_new_token(self):
        g = self.gateway
        token = self.short_lived(sub="ann")
        ws = self.ws("/stream/room-1", headers=bearer(token))
        clock = self.ws("/stream/room-1", headers=bearer(token))
        ws.message(), ws.message()
        clock.message(), clock.message()
        ws.command(op="auth", token=self.reader(sub="ann"))
        self.assertEqual(ws.message()["op"], "ok")
        with self.assertRaises(Closed):
            clock.message()
        g.publish("room-1", "still here")
        self.assertEqual(ws.message()["data"], "still here")
        ws.close()

    def test_a_new_token_may_also_end_sooner(self):
        ws = self.ws("/stream/room-1",
                       headers=bearer(self.reader()))
        ws.message(), ws.message()
        ws.command(op="auth", token=self.short_lived())
        self.assertEqual(ws.message()["op"], "ok")
        with self.assertRaises(Closed) as closed:
            ws.message()
        self.assertEqual(closed.exception.code, 4401)

    def test_what_needs_no_token_ends_with_it_all_the_same(self):
        s = self.sse("/stream/open",
                        bearer(self.short_lived()))
        s.block(), s.block()
        with self.assertRaises(Closed):
            s.block()


class Rotation(Tokens):
    """Keys come and go with SIGHUP."""

    def setUp(self):
        self.made = []
        self.gateway = Gateway(workers=2)
        self.addCleanup(self.gateway.close)
        self.reloads = 0
        self.configure("old")
        self.gateway.start()

    def configure(self, *names):
        for name, secret in ("old", SECRET), ("new", OTHER_SECRET):
            with open(os.path.join(self.gateway.dir, name), "w",
                      encoding="ascii") as f:
                f.write(secret)
        self.gateway.configure("token-key = { " + ", ".join(
            f'"HS256:kid={n}:file:{self.gateway.dir}/{n}"'
            for n in names) + " }")

    def reload(self, *names):
        self.configure(*names)
        self.hang_up()

    def hang_up(self):
        self.reloads += 1
        self.gateway.signal(signal.SIGHUP)
        self.gateway.wait_log("configuration reloaded", self.reloads)

    def statuses(self):
        return tuple(
            self.gateway.get("/stream/a", dict(bearer(tokens.token(
                secret=secret, header=header, subscribe=["a"]))))[0]
            for secret, header in ((SECRET, {"kid": "old"}), (SECRET, {}),
                                   (OTHER_SECRET, {"kid": "new"}),
                                   (OTHER_SECRET, {"kid": "old"})))

    def test_a_new_key_joins_and_the_old_one_goes(self):
        ws = self.ws("/stream/a", headers=bearer(
            tokens.token(subscribe=["a"])))
        ws.message(), ws.message()
        self.assertEqual(self.statuses(), (200, 200, 401, 401))
        self.reload("old", "new")
        self.assertEqual(self.statuses(), (200, 200, 200, 401))
        self.reload("new")
        self.assertEqual(self.statuses(), (401, 401, 200, 401))
        # Nobody was thrown out.
        self.gateway.publish("a", "hello")
        self.assertEqual(ws.message()["data"], "hello")
        ws.close()

    def test_a_file_is_read_again(self):
        with open(os.path.join(self.gateway.dir, "old"), "w",
                  encoding="ascii") as f:
            f.write(OTHER_SECRET)
        self.hang_up()
        self.assertEqual(self.statuses(), (401, 401, 401, 200))

    def test_a_key_that_is_gone_leaves_the_old_configuration(self):
        os.unlink(os.path.join(self.gateway.dir, "old"))
        self.gateway.signal(signal.SIGHUP)
        self.gateway.wait_log("the configuration has faults")
        self.assertEqual(self.statuses(), (200, 200, 401, 401))


class Doors(unittest.TestCase):
    """What opens a gateway to others, and what does not."""

    def start(self, conf):
        g = Gateway(conf)
        self.addCleanup(g.close)
        listen = f'listen = {{ "0.0.0.0:{g.port}" }}'
        with open(g.conf_path, encoding="utf-8") as f:
            text = f.read().replace(
                f'listen = {{ "127.0.0.1:{g.port}" }}', listen, 1)
        with open(g.conf_path, "w", encoding="utf-8") as f:
            f.write(text)
        return g

    def test_a_token_key_is_a_decision(self):
        g = self.start(f'token-key = "HS256:{SECRET}"').start()
        self.assertEqual(g.get("/stream/a")[0], 401)

    def test_anonymous_is_another_and_channels_may_still_ask(self):
        g = self.start(f'token-key = "HS256:{SECRET}"\nanonymous = yes\n'
                       'channel "shut" { subscribe = token }').start()
        self.assertEqual(g.get("/stream/a")[0], 200)
        self.assertEqual(g.get("/stream/shut")[0], 401)

    def test_without_a_decision_it_does_not_start_and_says_what_to_write(self):
        g = self.start("").start(expect_failure=True)
        g.wait_log("token-key = .* if clients carry tokens")
        self.assertEqual(g.wait_end(), 2)


if __name__ == "__main__":
    main()
