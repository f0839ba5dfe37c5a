"""A backend that records what it is told, and answers as a test says."""

import base64
import hashlib
import hmac
import http.server
import socket
import sys
import threading

from gateway import GUARD

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes, ok").decode()


class Event:
    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, headers, body
        self.type = headers.get("ce-type")

    def signed_by(self, secret=SECRET):
        """Standard Webhooks, worked out without the gateway's help."""
        key = base64.b64decode(secret[len("whsec_"):])
        text = b".".join([self.headers["webhook-id"].encode(),
                          self.headers["webhook-timestamp"].encode(),
                          self.body])
        want = "v1," + base64.b64encode(
            hmac.new(key, text, hashlib.sha256).digest()).decode()
        return want in self.headers["webhook-signature"].split(" ")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    # Of hundreds that connect at once the kernel would reset some.
    request_queue_size = 1024

    def __init__(self, *args):
        self.open, self.lock = set(), threading.Lock()
        super().__init__(*args)

    def process_request(self, request, client_address):
        with self.lock:
            self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        with self.lock:
            self.open.discard(request)
        super().shutdown_request(request)

    def shutdown(self):
        # serve_forever looks whether to end when somebody connects, or twice a
        # second: a listener that ends wakes it.
        self.socket.shutdown(socket.SHUT_RDWR)
        super().shutdown()

    def hang_up(self):
        """End connections that are kept as well: nothing of theirs is heard."""
        with self.lock:
            while self.open:
                try:
                    self.open.pop().shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # the gateway was first

    def handle_error(self, request, client_address):
        # A gateway that gives up in the middle is what some tests are about.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Backend:
    """Records every request; `answer(event)` gives status, type and body.

    With a port and a record it takes the place of another one that was closed.
    """

    def __init__(self, answer=None, port=0, events=None):
        self.events = [] if events is None else events
        self.changed = threading.Condition()
        self.answer = answer or self.echo
        backend = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                size = int(self.headers["Content-Length"])
                body = self.rfile.read(size)
                if len(body) < size:  # the gateway is gone
                    self.close_connection = True
                    return
                event = Event(self.path, self.headers, body)
                with self.server.lock:
                    # The gateway knows, and may have told somebody else since.
                    if self.request not in self.server.open:
                        self.close_connection = True
                        return
                    backend.hear(event)
                status, kind, reply = backend.answer(event)
                self.send_response(status)
                if kind is not None:
                    self.send_header("Content-Type", kind)
                if status != 204:
                    self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_):
                pass

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever,
                                       daemon=True)
        self.thread.start()

    def hear(self, event):
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()

    @staticmethod
    def echo(event):
        return 200, event.headers["Content-Type"], event.body

    def wait(self, count):
        with self.changed:
            assert self.changed.wait_for(
                lambda: len(self.events) >= count, GUARD), self.events
            return self.events[:count]

    def close(self):
        if not self.thread.is_alive():
            return  # the test has taken it away before
        self.server.shutdown()
        self.server.server_close()
        self.server.hang_up()
        self.thread.join(GUARD)


TAKEN = (204, None, b"")


class Told:
    """A test with a backend that says what it is told to, or is not there."""

    def open_backend(self):
        self.says = TAKEN
        self.backend = Backend(self.answer)
        self.addCleanup(lambda: self.backend.close())

    def answer(self, event):
        return self.says(event) if callable(self.says) else self.says

    def away(self):
        """Nobody listens where the backend was."""
        self.backend.close()

    def back(self):
        self.backend = Backend(self.answer, self.backend.port,
                               self.backend.events)
