"""A backend answers before it has the body, and resets the connection."""

import os
import socket
import tempfile

from backend import Backend, response
from gateway import main
from test_reverse_proxy import Proxied, asking

SIZE = 2 << 20
# Who sends and who hangs up race each other: several rounds see both orders.
ROUNDS = 15
LENGTH = f"POST /x HTTP/1.1\nHost: a\nContent-Length: {SIZE}\n"
CHUNKS = "POST /x HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n"
CHUNK = b"10000\r\n" + b"x" * 65536 + b"\r\n"


class Early(Proxied):
    # As in test_reverse_proxy.Large.
    env = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") +
           ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64"}

    def answer(self, data, **options):
        """
        To close with the body unread is a reset. It says so before: else an
        upload that was sent whole leaves a connection that looks as if it were
        kept, and the next upload finds out.
        """
        if not data.startswith(b"HTTP/1.1 103"):
            data = data.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)

        def respond(request, connection):
            if request.method == "GET":
                return response(b"next")
            connection.s.sendall(data)
            return None
        return self.serve(respond, **options)

    def uploads(self, may_break=False):
        for n in range(ROUNDS):
            with self.subTest(round=n):
                w = self.wire()
                try:
                    if n % 2 == 0:
                        w.send(asking(LENGTH, bytes(SIZE)))
                    else:
                        w.send(asking(CHUNKS, CHUNK * (SIZE >> 16) +
                                      b"0\r\n\r\n"))
                except ConnectionError:
                    # What breaks off ends for the sender as well, who may
                    # be in the middle of it.
                    if not may_break:
                        raise
                yield w
                w.close()
        # What has happened to one is nothing to the next one.
        self.assertEqual(self.ask("GET / HTTP/1.1\nHost: a\n")[::2],
                         (200, b"next"))

    @staticmethod
    def chunks(w):
        while size := int(w.until(b"\r\n"), 16):
            yield w.exactly(size)
            w.until(b"\r\n")

    def check(self, data, status, body, **options):
        g = self.answer(data, **options)
        for w in self.uploads():
            got, headers, sent = w.response()
            if "transfer-encoding" in headers:
                sent = b"".join(self.chunks(w))
            self.assertEqual((got, sent), (status, body))
        # It was an answer like any other.
        g.until_metric(ROUNDS + 1, "backend_requests_total", '{end="ok"}')
        return g

    def test_the_refusal_of_an_upload_reaches_the_client(self):
        g = self.check(response(b"too much", "413 Content Too Large"),
                       413, b"too much")
        g.until_metric(ROUNDS, "proxied_requests_total", '{status="4xx"}')

    def test_so_does_one_with_a_long_head_and_body(self):
        self.check(response(b"y" * 20000, "401 Unauthorized",
                            "X-Long: " + "z" * 20000 + "\r\n"),
                   401, b"y" * 20000)

    def test_so_does_one_in_chunks(self):
        self.check(b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n"
                   b"\r\n3\r\nnot\r\n5\r\n here\r\n0\r\n\r\n",
                   403, b"not here")

    def test_so_does_one_behind_interim_responses(self):
        self.check(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" +
                   response(b"no", "422 Unprocessable Content",
                            "Connection: close\r\n"), 422, b"no")

    def test_so_does_one_without_a_body(self):
        self.check(b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"")

    def test_so_does_one_through_a_unix_socket(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        path = os.path.join(directory.name, "app")

        def respond(request, connection):
            if request.method == "GET":
                return response(b"next")
            connection.s.sendall(response(b"too much", "413 Too Large",
                                          "Connection: close\r\n"))
            return None
        self.backend = Backend(respond, socket.AF_UNIX, path)
        self.addCleanup(self.backend.close)
        self.gate([f"unix:{path}"])
        for w in self.uploads():
            self.assertEqual(w.response()[::2], (413, b"too much"))

    def test_what_is_no_answer_is_a_502(self):
        for data in (b"", b"HTTP/1.1 413", b"garbage\r\n\r\n",
                     b"HTTP/1.1 413 X\r\nContent-Length: 1\r\n"
                     b"Content-Length: 2\r\n\r\nab",
                     b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
                     b"HTTP/1.1 413 X\r\nBad Name: 1\r\n\r\n"):
            self.answer(data)
            for w in self.uploads():
                self.assertEqual(w.response()[0], 502)

    def test_half_an_answer_is_not_taken_for_a_whole_one(self):
        for data in (b"HTTP/1.1 413 X\r\nContent-Length: 9\r\n\r\nhalf",
                     b"HTTP/1.1 413 X\r\nTransfer-Encoding: chunked\r\n\r\n"
                     b"9\r\nhalf"):
            self.answer(data)
            for w in self.uploads(may_break=True):
                got = w.rest()
                self.assertTrue(got.startswith(b"HTTP/1.1 413 "), got)
                self.assertFalse(got.endswith(b"0\r\n\r\n"))
                self.assertLess(len(got.partition(b"\r\n\r\n")[2]), 9 + 9)


if __name__ == "__main__":
    main()
