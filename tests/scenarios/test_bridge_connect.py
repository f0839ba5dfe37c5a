"""The backend decides who subscribes, and is told who comes and goes."""

import json
import threading
import unittest

import tokens
from bridge_backend import SECRET, Backend
from gateway import (TEXT, Closed, EventStream, Gateway, WebSocket, Wire,
                     free_ports, request_head)

EVENTS = [("Accept", "text/event-stream")]
GRANTED = (204, None, b"")


def reply(**members):
    return 200, "application/json", json.dumps(members).encode()


class Asked(unittest.TestCase):
    conf = """
channel "asked*" { bridge-connect = yes  bridge-presence = yes }
channel "told*" { bridge-presence = yes }
"""

    def setUp(self):
        self.answers = {}
        self.backend = Backend(self.answer)
        self.addCleanup(self.backend.close)
        self.start(self.backend.port)

    def start(self, port, more="", **options):
        self.gateway = Gateway(f"""
backend = "http://127.0.0.1:{port}"
bridge-secret = "{SECRET}"
bridge-header = {{ "Cookie" }}
{self.conf}{more}
""", **options)
        self.addCleanup(self.gateway.close)
        self.gateway.start()

    def answer(self, event):
        answer = self.answers.get(event.type, GRANTED)
        return answer(event) if callable(answer) else answer

    def told(self, count, *types):
        """The first so many events of these types, as the backend saw them."""
        def those():
            return [e for e in self.backend.events if e.type in types]
        with self.backend.changed:
            assert self.backend.changed.wait_for(
                lambda: len(those()) >= count, 60), self.backend.events
            return those()

    def socket(self, channel, **options):
        ws = WebSocket(self.gateway.port, f"/stream/{channel}", **options)
        self.addCleanup(ws.close)
        self.assertEqual(ws.status, 101)
        return ws

    def stream(self, channel, **options):
        es = EventStream(self.gateway.port, f"/stream/{channel}", **options)
        self.addCleanup(es.close)
        return es

    def ending(self, ws):
        with self.assertRaises(Closed) as end:
            while True:
                ws.read()
        return end.exception.code, end.exception.reason


