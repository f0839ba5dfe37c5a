"""Publishing as bytes on a connection, through either door of the gateway.

The first look takes plain requests itself; whatever is framed in another way,
or expects something, goes through the HTTP library. Stories about publishing
are told at both doors.
"""

import json

from gateway import Wire, request_head


def events_path(channel):
    return f"/v1/channels/{channel}/events"


def chunks(body, size=7):
    """The body in the chunked transfer coding."""
    parts = [body[i:i + size] for i in range(0, len(body), size)] + [b""]
    return b"".join(f"{len(p):x}\r\n".encode() + p + b"\r\n" for p in parts)


def post(path, body=b"", headers=(), chunked=False):
    """The bytes of one request."""
    body = body.encode() if isinstance(body, str) else body
    if chunked:
        return request_head(path, list(headers) +
                            [("Transfer-Encoding", "chunked")],
                            "POST") + chunks(body)
    return request_head(path, list(headers) +
                        [("Content-Length", len(body))], "POST") + body


class Publisher:
    """Asks the API, on one connection as long as that stays open.

    `chunked` chooses the door of the library.
    """

    def __init__(self, gateway, chunked=False):
        self.gateway = gateway
        self.chunked = chunked
        self.name = "library" if chunked else "first look"
        self.wire = None

    def ask(self, path, body=b"", headers=()):
        if self.wire is None:
            self.wire = Wire(self.gateway.api_port)
        self.send(post(path, body, headers, self.chunked))

    def send(self, data):
        self.wire.send(data)

    def answer(self):
        """Status, headers and the JSON of the next answer."""
        status, headers, body = self.wire.response()
        if headers.get("connection") == "close":
            self.close()
        return status, headers, json.loads(body) if body else None

    def close(self):
        if self.wire is not None:
            self.wire.close()
        self.wire = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def publish(self, channel, body, *headers):
        self.ask(events_path(channel), body, headers)
        return self.answer()

    def batch(self, body, *headers, path="/v1/events"):
        self.ask(path, body,
                 headers or [("Content-Type", "application/x-ndjson")])
        return self.answer()


DOORS = (False, True)  # chunked or not


def lines(events):
    return "\n".join(json.dumps(e) for e in events) + "\n"


def is_problem(case, status, headers, problem, expected):
    """The shape that every error has (RFC 9457)."""
    case.assertEqual(status, expected, problem)
    case.assertEqual(headers["content-type"], "application/problem+json")
    case.assertEqual(problem["status"], expected)
    case.assertEqual(problem["type"], "about:blank")
    case.assertTrue(problem["title"])
    case.assertTrue(problem["detail"])
    if expected in (429, 503):
        case.assertGreaterEqual(int(headers["retry-after"]), 1)
    else:
        case.assertNotIn("retry-after", headers)
