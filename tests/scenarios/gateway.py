"""What every scenario needs: a gateway of its own, and clients that show bytes.

A scenario runs the real daemon in a directory that is removed afterwards. It
waits for what happens (a log line, a frame, the end of a process), never for
time to pass; GUARD only keeps a broken run from hanging.
"""

import base64
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import zlib

from certificates import certificate, trusting
from two_ways import TwoWaySocket

GUARD = float(os.environ.get("SPILLWAY_TEST_GUARD", "60"))
DAEMON = os.environ.get("SPILLWAY", "./spillway")
TROUBLE = re.compile(
    r"AddressSanitizer|ThreadSanitizer|LeakSanitizer|runtime error:|Assertion")


LEASES = []


def free_ports(count):
    """
    Ports on 127.0.0.1 that nobody uses, nor will before this process ends. They
    are not among those that the system gives to clients: one could have it by
    the time, or after a restart. For the tests beside this one, which draw from
    the same ports, a name in the abstract namespace says which are taken.
    """
    ports = []
    while len(ports) < count:
        port = random.randrange(10000, 32000)
        lease = socket.socket(socket.AF_UNIX)
        try:
            lease.bind(f"\0spillway-test-port-{port}")
            with socket.socket() as s:
                s.bind(("127.0.0.1", port))
        except OSError:
            lease.close()
            continue
        LEASES.append(lease)
        ports.append(port)
    return ports


def lean(env):
    """What a sanitizer keeps of freed memory would hide what is held."""
    options = env.get("ASAN_OPTIONS", "")
    if "quarantine_size_mb" not in options:
        env["ASAN_OPTIONS"] = options + ":quarantine_size_mb=8"
    return env


class SecurePort(int):
    """A port that speaks TLS: whoever connects to it does so, too."""

    def __new__(cls, port, context, name="localhost"):
        self = super().__new__(cls, port)
        self.context, self.name = context, name
        return self

    def wrap(self, s, **options):
        self.context.sslsocket_class = TwoWaySocket
        return self.context.wrap_socket(s, server_hostname=self.name,
                                        **options)


