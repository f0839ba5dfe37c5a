"""A backend that records what it is asked, and misbehaves when told to.

It speaks through bare sockets, so that it can say what no library would.
"""

import socket
import threading

from gateway import GUARD
from two_ways import TwoWaySocket


class Backend:
    """Answers each request by `respond(request, connection)`.

    A response is bytes, written as they are; True keeps the connection, which
    is what None (it wrote by itself) does not.
    """

    def __init__(self, respond, family=socket.AF_INET, address=None,
                 context=None, listener=None):
        self.respond = respond
        self.requests, self.connections = [], 0
        self.changed = threading.Condition()
        self.context = context
        if context:
            context.sslsocket_class = TwoWaySocket
        self.listener = listener or self._listen(family, address)
        name = self.listener.getsockname()
        self.port = None if isinstance(name, (str, bytes)) else name[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @staticmethod
    def _listen(family, address):
        s = socket.socket(family)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(address or ("127.0.0.1", 0))
        s.listen(64)
        return s

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def _accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            with self.changed:
                self.connections += 1
            threading.Thread(target=self._serve, args=(s,),
                             daemon=True).start()

    def _serve(self, s):
        try:
            if self.context:
                s = self.context.wrap_socket(s, server_side=True)
            s.settimeout(GUARD)
            connection = Connection(s)
            while True:
                request = connection.read_head()
                if request is None:
                    return
                with self.changed:
                    self.requests.append(request)
                    self.changed.notify_all()
                answer = self.respond(request, connection)
                if answer is None:
                    return
                connection.s.sendall(answer)
        except OSError:
            pass  # the gateway hung up, which is its right
        finally:
            s.close()

    def wait(self, count):
        """The request of that number, counted from 1."""
        with self.changed:
            if not self.changed.wait_for(
                    lambda: len(self.requests) >= count, GUARD):
                raise AssertionError(f"only {len(self.requests)} requests")
            return self.requests[count - 1]

    def stop(self):
        """Nobody new may connect."""
        self.listener.shutdown(socket.SHUT_RDWR)

    def close(self):
        try:
            self.stop()
        except OSError:
            pass  # it was stopped before
        self.listener.close()


class Request:
    def __init__(self, head):
        self.raw = head
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, self.version = lines[0].split(" ")
        self.headers = [tuple(l.split(": ", 1)) if ": " in l
                        else (l.rstrip(":"), "") for l in lines[1:] if l]

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def get(self, name):
        values = self.all(name)
        return values[0] if len(values) == 1 else values or None


class Connection:
    def __init__(self, s):
        self.s, self.data = s, b""

    def more(self):
        chunk = self.s.recv(65536)
        self.data += chunk
        return chunk

    def read_head(self):
        while b"\r\n\r\n" not in self.data:
            if not self.more():
                return None
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        return Request(head)

    def exactly(self, n):
        while len(self.data) < n:
            if not self.more():
                raise ConnectionError("the body breaks off")
        taken, self.data = self.data[:n], self.data[n:]
        return taken

    def line(self):
        while b"\r\n" not in self.data:
            if not self.more():
                raise ConnectionError("a line breaks off")
        line, _, self.data = self.data.partition(b"\r\n")
        return line

    def pieces(self, request):
        """The body, as it comes."""
        if request.get("Transfer-Encoding") == "chunked":
            while (size := int(self.line(), 16)) > 0:
                yield self.exactly(size)
                assert self.line() == b""
            assert self.line() == b""
            return
        left = int(request.get("Content-Length") or 0)
        while left > 0:
            if not self.data and not self.more():
                raise ConnectionError("the body breaks off")
            piece, self.data = self.data[:left], self.data[left:]
            left -= len(piece)
            yield piece

    def body(self, request):
        return b"".join(self.pieces(request))


def response(body=b"fine\n", status="200 OK", headers=""):
    return (f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n"
            f"{headers}\r\n").encode() + body


def echo(request, connection):
    return response(connection.body(request), headers="X-Method: "
                    f"{request.method}\r\n")
