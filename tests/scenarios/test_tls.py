"""What is TLS's own; test_over_tls.py tells of all else.

Handshakes, certificates and who gets which, sessions, and the end.
"""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

from certificates import Certificate, certificate, trusting
from gateway import (DAEMON, GUARD, Gateway, STREAMS, Scenario, SecurePort,
                     TRANSPORTS, WebSocket, Wire, WsSubscriber, main,
                     request_head)

TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
MIB = 1 << 20


def results(gateway):
    """How handshakes ended, as far as any did."""
    _, body = gateway.get("/metrics", api=True)
    name = 'spillway_tls_handshakes_total{result="'
    found = {}
    for line in body.decode().splitlines():
        if line.startswith(name):
            result, _, count = line[len(name):].partition('"} ')
            if int(count):
                found[result] = int(count)
    return found


def ends(gateway, **expected):
    """Waits until handshakes have ended so."""
    gateway.until(lambda: results(gateway) == expected, f"{expected}")


class Memory:
    """A client whose bytes we carry ourselves."""

    def __init__(self, port, connect=True):
        self.wire = Wire(int(port)) if connect else None
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = port.context.wrap_bio(self.incoming, self.outgoing,
                                         server_hostname=port.name)

    def pump(self, work, carry=None):
        """The result of `work`, with what it writes carried to the peer."""
        while True:
            try:
                result = work()
            except ssl.SSLWantReadError:
                result = None
            (carry or self.wire.send)(self.outgoing.read())
            if result is not None:
                return result
            data = self.wire.s.recv(65536)
            if not data:
                raise EOFError
            self.incoming.write(data)

    def shake(self, carry=None):
        self.pump(lambda: self.tls.do_handshake() or True, carry)

    def byte_by_byte(self, data):
        for i in range(len(data)):
            self.wire.send(data[i:i + 1])

    def until(self, mark):
        data = b""
        while mark not in data:
            data += self.pump(lambda: self.tls.read(65536))
        return data

    def close(self):
        self.wire.close()

    def hello(self):
        """The first bytes of the handshake, instead of sending them."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self.outgoing.read()


def hello_for(port):
    """The bytes of a handshake's beginning, for others to send."""
    return Memory(port, connect=False).hello()


