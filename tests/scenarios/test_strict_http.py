"""What could be read in two ways is refused, and nothing behind it is done.

Each request of the tables comes at once and byte by byte, on a connection of
its own and behind other requests, because different parts of the daemon read
it then; the answer has to be the same.
"""

from gateway import Scenario, Wire, main

# Both listeners take a message here; {T} stands for its path.
HOST = "Host: gateway\r\n"
CHUNKED = "POST {T} HTTP/1.1\r\n" + HOST + "Transfer-Encoding: chunked\r\n"
LENGTH = "POST {T} HTTP/1.1\r\n" + HOST + "Content-Length: "
GET = "GET {G} HTTP/1.1\r\n" + HOST
# The library ends the connection without a word.
SILENCE = None

FRAMING = (
    ("both lengths",
     LENGTH + "3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("both lengths, the other way round",
     CHUNKED + "content-length: 3\r\n\r\n0\r\n\r\n", 400),
    ("the same length twice", LENGTH + "3\r\nContent-Length: 3\r\n\r\nabc",
     400),
    ("two lengths", LENGTH + "3\r\nContent-Length: 4\r\n\r\nabcd", 400),
    ("a list of lengths", LENGTH + "3, 3\r\n\r\nabc", 400),
    ("a length with a sign", LENGTH + "+3\r\n\r\nabc", 400),
    ("a negative length", LENGTH + "-3\r\n\r\nabc", 400),
    ("a hexadecimal length", LENGTH + "0x3\r\n\r\nabc", 400),
    ("a length with a blank in it", LENGTH + "3 4\r\n\r\nabc", 400),
    ("a length behind a vertical tab", LENGTH + "\v3\r\n\r\nabc", 400),
    ("an empty length", LENGTH + "\r\n\r\nabc", 400),
    ("a length beyond 64 bits", LENGTH + "99999999999999999999\r\n\r\nabc",
     413),
    ("a length beyond the limits", LENGTH + "99999999\r\n\r\nabc", 413),
)

CODINGS = tuple(
    (f"the transfer coding {coding!r}",
     "POST {T} HTTP/1.1\r\n" + HOST + f"Transfer-Encoding:{coding}\r\n\r\n"
     "3\r\nabc\r\n0\r\n\r\n", 400)
    for coding in (" gzip", " gzip, chunked", " chunked, gzip", " xchunked",
                   " chunked;q=1", " \vchunked", " identity", " ", "",
                   " chunked\r\nTransfer-Encoding: chunked",
                   " chunked\r\nTransfer-Encoding: identity",
                   "\r\n chunked")) + (
    ("chunks in HTTP/1.0", CHUNKED.replace("1.1", "1.0") +
     "\r\n3\r\nabc\r\n0\r\n\r\n", 400),)

CHUNKS = tuple(
    (f"the chunk size {size!r}",
     CHUNKED + f"\r\n{size}\r\nabc\r\n0\r\n\r\n", status)
    for size, status in (
        ("xyz", 400), ("-3", 400), ("+3", 400), ("0x3", 400), (" 3", 400),
        ("", 400), (";a=b", 400), ("3 4", 400), ("3\0", 400),
        ("fffffffffffffffff", 413), ("10000000000000003", 413))) + (
    ("a chunk longer than its size",
     CHUNKED + "\r\n3\r\nabcd\r\n0\r\n\r\n", 400),
    ("a chunk size that ends with a lone CR",
     CHUNKED + "\r\n3\rabc\r\n0\r\n\r\n", 400),
)

