"""Connections to the backend that do not come about, and those that are kept."""

import socket

from backend import Backend, response
from gateway import main
from test_reverse_proxy import Proxied


class Unanswering:
    """A place that neither answers a connection nor refuses it, until told."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.fill = []
        # With its queue full, the system drops what comes.
        for _ in range(4):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(self.listener.getsockname())
            self.fill.append(s)

    def answer(self, body):
        """From now on it is a backend like any other."""
        for s in self.fill:
            s.close()
        self.listener.listen(64)
        backend = Backend(lambda r, c: response(body),
                          listener=self.listener)
        return backend

    def close(self):
        for s in (*self.fill, self.listener):
            s.close()


class Unreachable(Proxied):
    more = 'backend-connect-timeout = "500ms"\n'

    def get(self):
        status, _, body = self.ask("GET / HTTP/1.1\nHost: a\n")
        return status, body

    def silent(self):
        place = Unanswering()
        self.addCleanup(place.close)
        return place

    def test_another_origin_does_what_a_silent_one_does_not(self):
        b = Backend(lambda r, c: response(b"fine"))
        self.addCleanup(b.close)
        self.gate([self.silent().url, b.url])
        for _ in range(8):
            self.assertEqual(self.get(), (200, b"fine"))

    def test_one_that_was_silent_is_heard_again(self):
        place = self.silent()
        g = self.gate([place.url], 'backend-fail-time = "10ms"\n')
        for _ in range(3):
            self.assertIn(self.get()[0], (503, 504))
        place.answer(b"back")
        g.until(lambda: self.get() == (200, b"back"))
        for _ in range(8):
            self.assertEqual(self.get(), (200, b"back"))


if __name__ == "__main__":
    main()