class Handshakes(Scenario):
    secure = (("localhost",),)
    workers = 1

    def test_both_versions_carry_all_transports(self):
        g = self.gateway
        head = g.publish("a", {"n": 1})
        port = g.port
        for version in (TLS_1_2, TLS_1_3):
            g.secure_port = SecurePort(port, trusting(*g.certificates,
                                               version=version))
            for transport in self.each():
                with self.subTest(version=version, transport=transport.name):
                    s = transport(g, "a", "start")
                    self.assertEqual(s.event()["id"], head["id"])
                    s.close()

    def test_plain_http_is_told_to_use_tls(self):
        g = self.gateway
        with Wire(int(g.port)) as w:
            w.send(request_head("/stream/a"))
            status, headers, body = w.response()
            self.assertEqual(status, 400)
            self.assertEqual(headers["connection"], "close")
            self.assertIn("https", json.loads(body)["detail"])
            self.assertEqual(w.rest(), b"")
        ends(g, plain=1)

    def test_what_is_neither_tls_nor_http_is_closed(self):
        g = self.gateway
        with Wire(int(g.port)) as w:
            w.send(b"\x80\x2e\x01\x00\x02")
            self.assertEqual(w.rest(), b"")
        ends(g, failed=1)

    def test_a_handshake_that_fails_is_told_why(self):
        g = self.gateway
        context = trusting(*g.certificates)
        context.set_alpn_protocols(["h2"])
        with self.assertRaisesRegex(ssl.SSLError, "no application protocol"):
            Wire(SecurePort(g.port, context))
        ends(g, failed=1)
        g.wait_log("tls handshake failed id=.* peer=127.0.0.1:.* why=")
        context = trusting(*g.certificates)
        context.set_alpn_protocols(["h2", "http/1.1"])
        with Wire(SecurePort(g.port, context)) as w:
            self.assertEqual(w.s.selected_alpn_protocol(), "http/1.1")

    def test_records_may_come_byte_by_byte(self):
        g = self.gateway
        head = g.publish("a", 1)["id"]
        m = Memory(g.port)
        m.shake(m.byte_by_byte)
        for byte in request_head("/stream/a?after=start"):
            m.pump(lambda: m.tls.write(bytes([byte])), m.byte_by_byte)
        self.assertIn(head.encode(), m.until(b'"retry"'))
        m.close()

    def test_a_request_may_come_with_the_last_of_the_handshake(self):
        g = self.gateway
        head = g.publish("a", 1)["id"]
        for version in (TLS_1_2, TLS_1_3):
            port = SecurePort(g.port, trusting(*g.certificates,
                                               version=version))
            for path in ("/stream/a?after=start", "/healthz"):
                m = Memory(port)
                m.wire.send(m.hello())
                kept = []
                if version == TLS_1_3:
                    m.shake(kept.append)
                else:
                    m.shake()
                m.tls.write(request_head(path))
                m.wire.send(b"".join(kept) + m.outgoing.read())
                expected = head.encode() if "stream" in path else b"ok\n"
                self.assertIn(expected, m.until(expected))
                m.close()

    def test_who_does_not_finish_in_time_is_closed(self):
        g = self.gateway
        g.configure("tls-handshake-timeout = 100ms")
        g.restart()
        hello = hello_for(g.port)
        for begun in (b"", hello[:1], hello[:-1], hello):
            with Wire(int(g.port)) as w:
                w.send(begun)
                w.rest()
        ends(g, timeout=4)

    def test_who_leaves_in_the_middle_is_forgotten(self):
        g = self.gateway
        hello = hello_for(g.port)
        for leave in (Wire.close, Wire.reset):
            for begun in (hello[:1], hello[:-1], hello):
                w = Wire(int(g.port))
                w.send(begun)
                g.until(lambda: g.metric("tls_handshakes") == 1)
                leave(w)
                g.until(lambda: g.metric("tls_handshakes") == 0)
        ends(g, left=6)

    def test_there_are_only_so_many_at_once_and_the_oldest_goes(self):
        g = self.gateway
        g.configure("tls-handshakes-max = 8")
        g.restart()
        hello = hello_for(g.port)
        flood = []
        for n in range(20):
            w = Wire(int(g.port))
            w.send(hello[:n % len(hello) + 1])
            flood.append(w)
        ends(g, crowded=12)
        g.until_metric(8, "tls_handshakes")
        # Those that were first are gone, and who comes now is served.
        for w in flood[:12]:
            self.assertEqual(w.rest(), b"")
        self.assertEqual(g.get("/healthz")[0], 200)
        ends(g, crowded=13, full=1)
        for w in flood:
            w.close()
        g.until(lambda: g.metric("tls_handshakes") == 0)
        ends(g, crowded=13, full=1, left=7)

    def test_a_flood_does_not_hold_up_those_who_listen(self):
        g = self.gateway
        streams = [t(g, "a") for t in STREAMS]
        for s in streams:
            s.notice("caughtup")
        failures = []

        def flood():
            try:
                for _ in range(60):
                    Wire(g.port).close()
            except OSError as e:
                failures.append(e)

        threads = [threading.Thread(target=flood) for _ in range(4)]
        for t in threads:
            t.start()
        ids = [g.publish("a", n)["id"] for n in range(100)]
        for t in threads:
            t.join(GUARD)
        self.assertEqual(failures, [])
        for s in streams:
            self.assertEqual([e["id"] for e in s.events(100)], ids)
            s.close()

    def test_handshakes_under_way_do_not_hold_up_the_end(self):
        g = self.gateway
        w = Wire(int(g.port))
        w.send(b"\x16\x03")
        g.until(lambda: g.metric("tls_handshakes") == 1)
        self.assertEqual(g.stop(), 0)
        w.close()


