"""What the documents say is so: names, defaults, commands, files."""

import glob
import os
import re
import subprocess
import unittest

from bridge_backend import SECRET
from certificates import certificate
from gateway import (DAEMON, GUARD, Gateway, Scenario, WebSocket, free_ports,
                     main)

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")


def document(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as f:
        return f.read()


def manual(name, section):
    """The lines of a section of a manual; mdoc's escapes are resolved."""
    text = document("conf/" + name).partition(f"\n.Sh {section}\n")[2]
    return (text.partition("\n.Sh ")[0].replace(r"\-", "-")
            .replace(r"\(dq", '"').replace(r"\e", "\\"))


def displays(name, section):
    return re.findall(r"^\.Bd [^\n]*\n(.*?)^\.Ed$", manual(name, section),
                      re.M | re.S)


def rows(text, title):
    """The cells of the first table behind a title."""
    table = re.search(r"^\|.*?(?=^[^|])", text.partition(title)[2],
                      re.M | re.S)[0]
    return [re.split(r"(?<!\\)\|", line)[1:-1]
            for line in table.splitlines()[2:]]


def fenced(text):
    """Blocks of code that name no language."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)
    return [block for language, block in blocks if not language]


def defaults():
    """Of each directive, as --print-config writes it; without quotes."""
    printed = subprocess.run([DAEMON, "--print-config", "-c", "/dev/null"],
                             check=True, capture_output=True, text=True)
    return {name: re.sub(r'[{}" ]', "", value) for name, value in
            re.findall(r"^([a-z-]+) = (.*)$", printed.stdout, re.M)}


MS = {"ms": 1, "s": 1000, "m": 60000, "h": 3600000, "d": 86400000}


def plain(value):
    """60s is 1m."""
    time = re.fullmatch(r"(\d+)(ms|[smhd])", value)
    return int(time[1]) * MS[time[2]] if time else value


class Defaults(unittest.TestCase):
    def setUp(self):
        self.defaults = defaults()

    def check(self, names, said):
        """`a`, `b` and the defaults of both, with commas between them."""
        names = re.findall(r"`([a-z-]+)`", names)
        values = [re.sub(r"`| a second.*| at a time| a connection", "", v)
                  .strip() for v in re.split(r",| and ", said)]
        for name in names:
            self.assertIn(name, self.defaults)
        if len(names) == len(values):
            for name, value in zip(names, values):
                if value not in ("", "no limit", "none") and \
                        not re.search(r"[a-z]{3} ", value):
                    self.assertIn(plain(self.defaults[name]),
                                  (plain(value), "unix"), name)
                    self.checked += 1

    def test_of_the_readme(self):
        self.checked = 0
        for names, said, _ in rows(document("README.md"), "## Configuration"):
            self.check(names, said)
        self.assertGreater(self.checked, 20)

    def test_of_the_limits(self):
        self.checked = 0
        for names, said, _ in rows(document("SECURITY.md"), "## Limits"):
            if "*" not in names:
                self.check(names, said.replace(" and address", "")
                           .replace(" and connection", ""))
        self.assertGreater(self.checked, 15)


class Names(Scenario):
    secure = ((),)
    conf = f"""
backend = "http://127.0.0.1:1"
bridge-secret = "{SECRET}"
route "/x/*" {{ }}
"""

    def test_of_metrics(self):
        """Each that a document names is there, with its labels."""
        _, body = self.gateway.get("/metrics", api=True)
        there = {}
        for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? ", body.decode(),
                                       re.M):
            there.setdefault(name, set()).update(
                re.findall(r'(\w+)="', labels))
            there.setdefault(re.sub(r"_(bucket|sum|count)$", "", name), set())
        named = 0
        for path in ("README.md", "SECURITY.md", "proxy/ARCHITECTURE.md"):
            for name, labels in re.findall(
                    r"`(spillway_\w+)(?:\{([\w,]+)\})?`", document(path)):
                self.assertIn(name, there, path)
                for label in labels.split(",") if labels else ():
                    self.assertIn(label, there[name], name)
                named += 1
        self.assertGreater(named, 15)

    def test_of_the_version(self):
        version = subprocess.run([DAEMON, "--version"], check=True, text=True,
                                 capture_output=True).stdout.split()[1]
        self.assertRegex(self.gateway.lines[0],
                         f" info starting version={re.escape(version)}$")
        self.assertEqual(self.gateway.metric(
            "build_info", f'{{version="{version}"}}'), 1)

    def test_of_limits_that_are_counted(self):
        _, body = self.gateway.get("/metrics", api=True)
        text = document("SECURITY.md").partition("## Limits")[2]
        for name in re.findall(r'limits_reached_total\{limit="(.*?)"\}',
                               body.decode()):
            self.assertIn("`" + name, text)

    def test_of_close_codes_of_our_own(self):
        table = document("proxy/stream/close.c")
        codes = set(re.findall(r"\b4[0-9]{3}\b", table))
        self.assertGreater(len(codes), 5)
        text = re.search(r"^Close codes: .*?\n\n", document("README.md"),
                         re.M | re.S)[0]
        for code in codes - {"4000"}:
            self.assertIn(code, text)
        self.assertIn("4000-4099", text)

    def test_of_calls_of_the_api(self):
        calls = 0
        for call, _ in rows(document("README.md"), "## Publishing"):
            for methods, path in re.findall(
                    r"`([A-Z`/]+) (/[^`?\[]+)[^`]*`", call):
                path = path.replace("/C", "/c").replace("/ID", "/1")
                for method in re.findall("[A-Z]+", methods):
                    status, answer = self.gateway.api(method, path, "")
                    self.assertNotEqual(status, 405, (method, path))
                    if status == 404:
                        self.assertNotIn("The API is at", answer["detail"])
                    calls += 1
        self.assertGreater(calls, 12)


class Tour(Scenario):
    """Commands to copy, with ports and files of ours."""

    # A pipe that nobody reads any more is found out with the next write.
    conf = 'heartbeat = "1s"\n'

    def run_commands(self, text):
        directory = self.gateway.dir
        for theirs, ours in (("8080", self.gateway.port),
                             ("8081", self.gateway.api_port),
                             ("/etc/spillway/", directory + "/"),
                             ("> token", f"> {directory}/token"),
                             ("cat token", f"cat {directory}/token"),
                             ("spillway token", f"{DAEMON} token")):
            text = text.replace(theirs, str(ours))
        done = subprocess.run(["sh", "-ec", text], capture_output=True,
                              text=True, timeout=GUARD)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_of_the_readme(self):
        block = re.search(r"^```sh\n(# publish.*?)^```$",
                          document("README.md"), re.M | re.S)[1]
        publish, listen, wait, poll = [
            line for line in block.splitlines() if line.startswith("curl")]
        self.assertIn('"durable":"normal"', self.run_commands(publish))
        for command in wait, poll:
            self.assertIn('"data":{"text":"hello"}',
                          self.run_commands(command))
        # It has no end of its own.
        listen = listen.replace("curl", "curl -s", 1) + " | head -n 3"
        self.assertIn("event: spillway.hello", self.run_commands(listen))
        ws = WebSocket(self.gateway.port, "/stream/demo")
        self.addCleanup(ws.close)
        self.assertEqual(ws.message()["type"], "spillway.hello")

    def test_of_tokens(self):
        """The README's, and that of the manual, which then subscribes."""
        readme = re.search(r"^```sh\n(\(umask.*?)^```$",
                           document("README.md"), re.M | re.S)[1]
        self.assertRegex(self.run_commands(readme).splitlines()[-1],
                         r"^[\w-]+\.[\w-]+\.[\w-]+$")
        line = re.search(r"spillway.conf: (token-key.*)", readme)[1]
        self.gateway.configure(
            self.conf + line.replace("/etc/spillway", self.gateway.dir))
        self.gateway.restart()
        text, = [d for d in displays("spillway.8", "EXAMPLES")
                 if "token" in d]
        # The gateway has read the key.
        text = re.sub(r".*umask.*\n", "", text)
        self.assertIn('"cursor":', self.run_commands(text))


class Configurations(unittest.TestCase):
    """What stands in the documents is fine, as it stands there."""

    def setUp(self):
        self.gateway = Gateway()
        self.addCleanup(self.gateway.close)
        self.dir = self.gateway.dir
        made = certificate("example.org")
        for name, source in (("example.org.pem", made.path),
                             ("example.org.key", made.key)):
            os.symlink(source, f"{self.dir}/{name}")
        for name in ("token-key", "api-token"):
            with open(f"{self.dir}/{name}", "w", encoding="ascii") as f:
                f.write("0123456789abcdef" * 4 + "\n")
        with open(f"{self.dir}/bridge-secret", "w", encoding="ascii") as f:
            f.write(SECRET + "\n")
        subprocess.run(["openssl", "pkey", "-in", made.key, "-pubout", "-out",
                        f"{self.dir}/token.pem"], check=True)

    def check(self, text):
        path = f"{self.dir}/example.conf"
        with open(path, "w", encoding="utf-8") as f:
            f.write(text.replace("/etc/spillway", self.dir))
        done = subprocess.run([DAEMON, "-t", "-c", path], capture_output=True,
                              text=True)
        self.assertEqual(done.returncode, 0, done.stderr + text)

    def test_of_the_manual(self):
        examples = displays("spillway.conf.5", "EXAMPLES")
        self.assertEqual(len(examples), 4)
        for example in examples:
            self.check(example)

    def test_of_the_readme(self):
        text = document("README.md")
        backend = 'backend = "http://127.0.0.1:3000"\n'
        routes, = [b for b in fenced(text) if b.startswith("route")]
        self.check(backend + routes)
        for line in fenced(text)[0].splitlines():
            self.check(line + "\n")
        text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
        blocks = re.findall(r"\n\n((?:    .* = .*\n)+)", text)
        self.assertEqual(len(blocks), 2)
        for block in blocks:
            self.check(block)


class Files(Scenario):
    conf = f"""
backend = "http://127.0.0.1:{free_ports(1)[0]}"
bridge-secret = "{SECRET}"
channel "q" {{ send = bridge  message-mode = queue }}
"""

    def there(self):
        store = self.gateway.store
        return {path.removeprefix(store) for path in glob.glob(store + "*")}

    def test_beside_the_store_are_those_of_the_manual(self):
        g = self.gateway
        named = set(re.findall(r"^\.Pa ([-.][a-z]+)",
                               manual("spillway.8", "FILES"), re.M))
        g.publish("a", "x" * 20000)
        # Groups that follow closely have a tail.
        g.until(lambda: [g.publish("a", n) for n in range(20)] and
                "-tail" in self.there())
        g.request("POST", "/stream/q", b"later")
        running = self.there()
        self.assertLessEqual({"", "-wal", "-shm", "-tail", "-payloads",
                              "-outbox", ".lock"}, running)
        for suffix in running - {""}:
            self.assertIn(suffix.removeprefix("-outbox") or suffix, named)
        for path in glob.glob(g.store + "*"):
            self.assertEqual(os.stat(path).st_mode & 0o7, 0, path)
        g.stop()
        self.assertEqual(self.there(), {"", "-payloads", "-outbox", ".lock"})


if __name__ == "__main__":
    main()
