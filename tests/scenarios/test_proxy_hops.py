"""What passes one hop, byte by byte, before a backend that records it all.

Each row is a request as a client could write it and what of it the backend may
see; the recorder reads more strictly than any server, so that nothing which
could be read in two ways gets by.
"""

import re
import socket
import struct
import threading

from backend import response
from gateway import main
from test_reverse_proxy import Proxied, asking

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*\Z")
LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ /[\x21-\x7e]* HTTP/1\.1\Z")


class Recorder:
    """Keeps every byte, and answers what it can read in one way alone."""

    def __init__(self, answer=None):
        self.answer = answer or (lambda head, body: response())
        self.heads, self.bodies, self.faults = [], [], []
        self.connections, self.changed = 0, threading.Condition()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(s,),
                             daemon=True).start()

    def _serve(self, s):
        data = b""
        with s:
            try:
                while True:
                    head, data = self._take(s, data, b"\r\n\r\n")
                    if head is None:
                        return
                    self._judge(head)
                    body, data = self._body(s, head, data)
                    with self.changed:
                        self.heads.append(head)
                        self.bodies.append(body)
                        self.changed.notify_all()
                    answer = self.answer(head, body)
                    if callable(answer):
                        answer(s)
                        return
                    s.sendall(answer)
            except OSError:
                pass  # the gateway hung up, which is its right

    @staticmethod
    def _take(s, data, mark):
        while mark not in data:
            more = s.recv(65536)
            if not more:
                return None, data
            data += more
        taken, _, rest = data.partition(mark)
        return taken, rest

    def _judge(self, head):
        line, *fields = head.split(b"\r\n")
        names = []
        if not LINE.match(line):
            self.faults.append(line)
        for field in fields:
            name, colon, value = field.partition(b":")
            if not colon or not TOKEN.match(name) or not VALUE.match(value):
                self.faults.append(field)
            names.append(name.lower())
        for once in (b"host", b"content-length", b"transfer-encoding"):
            if names.count(once) > 1:
                self.faults.append(head)
        if names.count(b"host") != 1 or \
                {b"content-length", b"transfer-encoding"} <= set(names):
            self.faults.append(head)

    def _body(self, s, head, data):
        fields = {n.lower(): v.strip() for n, _, v in
                  (f.partition(b":") for f in head.split(b"\r\n")[1:])}
        if b"transfer-encoding" in fields:
            return self._chunks(s, data)
        length = int(fields.get(b"content-length", b"0"))
        while len(data) < length:
            more = s.recv(65536)
            if not more:
                raise ConnectionError("the body breaks off")
            data += more
        return data[:length], data[length:]

    def _chunks(self, s, data):
        body = b""
        while True:
            size, data = self._take(s, data, b"\r\n")
            if size is None:
                raise ConnectionError("a chunk breaks off")
            if not re.fullmatch(rb"[0-9a-fA-F]+", size):
                self.faults.append(size)
            n = int(size, 16)
            while len(data) < n + 2:
                more = s.recv(65536)
                if not more:
                    raise ConnectionError("a chunk breaks off")
                data += more
            if data[n:n + 2] != b"\r\n":
                self.faults.append(data[:n + 2])
            body, data = body + data[:n], data[n + 2:]
            if n == 0:
                return body, data

    def close(self):
        self.listener.close()


def fields(head):
    return [tuple(f.decode("latin-1").split(": ", 1)) if b": " in f else
            (f.decode("latin-1").rstrip(":"), "")
            for f in head.split(b"\r\n")[1:]]


class Recorded(Proxied):
    def record(self, answer=None, more=""):
        self.recorder = Recorder(answer)
        self.addCleanup(self.recorder.close)
        return self.gate([self.recorder.url], more)


ADDED = {"host", "via", "forwarded", "x-forwarded-for", "x-forwarded-host",
         "x-forwarded-proto"}