class Certificates(Scenario):
    secure = (("localhost",), ("localhost", "rsa"), ("*.any.test",),
              ("www.any.test,other.test", "rsa"))

    def served(self, name, ciphers=None):
        """The certificate that a client gets which asks for that name."""
        g = self.gateway
        version = TLS_1_2 if ciphers else None
        port = SecurePort(g.port, trusting(*g.certificates, ciphers=ciphers,
                                           version=version), name)
        with Wire(port) as w:
            return w.s.getpeercert(True)

    def test_the_name_and_the_kind_decide(self):
        ecdsa, rsa, wildcard, www = [
            c.der() for c in self.gateway.certificates]
        for name, ciphers, expected in (
                ("localhost", None, ecdsa), ("localhost", "aRSA", rsa),
                ("localhost", "aECDSA", ecdsa), ("a.any.test", None, wildcard),
                ("other.test", None, www), ("www.any.test", "aRSA", www),
                ("www.any.test", "aECDSA", wildcard)):
            with self.subTest(name=name, ciphers=ciphers):
                self.assertEqual(self.served(name, ciphers), expected)

    def test_an_unknown_name_gets_the_first(self):
        g = self.gateway
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        for name in ("unknown.test", None):
            with Wire(SecurePort(g.port, context, name)) as w:
                self.assertEqual(w.s.getpeercert(True),
                                 g.certificates[0].der())

    def test_ours_is_the_order_of_ciphers(self):
        port = SecurePort(self.gateway.port, trusting(
            *self.gateway.certificates, version=TLS_1_2, ciphers=":".join((
                "ECDHE-RSA-AES256-GCM-SHA384",
                "ECDHE-ECDSA-AES256-GCM-SHA384",
                "ECDHE-ECDSA-AES128-GCM-SHA256"))))
        with Wire(port) as w:
            self.assertEqual(w.s.cipher()[0], "ECDHE-ECDSA-AES128-GCM-SHA256")


class Reload(Scenario):
    secure = (("localhost",),)
    reloads = 0

    def reload(self, certificates):
        g = self.gateway
        self.reloads += 1
        g.certificates = certificates
        g.configure("")
        g.signal(signal.SIGHUP)
        g.wait_log("info configuration reloaded", self.reloads)

    def trust(self, *certificates):
        g = self.gateway
        g.secure_port = SecurePort(g.port, trusting(*certificates))

    def test_one_that_ends_within_a_week_is_a_warning(self):
        late, soon = certificate(), certificate("a.test", days=6)
        self.reload([late, soon])
        # That of this second has a whole day more.
        for level, c, left in ("info", late, "29|30"), ("warn", soon, "5|6"):
            self.gateway.wait_log(
                f" {level} certificate file={c.path} kind=ECDSA "
                f"names=\\S+ days-left=({left}) ")

    def test_metrics_say_when_each_ends(self):
        first, other = certificate(days=3), certificate("a.test", days=40)
        self.reload([first, other])
        now = time.time()
        for place, c, days in (1, first, 3), (2, other, 40):
            ends = self.gateway.metric(
                "tls_certificate_expires_seconds",
                f'{{place="{place}",file="{c.path}"}}')
            self.assertLess(abs(ends - now - days * 86400), 3600)

    def test_new_connections_get_the_new_one_and_streams_go_on(self):
        g = self.gateway
        old, new = g.certificates[0], certificate(version=2)
        streams = [t(g, "a") for t in STREAMS]
        for s in streams:
            s.notice("caughtup")
        idle = Wire(g.port)
        self.reload([new])
        receipt = g.publish("a", "after the reload")
        for s in streams:
            self.assertEqual(s.event()["id"], receipt["id"])
        with self.assertRaises(ssl.SSLCertVerificationError):
            Wire(g.port)
        self.trust(new)
        self.assertEqual(g.get("/healthz")[0], 200)
        idle.send(request_head("/healthz"))
        self.assertEqual(idle.response()[0], 200)
        self.assertEqual(idle.s.getpeercert(True), old.der())
        # And once more, when nothing holds the first one any longer.
        for s in streams:
            s.close()
        idle.close()
        self.reload([old, new])
        self.trust(old)
        self.assertEqual(g.get("/healthz")[0], 200)

    def test_a_handshake_may_be_under_way_meanwhile(self):
        g = self.gateway
        m = Memory(g.port)
        hello = m.hello()
        m.wire.send(hello[:-1])
        g.until(lambda: g.metric("tls_handshakes") == 1)
        self.reload([certificate(version=2)])
        self.reload([certificate(version=3)])
        m.wire.send(hello[-1:])
        m.shake()
        m.tls.write(request_head("/healthz"))
        m.wire.send(m.outgoing.read())
        m.until(b"ok\n")
        m.close()

    def test_a_bad_certificate_keeps_all_as_it_was_and_is_told_loudly(self):
        g = self.gateway
        good, g.certificates = g.certificates, [certificate(version=4)]
        with open(g.certificates[0].path, "w", encoding="ascii") as f:
            f.write("no certificate\n")
        g.configure('retry = "9s"')
        g.signal(signal.SIGHUP)
        g.wait_log(r'error tls: tls-certificate ".*-4\.pem" has no')
        g.wait_log(r"error reload: the certificates cannot be used; the old "
                   r"ones stay in use")
        g.wait_log("error reload: the old configuration stays in use")
        self.assertEqual(g.poll("a")["retry"], 2000)
        g.certificates = good
        g.configure('retry = "9s"')
        g.signal(signal.SIGHUP)
        g.wait_log("info configuration reloaded$")
        self.assertEqual(g.poll("a")["retry"], 9000)

    def test_one_in_a_pipe_does_not_hold_the_end_up(self):
        """Nobody writes it again, and it is not waited for for ever."""
        g = self.gateway
        g.certificates = [certificate(version=5)]
        path = g.certificates[0].path
        os.unlink(path)
        os.mkfifo(path)
        g.configure("")
        g.signal(signal.SIGHUP)
        g.wait_log(f'error tls: tls-certificate "{path}" cannot be read: '
                   "Connection timed out")
        self.assertEqual(g.stop(), 0)

    def test_a_session_outlives_the_reload(self):
        g = self.gateway
        with Resuming(g.port, TLS_1_3) as r:
            self.reload([certificate(version=2)])
            self.assertTrue(r.again())


