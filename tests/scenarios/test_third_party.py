"""Other people's clients work unmodified: in order, once, over restarts.

Each follows a channel while the gateway is killed and stopped and started
again. Where a client comes back by itself it is left to that; else the loop
around it is what anybody would write: again, with the last cursor.
"""

import asyncio
import fcntl
import json
import os
import pathlib
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import urllib.parse
import urllib.request

import aiohttp
import websockets

from gateway import DAEMON, GUARD, Scenario, main

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                      "..", "clients")
AGAIN = 0.1  # seconds until a client tries again


class Client:
    """Runs in a thread; what it receives goes into a queue."""

    def __init__(self, base):
        self.base, self.cursor = base, "start"
        self.received = queue.Queue()
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def take(self, text):
        message = json.loads(text)
        if "id" in message:
            self.cursor = message["id"]
            self.received.put(message)

    def take_lines(self, lines):
        for line in lines:
            if line.startswith("data: "):
                self.take(line[6:])

    def answer(self, text):
        body = json.loads(text)
        for event in body["events"]:
            self.take(json.dumps(event))
        self.cursor = body["cursor"]

    def next(self):
        return self.received.get(timeout=GUARD)

    def close(self):
        if self.stopped.is_set():
            return
        self.stopped.set()
        self.end()
        self.thread.join(GUARD)


class Process(Client):
    """A program that prints."""

    process = None

    def run(self):
        while not self.stopped.is_set():
            with subprocess.Popen(self.command(), stdout=subprocess.PIPE,
                                  text=True, encoding="utf-8") as process:
                self.process = process
                self.read(process.stdout)
            self.stopped.wait(AGAIN)

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()


class CurlEvents(Process):
    def command(self):
        return ["curl", "-sN", "-H", "Accept: text/event-stream", "-H",
                f"Last-Event-ID: {self.cursor}", self.base + "?format=json"]

    def read(self, output):
        self.take_lines(output)


class CurlPolls(Process):
    def command(self):
        return ["curl", "-s", f"{self.base}?wait=20&after={self.cursor}"]

    def read(self, output):
        text = output.read()
        if text:
            self.answer(text)


class Node(Process):
    """It comes back by itself, so it has to stay the same process."""

    kind = None

    def run(self):
        with subprocess.Popen(["node", "follow.js", self.kind, self.base],
                              stdout=subprocess.PIPE, text=True,
                              encoding="utf-8", cwd=node_modules()) as p:
            self.process = p
            for line in p.stdout:
                self.take(line)


class NodeWs(Node):
    kind = "ws"


class NodeEventSource(Node):
    kind = "eventsource"


class NodeFetch(Node):
    kind = "fetch"


class NodeFetchStream(Node):
    kind = "fetch-stream"


class Async(Client):
    def run(self):
        self.loop = asyncio.new_event_loop()
        self.task = self.loop.create_task(self.follow())
        try:
            self.loop.run_until_complete(self.task)
        except asyncio.CancelledError:
            pass
        self.loop.close()

    async def follow(self):
        async with aiohttp.ClientSession() as self.session:
            while True:
                try:
                    await self.once()
                except (aiohttp.ClientError, asyncio.TimeoutError, OSError,
                        websockets.WebSocketException):
                    pass
                await asyncio.sleep(AGAIN)

    def end(self):
        self.loop.call_soon_threadsafe(self.task.cancel)


class PythonWebsockets(Async):
    async def once(self):
        url = self.base.replace("http", "ws") + f"?after={self.cursor}"
        async with websockets.connect(url, subprotocols=["chat",
                                                         "spillway.v1"]) as ws:
            assert ws.subprotocol == "spillway.v1"
            async for message in ws:
                self.take(message)


class AiohttpWs(Async):
    async def once(self):
        url = f"{self.base}?after={self.cursor}"
        async with self.session.ws_connect(url, compress=15) as ws:
            async for message in ws:
                self.take(message.data)