class Connect(Asked):
    # All four transports.

    def ask_all(self, channel):
        """What each transport gets: the status, or the code of the close."""
        ws = WebSocket(self.gateway.port, f"/stream/{channel}",
                       headers=[("Cookie", "c=1")])
        self.addCleanup(ws.close)
        try:
            ws.read()
            codes = {"ws": 200}
        except Closed as end:
            codes = {"ws": end.code}
        es = self.stream(channel, headers=[("Cookie", "c=1")])
        codes["sse"] = es.status
        for name, query in (("short", ""), ("long", "?wait=5")):
            codes[name] = self.gateway.request(
                "GET", f"/stream/{channel}{query}", None,
                {"Cookie": "c=1"})[0]
        return codes

    def test_a_head_is_asked_for_and_nobody_comes_or_goes(self):
        for path, headers in (("asked", EVENTS), ("asked?session=s", [])):
            for answer, status in ((GRANTED, 200), ((403, None, b""), 403)):
                self.answers["spillway.connect"] = answer
                with Wire(self.gateway.port) as w:
                    w.send(request_head("/stream/" + path, headers, "HEAD"))
                    head = w.until(b"\r\n\r\n").decode()
                    self.assertEqual(int(head.split()[1]), status, head)
        self.answers["spillway.connect"] = GRANTED
        self.stream("asked").close()
        self.told(1, "spillway.disconnect")
        types = [e.type for e in self.backend.events]
        self.assertEqual(types.count("spillway.connect"), 5)
        for other in ("spillway.subscribe", "spillway.disconnect"):
            self.assertEqual(types.count(other), 1, types)

    def test_cookies_of_pages_that_anybody_may_have_stay_here(self):
        """The browser adds them, whosever page it is."""
        self.gateway.close()
        self.start(self.backend.port, 'allow-origin = { "http://friend.test", '
                   '"*" }\nsend = bridge\n')
        for origin, cookie in (("http://stranger.test", None), ("null", None),
                               ("http://friend.test", "c=1")):
            # The sessions are new each time, or nobody would be asked.
            seen = len(self.backend.events)
            head = {"Origin": origin, "Cookie": "c=1"}
            ws = self.socket("asked", headers=head.items())
            ws.command(op="subscribe", channel="asked-later")
            ws.message(op="ok")
            self.stream("asked", headers=head.items())
            for method, path in (("GET", "/stream/asked"),
                                 ("GET", f"/stream/asked?session={seen}"),
                                 ("POST", f"/stream/asked?session={seen}")):
                self.gateway.request(method, path, b"" if method == "POST"
                                     else None, head)
            # What was answered; presence is told whenever it is.
            with self.backend.changed:
                events = [e for e in self.backend.events[seen:] if e.type in
                          ("spillway.connect", "spillway.message")]
            self.assertEqual(len(events), 6, [e.type for e in events])
            self.assertEqual({e.headers["Cookie"] for e in events}, {cookie})

    def test_whoever_asks_is_let_in_when_the_backend_says_so(self):
        self.assertEqual(self.ask_all("asked-1,told-2"), dict.fromkeys(
            ("ws", "sse", "short", "long"), 200))
        events = self.told(4, "spillway.connect")
        self.assertEqual([e.headers["ce-transport"] for e in events],
                         ["ws", "sse", "short", "long"])
        for event in events:
            self.assertTrue(event.signed_by())
            self.assertEqual(event.headers["Cookie"], "c=1")
            self.assertEqual(json.loads(event.body),
                             {"channels": ["asked-1", "told-2"]})
        self.gateway.until_metric(4,
                                  "bridge_events_total",
                                  '{type="spillway.connect",outcome="taken"}')

    def test_a_refusal_is_shown_on_every_transport(self):
        problem = "application/problem+json"
        for status, close in ((403, 4403), (401, 4401), (429, 1013)):
            self.answers["spillway.connect"] = (
                status, problem, b'{"detail":"Pay first."}')
            self.assertEqual(self.ask_all("asked"), {
                "ws": close, "sse": status, "short": status, "long": status})
        ws = self.socket("asked")
        self.assertEqual(self.ending(ws), (1013, "Pay first."))
        _, body = self.gateway.get("/stream/asked")
        self.assertEqual(body["detail"], "Pay first.")
        self.assertEqual(self.told(0, "spillway.subscribe"), [])

    def test_a_failure_of_the_backend_lets_nobody_in(self):
        self.answers["spillway.connect"] = (500, "text/plain", b"secret")
        self.assertEqual(self.ask_all("asked"), {
            "ws": 1011, "sse": 502, "short": 502, "long": 502})
        self.answers["spillway.connect"] = reply(channels="all")
        self.assertEqual(self.ask_all("asked")["sse"], 502)

    def test_other_channels_ask_nobody(self):
        self.assertEqual(self.gateway.get("/stream/free")[0], 200)
        self.assertEqual(self.backend.events, [])

    # What the answer says.

    def test_the_answer_says_who_it_is(self):
        self.answers["spillway.connect"] = reply(user="ann é", meta={"a": 1})
        ws = self.socket("asked")
        ws.message(type="spillway.hello")
        event = self.told(1, "spillway.subscribe")[0]
        self.assertEqual(event.headers["ce-user"], "ann%20%C3%A9")
        _, body = self.gateway.api("GET", "/v1/connections")
        self.assertEqual([c["user"] for c in body["connections"]], ["ann é"])

    def test_the_answer_narrows_and_widens(self):
        self.answers["spillway.connect"] = reply(channels=["asked-a*"])
        self.assertEqual(self.gateway.get("/stream/asked-b")[0], 403)
        ws = self.socket("asked-a")
        ws.message(type="spillway.hello")
        asked = len(self.told(2, "spillway.connect"))
        # Granted already: it is not asked again.
        ws.command(op="subscribe", channel="asked-also", ref=1)
        ws.message(op="ok", ref=1)
        self.assertEqual(len(self.told(asked, "spillway.connect")), asked)
        ws.command(op="subscribe", channel="asked-b", ref=2)
        self.assertEqual(ws.message(ref=2)["code"], "forbidden")
        self.assertEqual(len(self.told(asked, "spillway.connect")), asked + 1)

    def test_the_end_that_the_answer_names_ends_the_stream(self):
        self.answers["spillway.connect"] = reply(expires=1)
        ws = self.socket("asked")
        self.assertEqual(self.ending(ws)[0], 4401)

    def test_what_has_ended_when_it_is_granted_lets_nobody_in(self):
        """Not even a poll, which is over before an end could come."""
        self.gateway.publish("asked", "secret")
        self.answers["spillway.connect"] = reply(expires=1)
        for headers in {}, dict(EVENTS):
            for path in "after=start", "last=1&wait=20", "session=s&last=1":
                status, answer = self.gateway.get("/stream/asked?" + path,
                                                  headers)
                self.assertEqual(
                    (status, answer["detail"]),
                    (401, "What the backend grants has ended."))

    def test_what_the_answer_publishes_is_in_the_stream(self):
        self.answers["spillway.connect"] = (
            200, "application/spillway+json", json.dumps({
                "reply": {"user": "u"},
                "publish": [{"data": "somebody comes"}]}).encode())
        ws = self.socket("asked")
        self.assertEqual(ws.message(channel="asked")["data"],
                         "somebody comes")

    # Later.

    def test_a_later_subscribe_is_asked_too(self):
        ws = self.socket("free")
        ws.command(op="subscribe", channel="asked", ref=1)
        ws.message(op="ok", ref=1)
        self.answers["spillway.connect"] = (403, "text/plain", b"Not there.")
        ws.command(op="subscribe", channel="asked-2", ref=2)
        self.assertEqual(
            ws.message(ref=2),
            {"op": "error", "ref": 2, "code": "forbidden",
             "message": "Not there."})
        self.gateway.until_metric(1, "access_refused_total",
                                  '{why="forbidden"}')
        ws.command(op="subscribe", channel="asked", ref=3)
        self.assertEqual(ws.message(ref=3)["code"], "subscribed")

    def commands(self, ws, *commands):
        """All in one segment."""
        ws.send(b"".join(ws.frame(TEXT, json.dumps(c)) for c in commands))

    def hold_connects(self):
        """The backend accepts them when what it returns is set."""
        go_on = threading.Event()
        self.addCleanup(go_on.set)

        def answer(_):
            go_on.wait()
            return GRANTED

        self.answers["spillway.connect"] = answer
        return go_on

    def test_what_follows_waits_for_the_answer(self):
        go_on = self.hold_connects()
        ws = self.socket("free")
        ws.message(type="spillway.caughtup")
        self.commands(
            ws, {"op": "subscribe", "channel": "asked", "ref": 1},
            {"op": "unsubscribe", "channel": "asked", "ref": 2},
            {"op": "subscribe", "channel": "asked-2", "ref": 3},
            {"op": "ping", "ref": 4})
        self.told(1, "spillway.connect")
        ws.command(op="ping", ref=5)
        go_on.set()
        answers = [json.loads(ws.read()[1]) for _ in range(5)]
        self.assertEqual([(a["op"], a["ref"]) for a in answers],
                         [("ok", n) for n in range(1, 6)])
        self.assertEqual(
            [(e.type, e.headers["ce-channel"]) for e in self.told(
                3, "spillway.subscribe", "spillway.unsubscribe")],
            [("spillway.subscribe", "asked"),
             ("spillway.unsubscribe", "asked"),
             ("spillway.subscribe", "asked-2")])

    def test_it_is_asked_for_behind_what_came_before(self):
        go_on = threading.Event()
        self.addCleanup(go_on.set)

        def slow(_):
            go_on.wait()
            return GRANTED

        ws = self.socket("told-1,told-2")
        number = str(ws.message(type="spillway.hello")["connection"])
        self.told(2, "spillway.subscribe")
        self.answers["spillway.unsubscribe"] = slow
        self.commands(ws, {"op": "unsubscribe", "channel": "told-1"},
                      {"op": "unsubscribe", "channel": "told-2", "ref": 1},
                      {"op": "subscribe", "channel": "asked", "ref": 2})
        ws.message(ref=1)
        self.told(1, "spillway.unsubscribe")
        # Others are asked for meanwhile.
        self.socket("asked").message(type="spillway.hello")
        go_on.set()
        self.assertEqual(ws.message(ref=2)["op"], "ok")
        self.told(4, "spillway.subscribe")
        self.assertEqual(
            [e.type.removeprefix("spillway.") for e in self.backend.events
             if e.headers["ce-connection"] == number],
            ["subscribe", "subscribe", "unsubscribe", "unsubscribe",
             "connect", "subscribe"])

    def test_who_goes_leaves_what_waits_behind(self):
        go_on = self.hold_connects()
        ws = self.socket("free")
        self.commands(ws, {"op": "subscribe", "channel": "asked"},
                      {"op": "subscribe", "channel": "told"})
        self.told(1, "spillway.connect")
        connections = self.gateway.api("GET", "/v1/connections")[1]
        self.gateway.api("DELETE", "/v1/connections/" + str(
            connections["connections"][0]["id"]))
        self.assertEqual(self.ending(ws)[0], 4403)
        go_on.set()
        self.gateway.until_metric(
            1, "bridge_events_total",
            '{type="spillway.connect",outcome="taken"}')
        self.assertEqual(self.told(0, "spillway.subscribe"), [])

    def test_an_answer_that_cannot_be_understood_grants_nothing(self):
        ws = self.socket("asked")
        ws.message(type="spillway.hello")
        asked = 1
        for broken in (reply(user="eve", channels=["asked-2", 5]),
                       reply(channels=["asked-2"], expires="soon"),
                       reply(channels={"subscribe": ["asked-2"], "send": 1}),
                       reply(channels=["asked-2"] * 10001),
                       reply(channels={"subscribe": ["asked-2"],
                                       "send": ["asked-2"] * 10001})):
            self.answers["spillway.connect"] = broken
            ws.command(op="subscribe", channel="asked-2", ref=asked)
            self.assertEqual(ws.message(ref=asked)["code"], "backend")
            asked += 1
            self.assertEqual(len(self.told(asked, "spillway.connect")), asked)
        self.answers["spillway.connect"] = GRANTED
        ws.command(op="subscribe", channel="asked-2", ref=asked)
        ws.message(op="ok", ref=asked)
        self.assertEqual(len(self.told(asked + 1, "spillway.connect")),
                         asked + 1)
        _, body = self.gateway.api("GET", "/v1/connections")
        self.assertNotIn("eve", [c.get("user") for c in body["connections"]])

    def test_what_narrows_a_grant_is_read_or_nothing_is_granted(self):
        """A slip of the backend does not let in whom it means to keep out."""
        narrow = b'\n{"channels": []}'
        for kind, body, status in (
                ("text/html", narrow, 403),
                ("application/octet-stream", narrow, 403),
                (None, narrow, 403),
                ("application/json", narrow[:-1], 502),
                ("text/plain", narrow[:-1], 502),
                (None, narrow[:-1], 502),
                ("application/json", b"<b>Warning</b>" + narrow, 502),
                ("text/html", b"<b>Hello</b>", 200),
                ("application/json", b"", 200),
                ("application/json", b"[1]", 200),
                (None, b"ok", 200)):
            with self.subTest(kind=kind, body=body):
                self.answers["spillway.connect"] = (200, kind, body)
                self.assertEqual(self.gateway.get("/stream/asked")[0], status)

    def test_who_goes_while_the_backend_thinks_is_forgotten(self):
        go_on, waiting = threading.Event(), threading.Semaphore(0)
        self.addCleanup(go_on.set)

        def answer(_):
            waiting.release()
            go_on.wait()
            return GRANTED

        self.answers["spillway.connect"] = answer
        stream = Wire(self.gateway.port)
        stream.send(b"GET /stream/asked?wait=5 HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(waiting.acquire(timeout=60))
        stream.reset()
        ws = self.socket("free")
        ws.command(op="subscribe", channel="asked")
        self.assertTrue(waiting.acquire(timeout=60))
        ws.close()
        go_on.set()
        self.gateway.until(lambda: self.gateway.metric(
            "bridge_events_total",
            '{type="spillway.connect",outcome="taken"}') == 2)
        self.gateway.until(lambda: self.gateway.api(
            "GET", "/v1/connections")[1]["connections"] == [])
        # What was heard of has ended, too.
        self.told(len(self.told(0, "spillway.subscribe")),
                  "spillway.disconnect")

    def test_the_end_of_the_gateway_does_not_wait_for_the_backend(self):
        go_on, waiting = threading.Event(), threading.Semaphore(0)
        self.addCleanup(go_on.set)

        def answer(_):
            waiting.release()
            go_on.wait()
            return GRANTED

        self.answers["spillway.connect"] = answer
        self.start(self.backend.port, 'close-timeout = "100ms"\n')
        stream = Wire(self.gateway.port)
        self.addCleanup(stream.close)
        stream.send(b"GET /stream/asked HTTP/1.1\r\nHost: a\r\n"
                    b"Accept: text/event-stream\r\n\r\n")
        self.assertTrue(waiting.acquire(timeout=60))
        self.assertEqual(self.gateway.stop(), 0)
        self.assertEqual(stream.response()[0], 503)

    # Presence.

    def test_coming_and_going_is_told_in_order(self):
        ws = self.socket("told-a,told-b,free", headers=[("Cookie", "c=2")])
        ws.message(type="spillway.hello")
        ws.command(op="subscribe", channel="told-c")
        ws.command(op="unsubscribe", channel="told-a")
        ws.command(op="unsubscribe", channel="told-nowhere", ref=1)
        ws.message(ref=1)
        ws.close()
        events = self.told(5, "spillway.subscribe", "spillway.unsubscribe",
                           "spillway.disconnect")
        self.assertEqual(
            [(e.type.split(".")[1], e.headers["ce-channel"])
             for e in events[2:4]],
            [("subscribe", "told-c"), ("unsubscribe", "told-a")])
        self.assertEqual(sorted(e.headers["ce-channel"] for e in events[:2]),
                         ["told-a", "told-b"])
        last = json.loads(events[4].body)
        self.assertEqual(last["reason"], "peer")
        self.assertEqual(sorted(last["channels"]), ["told-b", "told-c"])
        self.assertEqual({e.headers["Cookie"] for e in events}, {"c=2"})
        self.assertEqual(len({e.headers["ce-connection"] for e in events}), 1)
        self.assertTrue(all(e.signed_by() for e in events))

    def test_an_event_stream_comes_and_goes_as_well(self):
        es = self.stream("told", headers=[("Cookie", "c=3")])
        es.block()
        self.told(1, "spillway.subscribe")
        es.close()
        event = self.told(1, "spillway.disconnect")[0]
        self.assertEqual(event.headers["ce-transport"], "sse")
        self.assertEqual(event.headers["ce-channel"], "told")
        self.assertEqual(event.headers["Cookie"], "c=3")

    def test_an_answer_to_these_may_publish(self):
        self.answers["spillway.disconnect"] = (
            200, "application/spillway+json",
            b'{"publish":[{"channel":"log","data":"gone"}]}')
        listener = self.socket("log")
        listener.message(type="spillway.caughtup")
        self.stream("told").close()
        self.assertEqual(listener.message(channel="log")["data"], "gone")


class Sending(Asked):
    """Who comes from the backend's login, without tokens, writes to rooms."""

    conf = """
channel "asked-room*" { bridge-connect = yes  send = publish }
channel "asked-few" { bridge-connect = yes  send = bridge  send-access = token }
"""

    def send(self, ws, channel, ref):
        ws.command(op="send", channel=channel, data=1, ref=ref)
        return ws.message(ref=ref)

    def test_what_is_published_at_once_needs_the_backend_s_grant(self):
        status, _, body = self.gateway.request(
            "POST", "/stream/asked-room", b"1")
        self.assertEqual(status, 403, body)
        self.assertIn(b"has not granted sending", body)
        ws = self.socket("asked-room")
        ws.message(type="spillway.hello")
        self.assertEqual(self.send(ws, "asked-room", 1)["code"], "forbidden")
        self.assertEqual(self.send(ws, "asked-few", 2)["code"], "forbidden")
        self.answers["spillway.connect"] = reply(
            user="ann", channels={"subscribe": ["asked-*"],
                                  "send": ["asked-room", "asked-few"]})
        ws = self.socket("asked-room?session=s")
        ws.message(type="spillway.caughtup")
        self.assertEqual(self.send(ws, "asked-room-2", 1)["code"], "forbidden")
        self.assertEqual(self.send(ws, "asked-room", 2)["op"], "ok")
        self.assertEqual(ws.message(channel="asked-room")["data"], 1)
        self.send(ws, "asked-few", 3)
        self.assertEqual(self.told(1, "spillway.message")[0].headers[
            "ce-user"], "ann")
        self.assertEqual(
            self.gateway.get("/stream/asked-room?session=t")[0], 200)
        self.assertEqual(self.gateway.request(
            "POST", "/stream/asked-room?session=t", b"2")[0], 201)
        self.assertEqual(self.gateway.request(
            "POST", "/stream/asked-room?session=u", b"3")[0], 403)


class Seen(Asked):
    conf = """
channel "asked" { bridge-connect = yes  presence-events = yes }
"""

    def test_who_listens_sees_what_the_backend_says_of_who_comes(self):
        self.answers["spillway.connect"] = reply(user="ann", meta={"a": [1]})
        ws = self.socket("asked")
        self.assertEqual(
            {**ws.message(type="spillway.join")["data"],
             "connection": None},
            {"connection": None, "transport": "ws", "user": "ann",
             "meta": {"a": [1]}})


class Held(Asked):
    """A client is not read while too much of it waits for the backend."""

    # No heartbeat wakes it, and all is the one worker's.
    conf = Asked.conf + 'heartbeat = "10m"\n'

    def start(self, port):
        super().start(port, workers=1)

    def test_who_waits_for_room_is_read_again(self):
        go_on = threading.Event()
        self.addCleanup(go_on.set)

        def answer(_):
            go_on.wait()
            return GRANTED

        self.answers["spillway.subscribe"] = answer
        ws, other = self.socket("free"), self.socket("free")
        ws.message(type="spillway.caughtup")
        ws.send(b"".join(ws.frame(TEXT, json.dumps(
            {"op": "subscribe", "channel": f"told-{n}", "ref": n}))
            for n in range(70)))
        # One is on its way to the backend, 64 are behind it.
        ws.message(op="ok", ref=64)
        ws.command(op="ping", ref="after")
        # When this is answered, that has been left where it is.
        other.command(op="ping", ref=1)
        other.message(op="ok", ref=1)
        go_on.set()
        ws.message(op="ok", ref="after")
        self.told(70, "spillway.subscribe")


class ConnectThroughTheLibrary(Connect):
    """No request is answered by the first look."""

    conf = Connect.conf + "first-look = no\n"


class Tokens(Asked):
    """Where there are tokens as well."""

    conf = f"""
channel "asked*" {{ bridge-connect = yes }}
channel "both*" {{ bridge-connect = yes  subscribe = token }}
token-key = "HS256:{tokens.SECRET}"
"""

    def ask(self, channel, **claims):
        return self.gateway.get(f"/stream/{channel}", dict(
            tokens.bearer(tokens.token(**claims))))[0]

    def test_a_channel_may_ask_for_both(self):
        self.assertEqual(self.gateway.get("/stream/both")[0], 401)
        self.assertEqual(self.ask("both", subscribe=["other"]), 403)
        self.assertEqual(self.backend.events, [])
        self.assertEqual(self.ask("both", subscribe=["both"], sub="u"), 200)
        self.assertEqual(self.told(1, "spillway.connect")[0].headers[
            "ce-user"], "u")
        self.answers["spillway.connect"] = (403, None, b"")
        self.assertEqual(self.ask("both", subscribe=["both"]), 403)

    def test_else_the_backend_alone_decides(self):
        self.assertEqual(self.gateway.get("/stream/asked")[0], 200)
        self.assertEqual(self.ask("asked", subscribe=[]), 200)
        self.assertEqual(self.gateway.get("/stream/asked", {
            "Authorization": "Bearer no.such.token"})[0], 401)

    def test_a_websocket_may_show_its_token_first(self):
        ws = self.socket("both")
        ws.command(op="auth", token=tokens.token(subscribe=["both"], sub="u"),
                   ref=1)
        self.assertEqual(ws.message(ref=1)["user"], "u")
        ws.message(type="spillway.hello")
        # A new token does not end what the backend has granted.
        ws.command(op="auth", token=tokens.token(subscribe=["both"], sub="u"),
                   ref=2)
        ws.message(op="ok", ref=2)
        self.assertEqual(len(self.told(1, "spillway.connect")), 1)
        # What comes with the token waits as well.
        ws = self.socket("both?session=s")
        token = tokens.token(subscribe=["both"], sub="u")
        ws.send(ws.frame(TEXT, json.dumps({"op": "auth", "token": token})) +
                ws.frame(TEXT, '{"op":"ping","ref":3}'))
        ws.message(op="ok", ref=3)
        asked = self.told(2, "spillway.connect")
        self.assertEqual([e.headers["ce-session"] for e in asked],
                         [None, "s"])
        self.answers["spillway.connect"] = (403, "text/plain", b"Not you.")
        ws = self.socket("both")
        ws.command(op="auth", token=tokens.token(subscribe=["both"]))
        self.assertEqual(self.ending(ws), (4403, "Not you."))


class NobodyThere(Asked):
    def setUp(self):
        self.start(free_ports(1)[0])

    def test_nobody_is_let_in(self):
        self.assertEqual(self.gateway.get("/stream/asked")[0], 502)


if __name__ == "__main__":
    unittest.main()