class Resuming:
    """A client that comes back with its session."""

    def __init__(self, port, version):
        context = port.context
        context.minimum_version = context.maximum_version = version
        self.port = port
        with Wire(port) as w:
            # Tickets come with the first bytes, if not before.
            w.send(request_head("/healthz"))
            w.response()
            self.session = w.s.session

    def again(self):
        with Wire(int(self.port)) as w:
            w.s = self.port.wrap(w.s, session=self.session)
            w.send(request_head("/healthz"))
            assert w.response()[0] == 200
            return w.s.session_reused

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


class Sessions(Scenario):
    secure = (("localhost",),)

    def test_a_session_is_resumed_by_any_worker(self):
        g = self.gateway
        port = g.port
        for version in (TLS_1_2, TLS_1_3):
            g.secure_port = SecurePort(port, trusting(*g.certificates))
            with Resuming(g.port, version) as r:
                for _ in range(8):
                    self.assertTrue(r.again())
        ends(g, full=2, resumed=16)

    def test_a_restart_ends_them(self):
        g = self.gateway
        with Resuming(g.port, TLS_1_3) as r:
            g.restart()
            self.assertFalse(r.again())

    def test_without_an_age_there_are_none(self):
        g = self.gateway
        g.configure("tls-session-age = 0")
        g.restart()
        with Resuming(g.port, TLS_1_2) as r:
            self.assertFalse(r.again())


class Ends(Scenario):
    """Every ordinary end is said (RFC 8446 6.1), so that none is a cut."""

    secure = (("localhost",),)

    def ended(self, wire):
        """Does it end as TLS says? With a cut, this is an exception."""
        try:
            while True:
                if not wire.s.recv(65536):
                    return True
        except ssl.SSLError:
            return False

    def wire(self):
        """A client that tells a cut from an end."""
        g = self.gateway
        # Python asks OpenSSL 3 to take a cut for an end.
        g.port.context.options &= ~getattr(
            ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
        w = Wire(int(g.port))
        w.s = g.port.wrap(w.s, suppress_ragged_eofs=False)
        return w

    def test_after_an_answer_that_closes(self):
        for path in ("/healthz", "/stream/a", "/stream/%zz"):
            with self.wire() as w:
                w.send(request_head(path, [("Connection", "close")]))
                self.assertTrue(self.ended(w), path)

    def test_after_a_refused_head(self):
        with self.wire() as w:
            w.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
            self.assertTrue(self.ended(w))

    def test_streams_idle_connections_and_polls_when_the_gateway_ends(self):
        g = self.gateway
        head = g.publish("a", 1)["id"]
        wires = [self.wire() for _ in range(4)]
        stream, poll, idle, library = wires
        stream.send(request_head("/stream/a",
                                 [("Accept", "text/event-stream")]))
        poll.send(request_head(f"/stream/a?wait=50&after={head}"))
        idle.send(request_head("/stream/a"))
        idle.response()
        library.send(request_head("/healthz"))
        library.response()
        for name in ("sse", "long"):
            g.until(lambda: g.metric(
                "subscribers", f'{{transport="{name}"}}') == 1)
        self.assertEqual(g.stop(), 0)
        for w in wires:
            self.assertTrue(self.ended(w))
            w.close()

    def test_the_log_says_how_a_stream_was_carried(self):
        g = self.gateway
        WsSubscriber(g, "a").close()
        g.wait_log(r"closed id=\d+ transport=ws .* tls=TLSv1\.3 ")
        g.secure_port = None
        WsSubscriber(g, "a").close()
        g.wait_log(r"closed id=\d+ transport=ws .* tls=no ")

    def test_a_key_that_is_renewed_cuts_nothing(self):
        """RFC 8446 4.6.3: the peer may ask for it at any time."""
        g = self.gateway
        client = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{int(g.port)}",
             "-tls1_3"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL)
        try:
            client.stdin.write(request_head(
                "/stream/a", [("Accept", "text/event-stream")]))
            client.stdin.flush()
            read = iter(client.stdout.readline, b"")
            self.assertTrue(any(b"caughtup" in line for line in read))
            for n in range(5):
                client.stdin.write(b"K\n" if n % 2 else b"k\n")
                client.stdin.flush()
                text = f"event-{n}"
                g.publish("a", text)
                self.assertTrue(any(text.encode() in line for line in read))
        finally:
            client.kill()
            client.wait()
            client.stdin.close()
            client.stdout.close()

    def test_renegotiation_is_refused(self):
        g = self.gateway
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{int(g.port)}",
             "-tls1_2"], input=b"R\n", capture_output=True, timeout=GUARD,
            check=False)
        self.assertIn(b"RENEGOTIATING", done.stderr)
        self.assertIn(b"no renegotiation", done.stderr)