class AiohttpEvents(Async):
    async def once(self):
        async with self.session.get(
                self.base + "?format=json",
                headers={"Accept": "text/event-stream",
                         "Last-Event-ID": self.cursor}) as answer:
            assert answer.content_type == "text/event-stream"
            async for line in answer.content:
                self.take_lines([line.decode()])


class AiohttpPolls(Async):
    async def once(self):
        while True:
            async with self.session.get(
                    f"{self.base}?wait=20&after={self.cursor}") as answer:
                self.answer(await answer.text())


CLIENTS = (CurlEvents, CurlPolls, PythonWebsockets, AiohttpWs, AiohttpEvents,
           AiohttpPolls, NodeWs, NodeEventSource, NodeFetch, NodeFetchStream)


def node_modules():
    """A directory with follow.js and, installed once, what it imports."""
    for program in "node", "npm":
        assert shutil.which(program), (
            f"{program} is missing: apt-get install nodejs npm")
    place = os.environ.get("SPILLWAY_NODE_MODULES") or os.path.join(
        os.path.dirname(os.path.abspath(DAEMON)), "tests", "node-clients")
    os.makedirs(place, exist_ok=True)
    with open(os.path.join(place, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.copy(os.path.join(SOURCE, "follow.js"), place)
        wanted = os.path.join(SOURCE, "package-lock.json")
        done = os.path.join(place, "installed.json")
        if not os.path.exists(done) or read(done) != read(wanted):
            for name in "package.json", "package-lock.json":
                shutil.copy(os.path.join(SOURCE, name), place)
            result = subprocess.run(
                ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                cwd=place, capture_output=True, text=True, check=False)
            assert result.returncode == 0, result.stderr
            shutil.copy(wanted, done)
    return place


def read(path):
    with open(path, "rb") as f:
        return f.read()


class ThirdParty(Scenario):
    conf = 'retry = "100ms"'

    def restarts(self):
        """Nothing, a crash, and an end in good order."""
        g = self.gateway
        yield
        g.kill9()
        g.start()
        yield
        g.restart()
        yield

    def publish(self, count):
        """What a client has to get right: lines, sizes, characters."""
        g = self.gateway
        bodies = ["x", "two\nlines", "κόσμος 𐍈 \u2028", "", "a\r\n\r\nb\n",
                  "again and again " * 1000]
        return [(g.publish("a", bodies[n % 6].encode(),
                           Content_Type="text/plain")["id"], bodies[n % 6])
                for n in range(count)]

    def follow(self, kind):
        g = self.gateway
        expected = self.publish(10)
        client = kind(f"http://127.0.0.1:{g.port}/stream/a")
        self.addCleanup(client.close)
        got = []
        for _ in self.restarts():
            expected += self.publish(10)
            while len(got) < len(expected):
                event = client.next()
                got.append((event["id"], event["data"]))
            self.assertEqual(got, expected)
        client.close()
        self.assertTrue(client.received.empty())


def add_tests():
    """One for each client, so that a failure has its name."""
    for kind in CLIENTS:
        def test(self, kind=kind):
            self.follow(kind)
        setattr(ThirdParty, f"test_{kind.__name__}_misses_nothing", test)


add_tests()


class Browsers(Scenario):
    """A page of the gateway's own, and everything that a browser has."""

    conf = f"""
web-root = "{SOURCE}"
retry = "100ms"
channel "report" {{ send = publish }}
"""
    page = "page.html"
    transports = ["EventSource", "WebSocket", "fetch stream", "long poll",
                  "short poll"]

    def web_root(self, *names):
        """A folder with these files of the project."""
        place = tempfile.mkdtemp(prefix="spillway-page-")
        self.addCleanup(shutil.rmtree, place, ignore_errors=True)
        for name in names:
            shutil.copy(os.path.join(ROOT, name), place)
        return place

    def web_with(self, script, folder):
        """All of web/; the page in the folder has one of our scripts, too."""
        web = os.path.join(self.web_root(), "web")
        inside = os.path.join(web, folder)
        shutil.copytree(os.path.join(ROOT, "web"), web)
        for name in (script, "watch.js"):
            shutil.copy(os.path.join(ROOT, "tests", "web", name), inside)
        with open(os.path.join(inside, "index.html"), "r+",
                  encoding="utf-8") as f:
            page = f.read().replace(
                "</head>",
                f'<script type="module" src="{script}"></script></head>')
            f.seek(0)
            f.write(page)
        return web

    def reported(self, command):
        """What a page says when it has looked at itself."""
        browser = self.browse(command)

        def told():
            self.assertIsNone(browser.poll(), "the browser has ended")
            return self.gateway.poll("report", after="start")["events"]
        return self.gateway.until(told, "the page's report")[0]["data"]

    def browse(self, command, pages=None):
        """Started in a group of its own: a browser is many processes."""
        self.assertTrue(
            shutil.which(command[0]),
            f"{command[0]} is missing: apt-get install {command[0]}")
        home = tempfile.mkdtemp(prefix="spillway-browser-")
        self.addCleanup(shutil.rmtree, home, ignore_errors=True)
        with open(os.path.join(home, "user.js"), "w", encoding="ascii") as f:
            f.write('user_pref("browser.aboutwelcome.enabled", false);\n'
                    'user_pref("app.update.enabled", false);\n'
                    'user_pref("datareporting.policy.dataSubmissionEnabled",'
                    ' false);\n')
        urls = [f"http://127.0.0.1:{self.gateway.port}/spillway/{page}"
                for page in pages or (self.page,)]
        process = subprocess.Popen(
            [part.replace("HOME", home) for part in command] + urls,
            env=dict(os.environ, HOME=home, MOZ_HEADLESS="1"),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)
        process.home = home
        self.addCleanup(self.end, process)
        return process

    def more_tabs(self, browser, pages):
        """Without a window chromium takes others through its debugger."""
        told = pathlib.Path(browser.home, "DevToolsActivePort")
        port = self.gateway.until(lambda: told.exists() and
                                  told.read_text("ascii"), told).split()[0]
        debugger = f"http://127.0.0.1:{port}/json/new?"
        for page in pages:
            url = f"http://127.0.0.1:{self.gateway.port}/spillway/{page}"
            urllib.request.urlopen(urllib.request.Request(
                debugger + urllib.parse.quote(url), method="PUT"),
                timeout=GUARD).close()

    @staticmethod
    def end(process):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(GUARD)

    def reports(self, browser, stage):
        """What all transports saw up to a stage, once they all say so."""
        def complete():
            self.assertIsNone(browser.poll(), "the browser has ended")
            answer = self.gateway.poll("report", after="start", limit=1000)
            found = {r["transport"]: r for r in
                     (e["data"] for e in answer["events"])
                     if r["stage"] == stage}
            return sorted(found) == self.transports and found
        return self.gateway.until(complete, f"all reports of stage {stage}")

    def follow(self, command):
        g = self.gateway
        ids = [g.publish("a", n)["id"] for n in range(10)]
        browser = self.browse(command)
        for stage in range(3):
            if stage == 1:
                g.kill9()
                g.start()
            elif stage == 2:
                g.restart()
            ids += [g.publish("a", "live " * 200)["id"] for _ in range(10)]
            ids.append(g.publish("a", stage, Event_Type="report")["id"])
            for name, report in self.reports(browser, stage).items():
                self.assertEqual(report["ids"], ids, (name, stage))
                self.assertGreater(report["opened"], stage, name)
                # Scripts see what is no event, too.
                if name in ("EventSource", "WebSocket"):
                    self.assertIn("spillway.hello", report["notices"])

    def test_chromium(self):
        self.follow(["chromium", "--headless=new", "--no-sandbox",
                     "--disable-gpu", "--no-first-run",
                     "--disable-background-networking",
                     "--disable-dev-shm-usage", "--user-data-dir=HOME",
                     "--remote-debugging-port=0"])

    def test_firefox(self):
        self.follow(["firefox-esr", "--headless", "--no-remote",
                     "--profile", "HOME"])


if __name__ == "__main__":
    main()
