"""What no line of the log may ever hold, at any level: tokens and payloads."""

import json
import signal

import tokens
from gateway import (Closed, EventStream, Scenario, WebSocket, Wire,
                     main, request_head)
from post import chunks, post
from tokens import OTHER_SECRET, SECRET, bearer

API = "api-secret-0123456789"
# Also as a part of something larger, and through JSON.
MARK = "payload-6f1d2c"

CONF = f"""
token-key = {{ "HS256:{SECRET}" }}
token-leeway = 0
token-cookie = jwt
token-in-url = yes
auth-timeout = "60s"
api-token = {{ "admin:{API}", "read:{API}-reader" }}
send = publish
message-max = 4k
batch-events-max = 2
header-max = 4k
channel "open" {{ subscribe = anyone  send-access = anyone }}
channel "echo" {{ subscribe = anyone  send-access = anyone  send = echo }}
"""


class Log(Scenario):
    conf = CONF
    secure = (("localhost",),)

    def setUp(self):
        super().setUp()
        self.secrets = {API, API + "-reader", SECRET, OTHER_SECRET, MARK}

    def tokens(self):
        """Of every kind; each is a secret from then on."""
        made = [
            tokens.token(subscribe=["room-*"], send=["room-*"], sub="ann"),
            tokens.token(subscribe=["other"]),
            tokens.token(subscribe=["room-*"], expires=-5),
            tokens.token(subscribe=["room-*"], nbf=4000000000),
            tokens.token(subscribe=["room-*"], secret=OTHER_SECRET),
            tokens.token("none", subscribe=["room-*"]),
            "x" * 40 + ".eyJub3QganNvbiI6.secret-part-of-nothing",
            "no-token-at-all-but-still-a-secret",
        ]
        for token in made:
            # Its parts are as good as the whole.
            self.secrets.update(p for p in token.split(".") if len(p) > 16)
        # The head is the same for all, and no secret.
        self.secrets -= {t.split(".")[0] for t in made[:5]}
        return made

    def wires(self):
        """Plain and secure ports, in turn."""
        return self.gateway.plain_port, self.gateway.secure_port

    @staticmethod
    def drain(wire):
        """All that there is to say to it has been said."""
        try:
            wire.response()
        except (EOFError, OSError):
            pass

    def carry(self, port, path, headers=(), protocol=None):
        """The same credentials on all transports, and for a message."""
        ws = WebSocket(port, path, protocol, headers=headers)
        if ws.status == 101 and protocol != "spillway.v1, bearer.":
            ws.say(MARK)
            ws.say(json.dumps({"op": MARK, "token": MARK, "data": MARK}))
            ws.say(MARK * 1000)
            try:
                while True:
                    ws.read()
            except (Closed, ConnectionError):
                pass
        ws.close()
        if protocol:
            return
        stream = EventStream(port, path, headers)
        stream.close()
        for request in (request_head(path, headers),
                        request_head(path + ("&" if "?" in path else "?") +
                                     "transport=ws", headers),
                        post(path, MARK, headers),
                        post(path, MARK, headers, chunked=True),
                        post(path, MARK * 1000, headers),
                        request_head(path, headers, "PUT")):
            with Wire(port) as w:
                w.send(request)
                self.drain(w)

    def test_what_clients_carry(self):
        for port in self.wires():
            for token in self.tokens():
                for channel in "room-1", "open", "a%zz":
                    path = "/stream/" + channel
                    self.carry(port, path, bearer(token))
                    self.carry(port, path, [("Cookie", f"a=b; jwt={token}")])
                    self.carry(port, path + "?token=" + token)
                    self.carry(port, path, (), "spillway.v1, bearer." + token)
        self.ended()

    def test_what_a_first_message_brings(self):
        for port in self.wires():
            for token in self.tokens():
                for text in (json.dumps({"op": "auth", "token": token}),
                             json.dumps({"op": "auth", "token": [token]}),
                             json.dumps({"op": "ping", "ref": token}),
                             '{"op":"auth","token":"' + token,
                             token):
                    for path in "/stream/room-1", "/stream/open":
                        ws = WebSocket(port, path)
                        ws.say(text)
                        ws.say(WebSocket.frame(8, b"\x0f\xa0" +
                                               token.encode())[:125])
                        ws.send(WebSocket.frame(8, b"\x0f\xa0" +
                                                token.encode()[:100]))
                        try:
                            while True:
                                ws.read()
                        except (Closed, ConnectionError):
                            pass
                        ws.close()
        self.ended()

    def test_requests_that_are_refused_whatever_they_carry(self):
        token = self.tokens()[0]
        odd = ("Authorization : Bearer " + token,
               "Authorization: Bearer " + token + "\nA: b",
               "Authorization: Bearer " + token + "\r\nContent-Length: x",
               "Authorization: Bearer " + token * 20,
               "Authorization: " + token, "Authorization: Basic " + token,
               "Authorization: Bearer " + token + "\x01",
               f"Cookie: jwt={token}\r\n folded",
               f"Cookie: jwt={token}; jwt={token}",
               f"Referer: http://a/?token={token}",
               f"X-Token: {token}\r\nTransfer-Encoding: nonsense",
               f"Origin: http://{MARK}", f"Last-Event-ID: {MARK}",
               f"Sec-WebSocket-Protocol: bearer.{token}")
        lines = (f"GET /stream/room-1?token={token} HTTP/1.1",
                 f"GET /nowhere/{MARK}?token={token} HTTP/1.1",
                 f"GET /stream/room-1?token={token}%zz HTTP/1.1",
                 f"GET /stream/room-1?token={token} HTTP/9.9",
                 f"G({token} / HTTP/1.1", f"POST /{token * 20} HTTP/1.1")
        for port in (*self.wires(), self.gateway.api_port):
            for line in lines:
                for header in odd:
                    with Wire(port) as w:
                        w.send((f"{line}\r\nHost: a\r\n{header}\r\n\r\n" +
                                MARK).encode("latin-1"))
                        w.s.shutdown(1)
                        w.rest()
        # What comes as plain HTTP where TLS is spoken.
        with Wire(int(self.gateway.secure_port)) as w:
            w.send(f"GET /?token={token} HTTP/1.1\r\n\r\n".encode())
            w.rest()
        self.ended()

    def test_what_publishers_say(self):
        g = self.gateway
        path = "/v1/channels/open/events"
        bodies = (
            (path, MARK, ()), (path, MARK * 1000, ()),
            (path, "{" + MARK, [("Content-Type", "application/json")]),
            (path, MARK, [("Idempotency-Key", MARK)]),
            (path, MARK, [("Event-Type", MARK + " no type")]),
            (path, json.dumps({"data": MARK}),
             [("Content-Type", "application/cloudevents+json")]),
            (path, MARK, [("ce-id", MARK), ("ce-specversion", "9")]),
            ("/v1/events", '{"channel":"open","data":"%s"}\n%s' %
             (MARK, MARK), [("Content-Type", "application/x-ndjson")]),
            ("/v1/events", '{"channel":"open","data":"%s"}\n' % MARK * 3,
             [("Content-Type", "application/x-ndjson")]),
            (f"/v1/channels/{MARK}%20x/events", MARK, ()),
        )
        for credentials in (API, API + "-reader", API[:-1] + "x", None):
            self.secrets.add(API[:-1] + "x")
            head = bearer(credentials) if credentials else []
            for path, body, headers in bodies:
                for chunked in False, True:
                    with Wire(g.api_port) as w:
                        w.send(post(path, body, head + list(headers),
                                    chunked))
                        self.drain(w)
        # Bodies that never end as they began.
        for cut in (post(path, MARK)[:-2], request_head(
                path, [("Transfer-Encoding", "chunked")], "POST") +
                chunks(MARK.encode())[:-4] + b"zz"):
            with Wire(g.api_port) as w:
                w.send(cut)
                w.s.shutdown(1)
                w.rest()
        self.ended()

    def test_what_streams_deliver(self):
        g = self.gateway
        streams = [EventStream(port, "/stream/open") for port in self.wires()]
        sockets = [WebSocket(port, "/stream/open,echo") for port in
                   self.wires()]
        for ws in sockets:
            ws.command(op="send", channel="echo", data=MARK, ref=MARK)
            ws.command(op="send", channel="open", data=MARK, ref=MARK)
            ws.command(op="subscribe", channel=MARK + " none", ref=MARK)
        status, answer = g.api("POST", "/v1/channels/open/events", MARK,
                               dict(bearer(API)))
        self.assertEqual(status, 201, answer)
        for s in streams:
            while True:
                name, data = s.block()
                if name == "message" and MARK in data:
                    break
            s.reset()
        for ws in sockets:
            while MARK not in str(ws.message().get("data")):
                pass
            ws.reset()
        self.assertEqual(
            g.api("DELETE", "/v1/channels/open", None,
                  dict(bearer(API)))[0], 204)
        self.ended()

    def test_configurations_and_what_is_wrong_with_them(self):
        g = self.gateway
        for n, conf in enumerate((
                CONF + f'api-token += "{API}"\n',
                CONF + f'token-key += "HS256:{OTHER_SECRET[:8]}"\n',
                CONF + f'token-key += "XS256:{OTHER_SECRET}"\n',
                CONF + f'api-token += "{OTHER_SECRET} {API}"\n')):
            self.secrets.add(OTHER_SECRET[:8])
            g.configure(conf)
            g.signal(signal.SIGHUP)
            g.wait_log("info configuration reloaded$|error reload: ", n + 1)
        self.ended()

    def ended(self):
        """The daemon has said all that it has to say."""
        g = self.gateway
        self.assertEqual(g.stop(), 0)
        self.assertTrue(any(" debug " in l for l in g.lines))
        for line in g.lines:
            for secret in self.secrets:
                self.assertNotIn(secret, line)


if __name__ == "__main__":
    main()