class Large(Scenario):
    secure = (("localhost",),)
    conf = """
message-max = "16m"
window-bytes = "64m"
channel "*" { send = publish }
"""

    def test_sixteen_mebibytes_both_ways(self):
        g = self.gateway
        text = os.urandom(8 * MIB).hex()
        with WebSocket(g.port, "/stream/a?format=raw",
                       headers=[]) as ws:
            ws.say(text)
            opcode, payload = ws.read()
            self.assertTrue(payload == text.encode())
        receipt = g.publish("b", text, Content_Type="text/plain")
        for transport in self.each(TRANSPORTS):
            s = transport(g, "b", "start")
            e = s.event()
            self.assertEqual(e["id"], receipt["id"])
            self.assertTrue(e["data"] == text)
            s.close()
        status, _, _ = g.request("POST", "/stream/c", text)
        self.assertIn(status, (200, 201, 202, 204))
        self.assertTrue(g.poll("c", after="start")["events"][0]["data"] ==
                        text)


class KeepAlive(Scenario):
    secure = (("localhost",),)

    def test_pages_streams_and_pages_again_share_a_connection(self):
        """What the library answers is relayed, and what lasts leaves it."""
        g = self.gateway
        ids = g.batch([{"channel": "a", "data": n} for n in range(3)])
        with Wire(g.port) as w:
            for n in range(20):
                w.send(request_head("/healthz"))
                self.assertEqual(w.response()[2], b"ok\n")
                w.send(request_head(f"/stream/a?after={ids[0]}"))
                _, headers, body = w.response()
                self.assertNotEqual(headers.get("connection"), "close")
                self.assertEqual(json.loads(body)["cursor"], ids[2])
            w.send(request_head("/healthz") +
                   request_head("/stream/a?after=start"))
            self.assertEqual(w.response()[2], b"ok\n")
            self.assertEqual(json.loads(w.response()[2])["cursor"], ids[2])
        ends(g, full=1)


class Strict(Scenario):
    """Strict-Transport-Security (RFC 6797)."""

    secure = (("localhost",),)

    def told(self, port):
        with Wire(port) as w:
            w.send(request_head("/healthz"))
            status, headers, _ = w.response()
            self.assertEqual(status, 200)
            return headers.get("strict-transport-security")

    def test_browsers_are_told_if_it_is_configured_and_only_over_tls(self):
        g = self.gateway
        self.assertIsNone(self.told(g.secure_port))
        g.configure('hsts-age = "365d"\n')
        g.signal(signal.SIGHUP)
        g.wait_log("configuration reloaded")
        self.assertEqual(self.told(g.secure_port), "max-age=31536000")
        self.assertIsNone(self.told(g.plain_port))