class Gateway:
    """A daemon with its configuration, store and log.

    With certificates its port is a secure one, and plain_port is not.
    """

    default_certificates = staticmethod(list)

    def __init__(self, conf="", store=None, workers=2, env=None, wrap=(),
                 certificates=None):
        self.dir = tempfile.mkdtemp(prefix="spillway-")
        self.plain_port, self.api_port, tls_port = free_ports(3)
        self.certificates = certificates or self.default_certificates()
        self.secure_port = None
        if self.certificates:
            self.secure_port = SecurePort(tls_port,
                                          trusting(*self.certificates))
        self.conf_path = os.path.join(self.dir, "spillway.conf")
        self.store = store or os.path.join(self.dir, "spillway.db")
        self.workers = workers
        self.env = lean(dict(os.environ, **(env or {})))
        self.wrap = list(wrap)
        self.pass_fds, self.process, self.lines = (), None, []
        self.changed = threading.Condition()
        self.configure(conf)

    @property
    def port(self):
        return self.secure_port or self.plain_port

    def configure(self, conf):
        if self.certificates:
            conf = (f'listen-tls = "127.0.0.1:{self.port}"\n' +
                    "".join(c.conf() for c in self.certificates) + conf)
        with open(self.conf_path, "w", encoding="utf-8") as f:
            f.write(f"""
listen = {{ "127.0.0.1:{self.plain_port}" }}
api-listen = "127.0.0.1:{self.api_port}"
workers = {self.workers}
store = "{self.store}"
log-level = debug
drain-time = "300ms"
{'' if 'web-root' in conf else 'web-root = "off"'}
{conf}
""")

    # Life.

    def start(self, expect_failure=False):
        with self.changed:
            self.lines = []
            self.ended = False
        self.process = subprocess.Popen(
            self.wrap + [DAEMON, "-c", self.conf_path],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=self.env,
            text=True, errors="replace", pass_fds=self.pass_fds)
        self.reader = threading.Thread(target=self._read, daemon=True,
                                       args=(self.process,))
        self.reader.start()
        if not expect_failure:
            self.wait_log(r"info ready$")
        return self

    def _read(self, process):
        for line in process.stderr:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait_log(self, pattern, count=1):
        """The matching line; fails if the daemon ends without it."""
        seen = re.compile(pattern)
        with self.changed:
            ok = self.changed.wait_for(
                lambda: self.ended or
                sum(bool(seen.search(l)) for l in self.lines) >= count, GUARD)
            found = [l for l in self.lines if seen.search(l)]
            if not ok or len(found) < count:
                state = self.process.poll()
                raise AssertionError(
                    f"no log line {pattern!r} ("
                    f"{'it runs' if state is None else f'it ended: {state}'})"
                    ":\n" + "\n".join(self.lines[-30:]))
            return found[-1]

    def wait_end(self):
        code = self.process.wait(GUARD)
        self.reader.join(GUARD)
        self.process.stderr.close()
        self._check_log()
        return code

    def _check_log(self):
        bad = [l for l in self.lines if TROUBLE.search(l)]
        if bad:
            raise AssertionError("\n".join(self.lines[-80:]))

    def signal(self, number):
        # The wrapped daemon is the only child of what wraps it.
        self.process.send_signal(number)

    def kill9(self):
        self.signal(signal.SIGKILL)
        self.wait_end()

    def stop(self):
        """SIGTERM, and the exit status."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait_end()

    def restart(self):
        self.stop()
        return self.start()

    def close(self):
        try:
            if self.process is not None and self.process.poll() is None:
                self.stop()
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.start() if self.process is None else self

    def __exit__(self, *error):
        self.close()

    def memory(self):
        """Resident bytes of its own: files that it maps are not among them."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            for line in f:
                if line.startswith("RssAnon"):
                    return int(line.split()[1]) * 1024
        raise AssertionError("no RssAnon")

    def cpu_time(self):
        """Seconds that its threads have worked."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    # Requests.

    def request(self, method, path, body=None, headers=None, api=False):
        """Status, headers and body of a request on a connection of its own."""
        port = self.api_port if api else self.port
        c = http.client.HTTPConnection("127.0.0.1", int(port), timeout=GUARD)
        if isinstance(port, SecurePort):
            c.connect()
            c.sock = port.wrap(c.sock)
        try:
            c.request(method, path, body, headers or {})
            r = c.getresponse()
            return r.status, r.headers, r.read()
        finally:
            c.close()

    def get(self, path, headers=None, api=False):
        status, _, body = self.request("GET", path, headers=headers, api=api)
        return status, json.loads(body) if body[:1] in b"{[" else body

    def api(self, method, path, body=None, headers=None):
        status, _, answer = self.request(method, path, body, headers, api=True)
        return status, json.loads(answer) if answer[:1] == b"{" else answer

    def publish(self, channel, data, **headers):
        """Publish and return the receipt; the event must be stored."""
        if not isinstance(data, (bytes, str)):
            data = json.dumps(data)
        names = {k.replace("_", "-"): v for k, v in headers.items()}
        status, receipt = self.api(
            "POST", f"/v1/channels/{channel}/events", data, names)
        assert status in (200, 201), (status, receipt)
        return receipt

    def batch(self, events):
        status, receipt = self.api(
            "POST", "/v1/events", "\n".join(json.dumps(e) for e in events),
            {"Content-Type": "application/x-ndjson"})
        assert status == 201, (status, receipt)
        return receipt["ids"]

    def poll(self, channels, **params):
        status, answer = self.get(f"/stream/{channels}" + query(params))
        assert status == 200, (status, answer)
        return answer

    def metric(self, name, labels=""):
        _, body = self.get("/metrics", api=True)
        for line in body.decode().splitlines():
            if line.startswith(f"spillway_{name}{labels} "):
                return float(line.split()[-1])
        raise AssertionError(f"no metric {name}{labels}")

    def until_metric(self, value, name, labels=""):
        """What a client hears of may be counted a moment later."""
        seen = set()

        def reached():
            seen.add(self.metric(name, labels))
            return value in seen
        try:
            self.until(reached)
        except AssertionError:
            raise AssertionError(f"{name}{labels} was {sorted(seen)}, never "
                                 f"{value}") from None

    def until(self, question, what="the expected state"):
        """Ask again until the answer is true: for what has no event."""
        pause = threading.Event()
        for _ in range(int(GUARD * 50)):
            answer = question()
            if answer:
                return answer
            pause.wait(0.02)
        raise AssertionError(f"never saw {what}")


def query(params):
    pairs = [f"{k}={v}" for k, v in params.items() if v is not None]
    return "?" + "&".join(pairs) if pairs else ""


class Wire:
    """A connection that shows every byte."""

    def __init__(self, port, receive_buffer=None):
        self.s = socket.socket()
        self.s.settimeout(GUARD)
        if receive_buffer:
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                              receive_buffer)
        self.s.connect(("127.0.0.1", port))
        self.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if isinstance(port, SecurePort):
            self.s = port.wrap(self.s)
        self.data = b""

    def send(self, data):
        self.s.sendall(data)

    def more(self):
        chunk = self.s.recv(65536)
        self.data += chunk
        return chunk

    def until(self, mark):
        """Everything up to the mark, with it."""
        while mark not in self.data:
            if not self.more():
                raise EOFError(self.data)
        head, _, self.data = self.data.partition(mark)
        return head + mark

    def exactly(self, n):
        while len(self.data) < n:
            if not self.more():
                raise EOFError(self.data)
        taken, self.data = self.data[:n], self.data[n:]
        return taken

    def rest(self):
        """Everything until the peer closes."""
        try:
            while self.more():
                pass
        except ConnectionResetError:
            pass
        taken, self.data = self.data, b""
        return taken

    def response(self):
        """Status, headers (lower case) and body of one HTTP response."""
        head = self.until(b"\r\n\r\n").decode("latin-1")
        lines = head.split("\r\n")
        status = int(lines[0].split()[1])
        headers = {}
        for line in lines[1:-2]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if status == 101 or "content-length" not in headers:
            return status, headers, b""
        return status, headers, self.exactly(int(headers["content-length"]))

    def reset(self):
        """Vanish with a RST instead of a FIN."""
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                          struct.pack("ii", 1, 0))
        self.s.close()

    def close(self):
        self.s.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def request_head(path, headers=(), method="GET"):
    """A header's "\\udce9" is the byte e9, which is no UTF-8."""
    lines = [f"{method} {path} HTTP/1.1", "Host: test"]
    lines += [f"{k}: {v}" for k, v in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode(
        errors="surrogateescape")


class Closed(Exception):
    """The stream ended; `code` is the WebSocket's, if it said one."""

    def __init__(self, code=None, reason=""):
        super().__init__(f"{code} {reason}")
        self.code, self.reason = code, reason


TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class WebSocket(Wire):
    """RFC 6455 by hand, so that tests may also break it."""

    KEY = base64.b64encode(b"0123456789abcdef").decode()

    def __init__(self, port, path, protocol=None, extensions=None, headers=(),
                 **options):
        super().__init__(port, **options)
        self.pongs = 0
        head = [("Upgrade", "websocket"), ("Connection", "Upgrade"),
                ("Sec-WebSocket-Key", self.KEY),
                ("Sec-WebSocket-Version", "13")]
        if protocol:
            head.append(("Sec-WebSocket-Protocol", protocol))
        if extensions:
            head.append(("Sec-WebSocket-Extensions", extensions))
        self.send(request_head(path, head + list(headers)))
        self.status, self.headers, self.body = self.response()

    @staticmethod
    def frame(opcode, payload=b"", fin=True, rsv=0, mask=b"\x01\x02\x03\x04"):
        if isinstance(payload, str):
            payload = payload.encode()
        n = len(payload)
        head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
        bit = 0x80 if mask is not None else 0
        if n < 126:
            head += bytes([bit | n])
        elif n < 65536:
            head += bytes([bit | 126]) + struct.pack(">H", n)
        else:
            head += bytes([bit | 127]) + struct.pack(">Q", n)
        if mask is None:
            return head + payload
        # As one large number: tests send megabytes.
        masked = (int.from_bytes(payload, "big") ^
                  int.from_bytes((mask * (n // 4 + 1))[:n], "big"))
        return head + mask + masked.to_bytes(n, "big")

    def say(self, payload, opcode=TEXT, **options):
        self.send(self.frame(opcode, payload, **options))

    def command(self, **command):
        self.say(json.dumps(command))

    def read_frame(self):
        """fin, rsv, opcode, payload."""
        first, second = self.exactly(2)
        assert not second & 0x80, "a server does not mask"
        n = second & 0x7f
        if n == 126:
            n = struct.unpack(">H", self.exactly(2))[0]
            assert n >= 126
        elif n == 127:
            n = struct.unpack(">Q", self.exactly(8))[0]
            assert n >= 65536
        return bool(first & 0x80), first >> 4 & 7, first & 15, self.exactly(n)

    def read(self):
        """The next message as opcode and payload; pings are answered."""
        while True:
            try:
                fin, rsv, opcode, payload = self.read_frame()
            except (EOFError, ConnectionResetError) as e:
                raise Closed() from e
            assert fin
            if opcode == PING:
                self.say(payload, PONG)
            elif opcode == PONG:
                self.pongs += 1
            elif opcode == CLOSE:
                code = struct.unpack(">H", payload[:2])[0] if payload else None
                raise Closed(code, payload[2:].decode())
            else:
                if rsv == 4:
                    z = zlib.decompressobj(-15)
                    payload = z.decompress(payload + b"\0\0\xff\xff")
                return opcode, payload

    def message(self, **wanted):
        """The next one, or the next with these members."""
        end = time.monotonic() + GUARD  # heartbeats come for ever
        while True:
            opcode, payload = self.read()
            assert opcode == TEXT, opcode
            message = json.loads(payload)
            if wanted.items() <= message.items():
                return message
            assert time.monotonic() < end, f"never heard {wanted}"


class EventStream(Wire):
    """Server-Sent Events, parsed as WHATWG HTML says."""

    def __init__(self, port, path, headers=(), **options):
        super().__init__(port, **options)
        self.send(request_head(
            path, [("Accept", "text/event-stream")] + list(headers)))
        self.status, self.headers, self.body = self.response()
        self.last_id = None
        self.retry = None

    def block(self):
        """The next event as (name, data)."""
        while True:
            try:
                lines = self.until(b"\n\n").decode().split("\n")
            except (EOFError, ConnectionResetError) as e:
                raise Closed() from e
            name, data = "message", []
            for line in lines:
                field, _, value = line.partition(":")
                value = value[1:] if value.startswith(" ") else value
                if field == "event":
                    name = value
                elif field == "data":
                    data.append(value)
                elif field == "id":
                    self.last_id = value
                elif field == "retry":
                    self.retry = int(value)
            if data:
                return name, "\n".join(data)


# The four transports behind one face.

class Subscriber:
    """Receives envelopes and notices, wherever they come from.

    next() returns the next event as its envelope, or a notice as an object
    whose `type` begins with "spillway."; cursor follows the events.
    """

    def __init__(self, gateway, channels, cursor=None, **params):
        self.gateway, self.channels = gateway, channels
        self.cursor, self.params = cursor, params
        self.open()

    def path(self, **more):
        params = {**self.params, **more}
        if self.cursor is not None:
            params["after"] = self.cursor
            params.pop("last", None)
        return f"/stream/{self.channels}" + query(params)

    def event(self):
        """The next event; notices are passed over."""
        while True:
            e = self.next()
            if not e["type"].startswith("spillway."):
                return e

    def events(self, count):
        return [self.event() for _ in range(count)]

    def notice(self, name):
        """The next notice of that name; no event may come before it."""
        while True:
            e = self.next()
            if e["type"] == "spillway." + name:
                return e
            assert e["type"].startswith("spillway."), e


class WsSubscriber(Subscriber):
    name = "ws"

    def open(self):
        self.ws = WebSocket(self.gateway.port, self.path())
        if self.ws.status != 101:
            raise Closed(self.ws.status, self.ws.body.decode())

    def next(self):
        m = self.ws.message()
        if "id" in m:
            self.cursor = m["id"]
        return m

    def close(self):
        self.ws.close()


class SseSubscriber(Subscriber):
    name = "sse"

    def open(self):
        self.stream = EventStream(self.gateway.port, self.path(format="json"))
        if self.stream.status != 200:
            raise Closed(self.stream.status, self.stream.body.decode())

    def next(self):
        name, data = self.stream.block()
        m = json.loads(data)
        if name.startswith("spillway."):
            return dict(m, type=name)
        assert m["type"] == name and m["id"] == self.stream.last_id
        self.cursor = m["id"]
        return m

    def close(self):
        self.stream.close()


class PollSubscriber(Subscriber):
    """Polls make their notices of the answers' members."""

    def open(self):
        self.wire = None
        self.queue = []
        self.asked = False

    def ask(self):
        if self.wire is None:
            self.wire = Wire(self.gateway.port)
        try:
            self.wire.send(request_head(
                self.path(**dict(self.extra, **self.params))))
            status, headers, body = self.wire.response()
        except (EOFError, ConnectionError) as e:
            self.close()
            raise Closed() from e
        if headers.get("connection") == "close":
            self.close()
        if status != 200:
            raise Closed(status, body.decode())
        answer = json.loads(body)
        if "gap" in answer:
            self.queue.append(dict(answer["gap"], type="spillway.gap"))
        self.queue += answer["events"]
        self.cursor = answer["cursor"]
        if not answer.get("more"):
            self.queue.append({"type": "spillway.caughtup",
                               "cursor": answer["cursor"]})
        self.asked = True

    def next(self):
        while not self.queue:
            self.ask()
        return self.queue.pop(0)

    def close(self):
        if self.wire is not None:
            self.wire.close()
        self.wire = None


class LongSubscriber(PollSubscriber):
    name = "long"
    extra = {"wait": 20}


class ShortSubscriber(PollSubscriber):
    name = "short"
    extra = {}


TRANSPORTS = (WsSubscriber, SseSubscriber, LongSubscriber, ShortSubscriber)
STREAMS = (WsSubscriber, SseSubscriber)


class Scenario(unittest.TestCase):
    """A test with a gateway; `conf` is added to its configuration.

    `secure` has what certificate() is told, for each certificate.
    """

    conf = ""
    secure = ()
    workers = 2
    maxDiff = None

    def setUp(self):
        self.gateway = Gateway(
            self.conf, workers=self.workers,
            certificates=[certificate(*c) for c in self.secure])
        self.addCleanup(self.gateway.close)
        self.gateway.start()

    def each(self, transports=TRANSPORTS):
        """The transports one by one; a failure names the one it was."""
        for self.transport in transports:
            yield self.transport

    def _callTestMethod(self, method):
        # Heartbeats keep a client that waits in vain from ever giving up.
        signal.signal(signal.SIGALRM, self._hangs)
        signal.alarm(int(GUARD * 4))
        try:
            super()._callTestMethod(method)
        except Exception as e:
            if getattr(self, "transport", None):
                e.add_note(f"transport: {self.transport.name}")
            raise
        finally:
            signal.alarm(0)

    def _hangs(self, number, frame):
        raise AssertionError("the test does not end")


def main():
    # Clients that failed on purpose leave their sockets to the collector.
    unittest.main(argv=[sys.argv[0], "-v"] + sys.argv[1:], warnings="ignore")