LINES = (
    ("lone LF everywhere", "GET {G} HTTP/1.1\nHost: gateway\n\n", 400),
    ("a lone LF behind the request line",
     "GET {G} HTTP/1.1\nHost: gateway\r\n\r\n", 400),
    ("a lone LF behind a header", GET + "A: b\nC: d\r\n\r\n", 400),
    ("a lone LF as the last line", GET + "A: b\r\n\n", 400),
    ("a lone CR in a value", GET + "A: b\rC: d\r\n\r\n", 400),
    ("a lone CR behind the request line",
     "GET {G} HTTP/1.1\rHost: gateway\r\n\r\n", 400),
    ("two CR before the LF", GET + "A: b\r\r\n\r\n", 400),
    ("a line folded with a blank", GET + "A: b\r\n c\r\n\r\n", 400),
    ("a line folded with a tab", GET + "A: b\r\n\tc\r\n\r\n", 400),
    ("a fold before any header", "GET {G} HTTP/1.1\r\n " + HOST + "\r\n",
     400),
    ("a blank before the colon", GET + "A : b\r\n\r\n", 400),
    ("a tab before the colon", GET + "A\t: b\r\n\r\n", 400),
    ("a header without a name", GET + ": b\r\n\r\n", 400),
    ("a header without a colon", GET + "A\r\n\r\n", 400),
    ("a blank in a name", GET + "A B: c\r\n\r\n", 400),
    ("a parenthesis in a name", GET + "A(B: c\r\n\r\n", 400),
    ("a name that is not ASCII", GET + "\xe9: c\r\n\r\n", 400),
    ("a NUL in a value", GET + "A: b\0c\r\n\r\n", 400),
    ("a NUL in a name", GET + "A\0B: c\r\n\r\n", 400),
    ("a control character in a value", GET + "A: b\x01c\r\n\r\n", 400),
    ("a DEL in a value", GET + "A: b\x7fc\r\n\r\n", 400),
    ("no Host", "GET {G} HTTP/1.1\r\nA: b\r\n\r\n", 400),
    ("the same Host twice", GET + HOST + "\r\n", 400),
    ("two Hosts", GET + "Host: other\r\n\r\n", 400),
    ("Hosts in one line", "GET {G} HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
    ("a Host with a path", "GET {G} HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    ("a Host with a user", "GET {G} HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
    ("a head above header-max", GET + "A: " + "b" * 13000 + "\r\n\r\n", 431),
    ("a target above header-max",
     "GET {G}?" + "b" * 13000 + " HTTP/1.1\r\n" + HOST + "\r\n", 431),
    ("more headers than anybody needs", GET + "A: b\r\n" * 150 + "\r\n",
     400),
    ("headers above header-max", GET + "A: b\r\n" * 2200 + "\r\n", 431),
)

REQUEST_LINES = tuple(
    (f"the request line {line!r}", f"{line}\r\n{HOST}\r\n", status)
    for line, status in (
        ("GET  {G} HTTP/1.1", 400), ("GET {G}  HTTP/1.1", 400),
        ("GET {G} HTTP/1.1 ", 400), ("GET {G} b HTTP/1.1", 400),
        ("GET\t{G}\tHTTP/1.1", SILENCE), (" GET {G} HTTP/1.1", SILENCE),
        ("GET {G}", 400), ("GET {G} HTTP/2.0", 505),
        ("GET {G} HTTP/1.2", 400), ("GET {G} HTTP/1.10", 400),
        ("GET {G} http/1.1", 400), ("GET {G} HTTP/ 1.1", 400),
        ("GET {G} HTTQ/1.1", 400), ("PRI * HTTP/2.0", 505),
        ("G{{T {G} HTTP/1.1", 400), ("G\0T {G} HTTP/1.1", 400),
        ("CONNECT gateway:80 HTTP/1.1", 400), ("GET * HTTP/1.1", 400),
        ("GET healthz HTTP/1.1", 400), ("GET {G}#b HTTP/1.1", 400),
        ("GET {G}\0b HTTP/1.1", 400), ("GET {G}\x01 HTTP/1.1", 400),
        ("GET {G}\xe9 HTTP/1.1", 400), ('GET {G}" HTTP/1.1', 400),
        ("GET {G}\\b HTTP/1.1", 400), ("GET {G}<b HTTP/1.1", 400),
        ("GET {G}>b HTTP/1.1", 400), ("GET {G}\x7f HTTP/1.1", 400),
        ("GET http://other{G} HTTP/1.1", 400),
        ("GET http://gateway.example{G} HTTP/1.1", 400),
        ("GET http://user@gateway{G} HTTP/1.1", 400),
        ("GET ftp://gateway{G} HTTP/1.1", 400)))

REFUSED = FRAMING + CODINGS + CHUNKS + LINES + REQUEST_LINES

# What is behind a refused request; it must not be done.
NEXT = LENGTH + "8\r\n\r\nsmuggled"
# Ends a connection in good order.
LAST = "GET /healthz HTTP/1.1\r\n" + HOST + "Connection: close\r\n\r\n"

ODD = (
    ("names in any case",
     "GET {G} HTTP/1.1\r\nhOsT: gateway\r\naCCEPT: */*\r\n\r\n", [200]),
    ("no blank before a value", "GET {G} HTTP/1.1\r\nHost:gateway\r\n\r\n",
     [200]),
    ("blanks and tabs around a value",
     "GET {G} HTTP/1.1\r\nHost: \t gateway \t \r\n\r\n", [200]),
    ("a Host with a port", "GET {G} HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
     [200]),
    ("an empty Host", "GET {G} HTTP/1.1\r\nHost:\r\n\r\n", [200]),
    ("an empty value", GET + "A:\r\n\r\n", [200]),
    ("bytes beyond ASCII in a value", GET + "A: \xe9\xff\r\n\r\n", [200]),
    ("odd bytes in a name", GET + "!#$%&'*+-.^_`|~9: b\r\n\r\n", [200]),
    ("the absolute form", "GET http://gateway{G} HTTP/1.1\r\n" + HOST +
     "\r\n", [200]),
    ("the absolute form in another case",
     "GET HTTP://GateWay{G} HTTP/1.1\r\n" + HOST + "\r\n", [200]),
    ("a path that looks like a host", "GET //gateway{G} HTTP/1.1\r\n" +
     HOST + "\r\n", [404]),
    ("an empty line before a request", "\r\n\r\n" + GET + "\r\n", [200]),
    ("ninety headers", GET + "A: b\r\n" * 90 + "\r\n", [200]),
    ("a large cookie", GET + "Cookie: c=" + "d" * 8000 + "\r\n\r\n", [200]),
    ("a query nobody asked for", "GET {G}?a&b=&=c&&d=%41 HTTP/1.1\r\n" +
     HOST + "\r\n", [200]),
    ("many at once", (GET + "\r\n") * 20, [200] * 20),
    ("a length of nothing", GET + "Content-Length: 0\r\n\r\n", [200]),
    ("a HEAD", "HEAD {G} HTTP/1.1\r\n" + HOST + "\r\n", [200]),
    ("an unknown method", "BREW /v1/stats HTTP/1.1\r\n" + HOST + "\r\n",
     [(404, 405)]),
)

# Messages, how they come, and the answers.
BODIES = (
    ("one length", LENGTH + "5\r\n\r\nhello", "hello", [201]),
    ("a length with zeros before it", LENGTH + "005\r\n\r\nhello", "hello",
     [201]),
    ("lengths in a row",
     (LENGTH + "5\r\n\r\nhello") * 3, "hello", [201] * 3),
    ("an announced body",
     LENGTH + "5\r\nExpect: 100-continue\r\n\r\nhello", "hello", [100, 201]),
    ("no length", "POST {T} HTTP/1.1\r\n" + HOST + "\r\n", "", [201]),
)

# Their framing is read by the library, which is generous with it: so nothing
# behind them is read.
CHUNKED_BODIES = (
    ("chunks", CHUNKED + "\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", "hello"),
    ("a coding in capitals",
     CHUNKED.replace("chunked", "CHUNKED") + "\r\n5\r\nhello\r\n0\r\n\r\n",
     "hello"),
    ("a size with zeros and capitals",
     CHUNKED + "\r\n000A\r\nhellohello\r\n0\r\n\r\n", "hellohello"),
    ("chunk extensions",
     CHUNKED + "\r\n5;a=b;c\r\nhello\r\n0;d\r\n\r\n", "hello"),
    ("trailers", CHUNKED + "\r\n5\r\nhello\r\n0\r\nA: b\r\n"
     "Content-Length: 7\r\n\r\n", "hello"),
    ("a chunk size that ends with a lone LF",
     CHUNKED + "\r\n5\nhello\r\n0\r\n\r\n", "hello"),
    ("a chunk that ends with a lone LF",
     CHUNKED + "\r\n5\r\nhello\n0\r\n\r\n", "hello"),
)


def statuses(data):
    """Of the responses one after the other; fails at anything else."""
    found = []
    while data:
        head, separator, data = data.partition(b"\r\n\r\n")
        assert separator and head.startswith(b"HTTP/1.1 "), head
        found.append(int(head.split(b" ", 2)[1]))
        if found[-1] == 100:
            continue
        lines = [l.lower() for l in head.split(b"\r\n")]
        length = [l for l in lines if l.startswith(b"content-length:")][0]
        # The answers to HEAD have no body; here they are that of healthz.
        if not data.startswith(b"HTTP/1.1 "):
            data = data[int(length.split(b":")[1]):]
    return found


def fits(status, expected):
    return status == expected or (
        isinstance(expected, tuple) and status in expected)


class StrictHttp(Scenario):
    conf = 'channel "*" { send = publish }'
    # What came before on the connection: nothing; something that the first
    # look answers; something that the library answers.
    before = ("", "GET /stream/quiet HTTP/1.1\r\n" + HOST + "\r\n",
              "GET /healthz HTTP/1.1\r\n" + HOST + "\r\n")

    def ways(self):
        g = self.gateway
        for port, target in ((g.port, "/stream/a"),
                             (g.api_port, "/v1/channels/a/events")):
            for before in self.before:
                for step in (False, True):
                    yield port, target, before, step

    def talk(self, way, text, then):
        """Everything that is answered to `text` and what follows it."""
        port, target, before, step = way
        request, then = (
            t.replace("{T}", target).replace("{G}", "/healthz")
            .replace("{{", "{").encode("latin-1") for t in (text, then))
        with Wire(port) as w:
            if before:
                w.send(before.encode())
                w.response()
            # Long ones come in larger steps.
            size = max(1, len(request) // 400) if step else len(request)
            for i in range(0, len(request), size):
                w.send(request[i:i + size])
            w.send(then)
            return w.rest()

    def published(self):
        """The messages since the last call."""
        g = self.gateway
        found = [e["data"] for e in g.poll("a", after="start")["events"]]
        if found:
            g.api("DELETE", "/v1/channels/a")
        return found

    def test_the_tables_are_large_enough(self):
        names = [name for name, *_ in REFUSED]
        self.assertEqual(len(names), len(set(names)))
        self.assertGreater(len(names), 90)

    def test_what_is_ambiguous_is_refused_and_nothing_follows(self):
        for name, request, expected in REFUSED:
            for way in self.ways():
                with self.subTest(name, way=way):
                    answer = self.talk(way, request, NEXT)
                    if expected is SILENCE:
                        self.assertEqual(answer, b"")
                    else:
                        status = answer.split(b" ", 2)[1]
                        self.assertTrue(fits(int(status), expected), answer)
                    self.assertNotIn(b"HTTP/1.1 2", answer)
            self.assertEqual(self.published(), [], name)

    def test_what_is_only_odd_works_and_the_connection_goes_on(self):
        for name, request, expected in ODD:
            for way in self.ways():
                with self.subTest(name, way=way):
                    found = statuses(self.talk(way, request, LAST))
                    self.assertEqual(len(found), len(expected) + 1, found)
                    for status, e in zip(found, expected + [200]):
                        self.assertTrue(fits(status, e), found)

    def test_bodies_are_read_as_long_as_they_are(self):
        for name, request, body, expected in BODIES:
            for way in self.ways():
                with self.subTest(name, way=way):
                    self.assertEqual(
                        statuses(self.talk(way, request, LAST)),
                        expected + [200])
                    self.assertEqual(self.published(),
                                     [body] * expected.count(201))

    def test_chunked_bodies_are_read_and_end_the_connection(self):
        for name, request, body in CHUNKED_BODIES:
            for way in self.ways():
                with self.subTest(name, way=way):
                    self.assertEqual(
                        statuses(self.talk(way, request, NEXT)), [201])
                    self.assertEqual(self.published(), [body])

    def test_a_get_of_a_stream_has_no_body(self):
        for framing in ("Content-Length: 3\r\n\r\nabc",
                        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"):
            for way in self.ways():
                if way[0] == self.gateway.port:
                    answer = self.talk(way, "GET /stream/a HTTP/1.1\r\n" +
                                       HOST + framing, NEXT)
                    self.assertEqual(statuses(answer), [400], way)
        self.assertEqual(self.published(), [])

    def test_a_name_that_is_none_is_refused_and_the_connection_goes_on(self):
        """Its request is sound, so there is no doubt where the next begins."""
        for name in ("a%zz", "a%4", "a%", "a%00", "a%2fb", "a/b", "a%20b",
                     "a,,b", "a,a", "%2561", "a" * 129, ""):
            for before in self.before:
                with self.subTest(name, before=before), \
                        Wire(self.gateway.port) as w:
                    if before:
                        w.send(before.encode())
                        w.response()
                    w.send(f"GET /stream/{name} HTTP/1.1\r\n{HOST}\r\n"
                           .encode())
                    self.assertEqual(w.response()[0], 400)
                    w.send(LAST.encode())
                    self.assertEqual(w.response()[0], 200)

    def test_http_1_0_works_without_a_host(self):
        with Wire(self.gateway.port) as w:
            w.send(b"GET /healthz HTTP/1.0\r\n\r\n")
            self.assertTrue(w.rest().endswith(b"\r\n\r\nok\n"))
        with Wire(self.gateway.port) as w:
            w.send(b"GET /stream/a HTTP/1.0\r\n\r\n")
            self.assertEqual(statuses(w.rest()), [200])

    def test_an_announced_body_is_asked_for_before_it_comes(self):
        for port, target in ((self.gateway.port, "/stream/a"),
                             (self.gateway.api_port,
                              "/v1/channels/a/events")):
            with Wire(port) as w:
                w.send((LENGTH.replace("{T}", target) +
                        "5\r\nExpect: 100-continue\r\n\r\n").encode())
                self.assertEqual(w.until(b"\r\n\r\n"),
                                 b"HTTP/1.1 100 Continue\r\n\r\n")
                w.send(b"hello")
                self.assertEqual(w.response()[0], 201)

    def test_a_refusal_reaches_a_client_that_is_still_sending(self):
        """It is not lost to a reset, however much comes behind it."""
        for text in (LENGTH + "99999999\r\n\r\n", GET + "A : b\r\n\r\n"):
            for way in self.ways():
                answer = self.talk(way, text, "x" * (2 << 20))
                self.assertIn(answer.split(b" ", 2)[1], (b"400", b"413"))

    def test_what_was_read_ahead_is_not_passed_over(self):
        first, second, third = (
            f"GET {path} HTTP/1.1\r\n{HOST}\r\n".encode()
            for path in ("/healthz", "/stream/a", "/stream/b"))
        for ahead in range(1, len(second)):
            with self.subTest(ahead=ahead), Wire(self.gateway.port) as w:
                w.send(first + second[:ahead])
                self.assertEqual(w.response()[0], 200)
                w.send(second[ahead:] + third[:ahead])
                status, headers, _ = w.response()
                self.assertEqual(status, 200)
                if headers.get("connection") == "close":
                    self.assertEqual(w.rest(), b"")
                    continue
                w.send(third[ahead:])
                self.assertEqual(w.response()[0], 200)

    def test_relayed_connections_end_in_every_order(self):
        """The library's end of the pair may outlive the connection."""
        g = self.gateway
        first = "GET /stream/quiet HTTP/1.1\r\n" + HOST + "\r\n"
        for _ in range(50):
            with Wire(g.port) as w:
                w.send(first.encode())
                w.response()
                w.send(LAST.encode())
                w.response()
        self.assertEqual(g.get("/healthz")[0], 200)


class StrictHttpThroughTheLibrary(StrictHttp):
    """Everything again without the shortcut of the first look."""

    conf = StrictHttp.conf + "\nfirst-look = no"


if __name__ == "__main__":
    main()