class Renewal(unittest.TestCase):
    """What renews certificates writes files, and need not tell anybody."""

    def setUp(self):
        place = tempfile.mkdtemp(prefix="spillway-renewal-")
        self.addCleanup(shutil.rmtree, place)
        self.used = Certificate(place + "/used.pem", place + "/used.key",
                                "localhost", "ecdsa")
        self.put(certificate(version=1))
        self.gateway = Gateway('tls-certificate-check = "20ms"\n',
                               certificates=[self.used])
        self.addCleanup(self.gateway.close)
        self.gateway.start()

    def put(self, new):
        """As they do it: one file after the other."""
        for source, target in ((new.key, self.used.key),
                               (new.path, self.used.path)):
            shutil.copy(source, target + ".new")
            os.rename(target + ".new", target)

    def served(self):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        address = "127.0.0.1", int(self.gateway.secure_port)
        with socket.create_connection(address, GUARD) as s, \
                context.wrap_socket(s) as wrapped:
            return wrapped.getpeercert(True)

    def test_new_files_are_used_and_streams_go_on(self):
        g = self.gateway
        new = certificate(version=2)
        streams = [t(g, "a") for t in STREAMS]
        for s in streams:
            s.notice("caughtup")
        self.assertNotEqual(self.served(), new.der())
        self.put(new)
        g.wait_log("info certificates changed: the new ones are in use")
        self.assertEqual(self.served(), new.der())
        receipt = g.publish("a", "after the change")
        for s in streams:
            self.assertEqual(s.event()["id"], receipt["id"])
            s.close()

    def test_files_that_cannot_be_used_change_nothing(self):
        g = self.gateway
        first = self.served()
        with open(self.used.path, "w", encoding="ascii") as f:
            f.write("not a certificate\n")
        g.wait_log("error reload: the certificates cannot be used")
        self.assertEqual(self.served(), first)
        # That is said once; what comes next is looked at.
        self.put(certificate(version=3))
        g.wait_log("info certificates changed: the new ones are in use")
        self.assertEqual(self.served(), certificate(version=3).der())
        self.assertEqual(
            len([l for l in g.lines if "cannot be used" in l]), 1)


class Files(Scenario):
    """spillway -t, and a start with certificates that cannot be used."""

    def setUp(self):
        self.good = certificate()
        self.gateway = Gateway(certificates=[self.good])
        self.addCleanup(self.gateway.close)

    def test(self):
        done = subprocess.run([DAEMON, "-t", "-c", self.gateway.conf_path],
                              capture_output=True, text=True, timeout=GUARD,
                              check=False)
        return done.returncode, done.stdout + done.stderr

    def use(self, path, key):
        g = self.gateway
        g.certificates = []
        g.configure(f'listen-tls = "127.0.0.1:{int(g.port)}"\n'
                    f'tls-certificate = "{path}"\ntls-key = "{key}"\n')

    def test_what_is_fine_is_fine(self):
        code, text = self.test()
        self.assertEqual((code, text),
                         (0, f"{self.gateway.conf_path}: fine\n"))

    def test_certificates_that_nobody_is_shown_are_told_of(self):
        g = self.gateway
        g.certificates = []
        g.configure(f'tls-certificate = "{self.good.path}"\n'
                    f'tls-key = "{self.good.key}"\n')
        g.start()
        g.wait_log("warn tls: nothing listens with it: write listen-tls")

    def test_what_is_not_is_said_and_nothing_starts(self):
        other = certificate("other.test")
        for path, key, expected in (
                (self.good.path, other.key, "is not the key of"),
                (self.good.path, "/nonexistent", "cannot be read"),
                ("/nonexistent", other.key, "cannot be read"),
                (self.good.key, self.good.key, "no certificate in PEM")):
            with self.subTest(path=path, key=key):
                self.use(path, key)
                code, text = self.test()
                self.assertEqual(code, 1)
                self.assertIn(expected, text)
                g = self.gateway.start(expect_failure=True)
                g.wait_log("error tls: tls-.*" + expected)
                self.assertEqual(g.wait_end(), 1)

    def test_tls_may_be_all_that_there_is(self):
        g = self.gateway
        g.certificates = []
        with open(g.conf_path, encoding="utf-8") as f:
            text = f.read()
        with open(g.conf_path, "w", encoding="utf-8") as f:
            f.write(text.replace(f'{{ "127.0.0.1:{g.plain_port}" }}', "off"))
        g.start()
        self.assertEqual(g.get("/healthz")[0], 200)
        with self.assertRaises(ConnectionRefusedError):
            Wire(g.plain_port)


if __name__ == "__main__":
    main()
