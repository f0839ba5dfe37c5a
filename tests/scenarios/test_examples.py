"""The example backends do what they say: web/demo/app.py, and the README's."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import unittest

from bridge_backend import SECRET
from gateway import GUARD, EventStream, Gateway, WebSocket, free_ports

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")


def readme_block(language):
    """The backend in that language, out of the README."""
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        blocks = re.findall(rf"^```{language}\n(.*?)^```$", f.read(),
                            re.M | re.S)
    found = [b for b in blocks if "webhook-signature" in b.lower() or
             "WEBHOOK_SIGNATURE" in b]
    assert len(found) == 1, len(found)
    return found[0]


class Example(unittest.TestCase):
    def setUp(self):
        self.port, = free_ports(1)
        self.gateway = Gateway(f"""
backend = "http://127.0.0.1:{self.port}"
backend-fail-time = "20ms"
bridge-secret = "{SECRET}"
bridge-header = "Cookie"
channel "demo" {{ history-events = 1000 }}
channel "chat" {{
	send = bridge
	bridge-connect = yes
	bridge-presence = yes
}}
""")
        self.addCleanup(self.gateway.close)
        self.gateway.start()

    def run_backend(self, *command):
        process = subprocess.Popen(
            command, cwd=self.gateway.dir, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=dict(
                os.environ, BRIDGE_SECRET=SECRET, PORT=str(self.port)))
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        self.gateway.until(
            lambda: process.poll() is not None or
            self.gateway.request("GET", "/nothing")[0] == 404,
            "the example at work")
        self.assertIsNone(process.poll())
        return process

    def file(self, name, text):
        path = os.path.join(self.gateway.dir, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def said(self, stream, count):
        """What so many events say, notices left out."""
        events = []
        while len(events) < count:
            message = json.loads(stream.read()[1])
            if "id" in message:
                events.append(message["data"])
        return events

    def chat(self):
        """Somebody comes, another one says something, both transports."""
        listener = WebSocket(self.gateway.port, "/stream/chat",
                             headers=[("Cookie", "name=ann")])
        self.addCleanup(listener.close)
        self.assertEqual(self.said(listener, 1),
                         [{"from": "ann", "does": "comes in"}])
        listener.command(op="send", channel="chat", data={"text": "hello"})
        self.assertEqual(self.said(listener, 1),
                         [{"from": "ann", "text": "hello"}])
        stream = EventStream(self.gateway.port, "/stream/chat",
                             headers=[("Cookie", "name=bob")])
        self.assertEqual(stream.status, 200)
        self.assertEqual(self.said(listener, 1),
                         [{"from": "bob", "does": "comes in"}])
        stream.close()
        self.assertEqual(self.said(listener, 1),
                         [{"from": "bob", "does": "leaves"}])
        status, _, body = self.gateway.request(
            "POST", "/stream/chat", b'{"text":""}',
            {"Content-Type": "application/json"})
        self.assertEqual(status, 422, body)

    def nobody_else(self):
        """Without a signature nothing happens."""
        status, _, _ = self.gateway.request(
            "POST", "/spillway-events", b'{"text":"forged"}',
            {"ce-type": "spillway.message", "webhook-id": "x",
             "webhook-timestamp": "1", "webhook-signature": "v1,x"})
        self.assertEqual(status, 401)


class Demo(Example):
    def test_the_demo_of_bootstrap_run(self):
        secret = self.file("secret", SECRET + "\n")
        self.run_backend(
            sys.executable, os.path.join(ROOT, "web/demo/app.py"),
            "--listen", f"127.0.0.1:{self.port}", "--secret", secret,
            "--tick", f"http://127.0.0.1:{self.gateway.api_port}", "demo")
        status, headers, body = self.gateway.request("GET", "/chat")
        self.assertEqual((status, headers["Content-Type"]),
                         (200, "text/html; charset=utf-8"))
        self.assertIn(b"/spillway/spillway.js", body)
        # As wide as the phone, however long a word is.
        self.assertIn(b'<meta name="viewport"', body)
        self.assertIn(b"overflow-wrap: anywhere", body)
        self.chat()
        self.nobody_else()
        ticks = EventStream(self.gateway.port, "/stream/demo?last=1")
        self.addCleanup(ticks.close)
        while ticks.block()[0] != "message":
            pass

    def test_who_is_told_to_end_again_and_again_ends(self):
        """As Ctrl-C does it: the terminal tells all, ./bootstrap as well."""
        secret = self.file("secret", SECRET + "\n")
        url = f"http://127.0.0.1:{self.gateway.api_port}"
        app, publisher = (
            self.run_backend(
                sys.executable, os.path.join(ROOT, "web/demo/app.py"),
                "--listen", f"127.0.0.1:{self.port}", "--secret", secret,
                "--tick", url, "demo"),
            subprocess.Popen([
                sys.executable, os.path.join(ROOT, "web/demo/ticker.py"),
                url, "told"], stderr=subprocess.DEVNULL))
        self.addCleanup(publisher.wait)
        self.addCleanup(publisher.kill)
        told = EventStream(self.gateway.port, "/stream/told?after=start")
        self.addCleanup(told.close)
        while told.block()[0] != "message":
            pass
        for process in app, publisher:
            for _ in range(100000):
                if process.poll() is not None:
                    break
                process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(GUARD), 0)


class Readme(Example):
    def test_node(self):
        self.run_backend("node", self.file("app.js", readme_block("js")))
        self.chat()
        self.nobody_else()

    @unittest.skipUnless(shutil.which("php"), "there is no php")
    def test_php(self):
        self.run_backend("php", "-S", f"127.0.0.1:{self.port}",
                         self.file("app.php", readme_block("php")))
        self.chat()
        self.nobody_else()


if __name__ == "__main__":
    unittest.main()
