"""HEAD of a stream: what GET would say of itself, and nothing is left."""

from gateway import Scenario, Wire, main, request_head
from tokens import SECRET, bearer, token

EVENTS = [("Accept", "text/event-stream")]
UPGRADE = [("Upgrade", "websocket"), ("Connection", "Upgrade"),
           ("Sec-WebSocket-Version", "13"),
           ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]

# Of the connection, of the moment, and of a body that is not made.
OTHERS = {"date", "connection", "content-length"}


class Head(Scenario):
    conf = f"""
token-key = {{ "HS256:{SECRET}" }}
anonymous = yes
allow-origin = {{ "https://other.example" }}
channel "closed" {{ subscribe = token }}
"""
    origin = ("Origin", "https://other.example")

    def head(self, wire, method, path, headers):
        wire.send(request_head(path, headers, method))
        lines = wire.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        fields = [line.split(": ", 1) for line in lines[1:-2]]
        return lines[0], {k.lower(): v for k, v in fields}

    def both(self, path, headers):
        answers = []
        for method in ("GET", "HEAD"):
            with Wire(self.gateway.port) as w:
                answers.append(self.head(w, method, path, headers))
        return answers

    def test_it_is_the_head_of_what_get_answers(self):
        mine = bearer(token(subscribe=["closed"]))
        self.gateway.publish("a", "1")
        for path, headers, status in (
                ("a", [], 200), ("a?after=start", [], 200),
                ("a,b?last=3", [self.origin], 200),
                ("a?format=html", [], 200),
                ("a?transport=long&after=start", [], 200),
                ("a", EVENTS, 200), ("a", EVENTS + [self.origin], 200),
                ("a?after=nonsense", [], 400), ("%zz", [], 400),
                ("a?transport=sse", [("Accept", "text/html")], 406),
                ("a?transport=ws", [], 426), ("closed", [], 401),
                ("closed", EVENTS, 401), ("closed", mine, 200),
                ("a", [("Origin", "https://foreign.example")], 403)):
            with self.subTest(path=path, headers=headers):
                get, head = self.both("/stream/" + path, headers)
                self.assertEqual(head[0], get[0])
                self.assertEqual(int(head[0].split()[1]), status)
                for name in set(get[1]) | set(head[1]):
                    if name not in OTHERS:
                        self.assertEqual(head[1].get(name),
                                         get[1].get(name), name)
                if "content-length" in head[1]:
                    self.assertEqual(head[1]["content-length"],
                                     get[1]["content-length"])
                self.assertNotIn("transfer-encoding", head[1])

    def test_only_a_get_becomes_a_websocket(self):
        with Wire(self.gateway.port) as w:
            line, _ = self.head(w, "HEAD", "/stream/a", UPGRADE)
            self.assertEqual(line.split()[1], "400")
            self.assertEqual(w.rest(), b"")

    def test_nothing_follows_it_and_nobody_has_subscribed(self):
        g = self.gateway
        with Wire(g.port) as w:
            # Neither is waited for an event, nor for the end of a stream.
            for path, headers in (("?wait=50&after=start", []), ("", EVENTS),
                                  ("?format=html&session=s", []),
                                  ("?after=nonsense", [])):
                self.head(w, "HEAD", "/stream/none" + path, headers)
                self.assertEqual(g.api("GET", "/v1/channels/none")[0], 404)
            # The next answer begins right behind the last head.
            w.send(request_head("/healthz"))
            self.assertEqual(w.response()[0], 200)
        for transport in ("ws", "sse", "long", "short"):
            labels = f'{{transport="{transport}"}}'
            self.assertEqual(g.metric("subscribers", labels), 0)


class HeadWithoutTheFirstLook(Head):
    conf = Head.conf + "first-look = no\n"


if __name__ == "__main__":
    main()