# What a client writes, and what of it the backend may see.
DROPPED = [
    "Connection: close", "Connection: keep-alive", "Connection: ",
    "Connection: ,,,", "Connection: close, close", "Connection: Connection",
    "Connection: Via", "Connection: Forwarded, X-Forwarded-For",
    "Keep-Alive: timeout=5", "Proxy-Connection: close",
    "Proxy-Authorization: Basic eDp5", "TE: trailers", "TE: gzip;q=0.5",
    "Trailer: X-Sum", "Upgrade: h2c", "Upgrade: h2c, websocket",
    "HTTP2-Settings: AAMAAABkAAQAAP__", "Connection: X-A\nX-A: 1",
    "Connection: x-a\nX-A: 1\nx-a: 2", "Connection: X-A,X-B\nX-A: 1\nX-B: 2",
    "Connection: a\nConnection: X-A\nX-A: 1", "Connection: X-A;q=1",
    "X-A: 1\nConnection: \tX-A\t", "Connection: Cookie\nCookie: a=b",
    "Connection: upgrade, http2-settings\nUpgrade: h2c\nHTTP2-Settings: AA",
    "Connection: Authorization\nAuthorization: Basic eDp5",
    "X_Forwarded_For: 6.6.6.6", "X_Real_IP: 6.6.6.6", "Content_Length: 9",
    "Transfer_Encoding: chunked", "X-Real-IP: 6.6.6.6",
    "X-Forwarded-Port: 1", "X-Forwarded-Prefix: /x",
    "X-Forwarded-Ssl: on", "x-forwarded-server: a", "X_: 1", "_: 1",
]
KEPT = [
    "X-A: 1", "x-lower: 1", "X-A: 1\nX-A: 2", "X-Empty:", "X-A: a, b",
    "X-A: 1\nX-B: X-A, x-b",
    "Cookie: a=b; c=d", "Cookie: a=b\nCookie: c=d",
    "Authorization: Basic eDp5", "Accept: */*", "Accept: a\nAccept: b",
    "Accept-Encoding: gzip, br", "Range: bytes=0-1", "If-Range: \"x\"",
    "If-None-Match: W/\"x\"", "User-Agent: x (y; z)", "X-A: \"a;b:c\"",
    "Origin: http://a", "Referer: http://a/?b=c", "Content-Type: a/b",
    "Cache-Control: no-cache", "Max-Forwards: 3", "X-A: \xe4\xf6\xfc",
    "X-A: a  b\tc", "Sec-WebSocket-Key: abc", "Sec-Fetch-Mode: cors",
    "Date: Thu, 01 Jan 1970 00:00:00 GMT", "Pragma: no-cache",
    "X-A: http://a/b;c?d", "X!#$%&'*+.^`|~: 1", "Prefer: wait=5",
    "Access-Control-Request-Method: PUT", "Priority: u=1",
    "X-A: 1\nAccept: text/*\nUser-Agent: x\nCookie: a=b\nReferer: http://x/\n"
    "Accept-Encoding: br\nAuthorization: Basic eDp5\nContent-Type: a/b",
    "X-A:\nX-B: 1", "X-A:\nX-A: 1\nX-A: 2", "X-A:\nX-B:\nX-C:",
]
# A body in a form that is odd and legal, and what it is.
BODIES = [
    ("Content-Length: 0", b"", b""), ("Content-Length: 5", b"hello", b"hello"),
    ("Content-Length: 0005", b"hello", b"hello"),
    ("Content-Length: 5\nConnection: Content-Length", b"hello", b"hello"),
    ("Transfer-Encoding: chunked", b"0\r\n\r\n", b""),
    ("Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    ("transfer-encoding: CHUNKED", b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    ("Transfer-Encoding: chunked\nConnection: Transfer-Encoding",
     b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    ("Transfer-Encoding: chunked", b"005\r\nhello\r\n000\r\n\r\n", b"hello"),
    ("Transfer-Encoding: chunked", b"A\r\n0123456789\r\n0\r\n\r\n",
     b"0123456789"),
    ("Transfer-Encoding: chunked", b"a;x=y\r\n0123456789\r\n0;z\r\n\r\n",
     b"0123456789"),
    ("Transfer-Encoding: chunked",
     b"2\r\nGE\r\n1\r\nT\r\n0\r\nContent-Length: 9\r\nX: y\r\n\r\n", b"GET"),
    ("Transfer-Encoding: chunked",
     b"7\r\n0\r\n\r\nGE\r\n0\r\n\r\n", b"0\r\n\r\nGE"),
    ("Content-Length: 25", b"GET /s HTTP/1.1\r\nHost: a\r\n"[:25],
     b"GET /s HTTP/1.1\r\nHost: a\r\n"[:25]),
]


class OneHop(Recorded):
    def sent(self, text, body=b"", method="GET"):
        """The head that the recorder got for these headers."""
        before = len(self.recorder.heads)
        status, _, _ = self.ask(f"{method} /t HTTP/1.1\nHost: a\n{text}\n",
                                body)
        self.assertEqual(status, 200)
        self.assertEqual(len(self.recorder.heads), before + 1)
        self.assertEqual(self.recorder.faults, [])
        return fields(self.recorder.heads[-1])

    def test_what_is_for_one_hop_is_dropped(self):
        self.record()
        for text in DROPPED:
            with self.subTest(text):
                left = [f for f in self.sent(text)
                        if f[0].lower() not in ADDED]
                self.assertEqual(left, [])

    def test_what_is_for_the_backend_is_kept_to_the_byte(self):
        self.record()
        for text in KEPT:
            with self.subTest(text):
                wanted = [tuple(l.split(": ", 1)) if ": " in l else
                          (l.rstrip(":"), "") for l in text.split("\n")]
                got = [f for f in self.sent(text)
                       if f[0].lower() not in ADDED]
                # The order of names means nothing, that of values does.
                self.assertEqual(sorted(got, key=lambda f: f[0]),
                                 sorted(wanted, key=lambda f: f[0]))

    def test_a_body_is_the_same_in_our_own_framing(self):
        self.record()
        for head, body, wanted in BODIES:
            with self.subTest(head + repr(body)):
                self.sent(head, body, "POST")
                self.assertEqual(self.recorder.bodies[-1], wanted)

    def test_requests_in_a_row_stay_what_they_are(self):
        self.record(lambda head, body: response(head.split(b" ")[1] + body))
        w = self.wire()
        w.send(b"".join(
            asking(f"POST /{n} HTTP/1.1\nHost: a\n{head}\n", body)
            for n, (head, body, _) in enumerate(BODIES)
            if "Connection" not in head))
        for n, (head, _, wanted) in enumerate(BODIES):
            if "Connection" not in head:
                self.assertEqual(w.response()[2], b"/%d" % n + wanted)
        self.assertEqual(self.recorder.faults, [])


# What a backend writes that is for us alone, and what is for the client.
INNER = [
    "Connection: X-A\r\nX-A: 1", "Connection: close\r\nX-B: 1",
    "Keep-Alive: timeout=5", "Proxy-Connection: close", "TE: trailers",
    "Trailer: X-Sum", "Upgrade: h2c", "Connection: Upgrade\r\nUpgrade: h2c",
    "Proxy-Connection: X\r\nConnection: a\r\nConnection: X-A\r\nX-A: 1",
]
OUTER = [
    "Set-Cookie: a=b\r\nSet-Cookie: c=d; Path=/", "ETag: W/\"x\"",
    "Location: http://a/b", "WWW-Authenticate: Basic realm=\"x\"",
    "Content-Encoding: gzip", "Vary: *", "Cache-Control: no-store",
    "X-Empty: ", "Server: x", "Date: Thu, 01 Jan 1970 00:00:00 GMT",
    "Content-Type: a/b; charset=c", "Accept-Ranges: bytes",
    "X-Accel-Buffering: no", "Via: 1.1 inner", "Link: </a>; rel=preload",
    "Proxy-Authenticate: Basic", "X-A: 1\r\nX-B: X-A, x-b",
]
OURS = {"via", "content-length", "date"}


class OneHopBack(Recorded):
    def got(self, text):
        head = self.ask_raw(text)
        return [tuple(f.split(": ", 1)) if ": " in f else (f.rstrip(":"), "")
                for f in head.decode("latin-1").split("\r\n")[1:]]

    def ask_raw(self, text):
        self.text = text
        w = self.wire()
        w.send(asking("GET / HTTP/1.1\nHost: a\n"))
        return w.until(b"\r\n\r\n")[:-4]

    def setUp(self):
        self.record(lambda head, body: response(headers=self.text + "\r\n"))

    def test_what_is_for_us_ends_here(self):
        for text in INNER:
            with self.subTest(text):
                left = [f for f in self.got(text) if f[0].lower() not in OURS]
                self.assertEqual(left, [("X-B", "1")] if "X-B" in text else [])

    def test_what_is_for_the_client_passes(self):
        for text in OUTER:
            with self.subTest(text):
                got = self.got(text)
                for line in text.split("\r\n"):
                    self.assertIn(tuple(line.split(": ", 1)), got)
                self.assertIn(("Via", "1.1 spillway"), got)
                self.assertEqual(len([n for n, _ in got if n == "Date"]), 1)


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
# What a backend sends before it hangs up, and whether it is a response yet.
ODD = {
    "nothing": (b"", False),
    "half a status": (b"HTTP/1.1 2", False),
    "half a head": (HEAD + b"Content-Len", False),
    "not a number": (HEAD + b"Content-Length: 1e3\r\n\r\n", False),
    "a list of lengths": (HEAD + b"Content-Length: 3, 3\r\n\r\nabc", False),
    "the same length twice": (HEAD + b"Content-Length: 3\r\n" * 2 +
                              b"\r\nabc", False),
    "a huge length": (HEAD + b"Content-Length: 99999999999999999999\r\n\r\n",
                      False),
    "both framings": (HEAD + b"Transfer-Encoding: chunked\r\n"
                      b"Content-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
                      False),
    "twice chunked": (HEAD + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n",
                      False),
    "chunked of 1.0": (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n"
                       b"\r\n3\r\nabc\r\n0\r\n\r\n", False),
    "another version": (b"HTTP/2.0 200 OK\r\n\r\n", False),
    "a status of four digits": (b"HTTP/1.1 2000 OK\r\n\r\n", False),
    "a status above all": (b"HTTP/1.1 600 OK\r\n\r\n", False),
    "interim for ever": (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" *
                         5000, False),
    "interim and no more": (b"HTTP/1.1 102 Processing\r\n\r\n", False),
    "too many headers": (HEAD + b"".join(b"X-%d: y\r\n" % n
                                         for n in range(200)) + b"\r\n",
                         False),
    "less than it said": (HEAD + b"Content-Length: 10\r\n\r\nabc", True),
    "half a chunk": (CHUNKED + b"5\r\nab", True),
    "no last chunk": (CHUNKED + b"3\r\nabc\r\n", True),
    "a chunk of no size": (CHUNKED + b"3\r\nabc\r\nzz\r\n", True),
    "a chunk with more in it": (CHUNKED + b"3\r\nabcde\r\n0\r\n\r\n", True),
    "a chunk of all sizes": (CHUNKED + b"3\r\nabc\r\nfffffffffffffffff\r\n",
                             True),
}


class Pool(Recorded):
    """Whatever a backend does, the next request has a clean connection."""

    def odd(self, head, body):
        name = head.split(b" ")[1][1:].decode().replace("%20", " ")
        if name == "fine":
            return response(b"fine")
        data, _ = ODD[name.removesuffix("!")]

        def send(s):
            if name.endswith("!"):
                s.sendall(data)
                reset(s)
            else:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass
        return send

    def misbehave(self, suffix):
        g = self.record(self.odd)
        for name, (_, begun) in ODD.items():
            with self.subTest(name):
                w = self.wire()
                w.send(asking(f"GET /{name.replace(' ', '%20')}{suffix} "
                              "HTTP/1.1\nHost: a\n"))
                if begun:
                    got = w.rest()
                    self.assertFalse(got.endswith(b"0\r\n\r\n"), got)
                    self.assertNotIn(b"\r\n\r\nabcabc", got)
                else:
                    self.assertEqual(w.response()[0], 502)
                for _ in range(2):
                    self.assertEqual(
                        self.ask("GET /fine HTTP/1.1\nHost: a\n")[2], b"fine")
        self.assertEqual(self.recorder.faults, [])
        g.until(lambda: g.metric("backend_running") == 0)

    def test_odd_endings_are_told_and_forgotten(self):
        self.misbehave("")

    def test_resets_are_told_and_forgotten(self):
        # A reset may overtake the response: an error is all that is sure.
        g = self.record(self.odd)
        for name in ODD:
            with self.subTest(name):
                w = self.wire()
                w.send(asking(f"GET /{name.replace(' ', '%20')}! HTTP/1.1\n"
                              "Host: a\n"))
                got = w.until(b" ") + w.until(b" ")
                if got == b"HTTP/1.1 200 ":
                    self.assertFalse(w.rest().endswith(b"0\r\n\r\n"))
                else:
                    self.assertEqual(got, b"HTTP/1.1 502 ")
                self.assertEqual(
                    self.ask("GET /fine HTTP/1.1\nHost: a\n")[2], b"fine")
        g.until(lambda: g.metric("backend_running") == 0)

    def test_more_than_it_said_is_nobodys_response(self):
        def lying(head, body):
            if b" /fine " in head:
                return response(b"fine")
            return response(b"abc") + response(b"smuggled")
        self.record(lying)
        for _ in range(5):
            self.assertEqual(self.ask("GET /lie HTTP/1.1\nHost: a\n")[2],
                             b"abc")
            self.assertEqual(self.ask("GET /fine HTTP/1.1\nHost: a\n")[2],
                             b"fine")

    def test_a_post_is_never_sent_twice(self):
        seen = []

        def vanish(head, body):
            seen.append(body)
            if len(seen) == 1:
                return response()
            return reset
        self.record(vanish)
        for expected in (200, 502):
            self.assertEqual(self.ask("POST / HTTP/1.1\nHost: a\n"
                                      "Content-Length: 3\n", b"abc")[0],
                             expected)
        self.assertEqual(seen, [b"abc"] * 2)

    def test_a_get_on_a_connection_that_had_died_is_asked_again(self):
        lives = []

        def once(head, body):
            lives.append(head)

            def answer(s):
                s.sendall(response(b"fine"))
            return answer  # and hangs up, without having said so
        self.record(once)
        for _ in range(5):
            self.assertEqual(self.ask("GET / HTTP/1.1\nHost: a\n")[2],
                             b"fine")


if __name__ == "__main__":
    main()
