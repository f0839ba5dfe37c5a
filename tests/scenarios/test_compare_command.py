"""`spillway compare`: the transports side by side, from a terminal."""

import csv
import fcntl
import html.parser
import io
import json
import os
import pty
import re
import resource
import signal
import socket
import struct
import subprocess
import termios
import threading

import tokens
from certificates import authority
from gateway import (DAEMON, GUARD, TROUBLE, Gateway, Scenario, free_ports,
                     lean, main)

BUCKETS = ["handshake", "request_headers", "response_headers", "framing",
           "heartbeat", "payload"]
TRANSPORTS = ["ws", "sse", "long", "short"]
TOKEN = "4f1c9a7be2d84d0f8a6b3c5e7d9f1a2b"


def open_files(now, at_most):
    """So many for a program that begins with this."""
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (now, at_most))


def heed_interrupts():
    """Also where this runs in the background, with them ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ignore_interrupts():
    """But for as long as the program looks at them by itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class Page(html.parser.HTMLParser):
    """What a page is made of."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text += data

    def count(self, tag):
        return sum(t == tag for t, _ in self.tags)


class Compare(Scenario):
    # No heartbeat comes between the counts.
    conf = 'heartbeat = "10m"\n'

    def cpu_seconds(self):
        _, text = self.gateway.get("/metrics", api=True)
        return float(re.search(r"(?m)^process_cpu_seconds_total (.*)$",
                               text.decode())[1])

    def urls(self):
        scheme = "https" if self.gateway.secure_port else "http"
        return ["--url", f"{scheme}://localhost:{int(self.gateway.port)}",
                "--api", f"http://127.0.0.1:{self.gateway.api_port}"]

    def command(self, *args):
        """Small, and patient: no time decides."""
        return [DAEMON, "compare", *self.urls(), "--grace=10m",
                "--poll-interval=100ms", "--duration=500ms", "--rate=40",
                "--subscribers=3", *args]

    def compare(self, *args, expected=0, before=None):
        """What it wrote to both outputs."""
        done = subprocess.run(self.command(*args), env=lean(dict(os.environ)),
                              capture_output=True, text=True,
                              timeout=GUARD * 3, check=False,
                              preexec_fn=before)
        self.assertNotRegex(done.stderr, TROUBLE)
        self.assertEqual(done.returncode, expected, done.stderr)
        return done.stdout, done.stderr

    def begin(self, *args, before=None):
        """One that runs until it is ended; its steps can be waited for."""
        process = subprocess.Popen(
            self.command(*args), env=lean(dict(os.environ)), text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            preexec_fn=before)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        for line in process.stderr:
            if "events follow" in line:
                break
        else:
            self.fail("it ended before its events")
        process.drain = threading.Thread(target=process.stderr.read)
        process.drain.start()
        return process

    def end(self, process, number):
        process.send_signal(number)
        code = process.wait(GUARD)
        process.drain.join(GUARD)
        process.stderr.close()
        return code

    def measured(self, *args, expected=0):
        out, _ = self.compare("--json", "-", *args, expected=expected)
        return json.loads(out)

    def broken_off(self, *args):
        """What is left of a run whose gateway is gone."""
        # It may be over by itself, and report, when the interrupt comes.
        run = self.begin("--duration=1h", "--transports=sse", "--json",
                         self.file("a.json"), *args,
                         before=ignore_interrupts)
        self.gateway.until(lambda: self.gateway.metric(
            "events_delivered_total", '{transport="sse"}') >= 30)
        self.gateway.kill9()
        self.assertEqual(self.end(run, signal.SIGINT), 1)
        with open(self.file("a.json"), encoding="utf-8") as f:
            data = json.load(f)
        found, = data["transports"]
        self.assertTrue(found["cutShort"])
        self.assertGreaterEqual(found["received"], 1)
        self.assertEqual(found["latencyMs"]["count"], found["received"])
        self.assertGreater(found["seconds"], 0)
        self.assertIsNone(found["gateway"]["bytes"])
        return data["brokenOff"], found

    def file(self, name):
        return os.path.join(self.gateway.dir, name)

    def check(self, found, subscribers=3):
        """What was measured agrees with itself; nothing was lost."""
        t = found["transport"]
        self.assertEqual(found["published"], 20, t)
        self.assertEqual(found["expected"], 20 * subscribers, t)
        self.assertEqual(found["received"], found["expected"], t)
        for nothing in ("missing", "duplicates", "late", "gaps", "foreign",
                        "refused", "reconnects"):
            self.assertEqual(found[nothing], 0, (t, nothing))
        self.assertTrue(found["clean"], t)
        self.assertEqual(list(found["bytes"]), BUCKETS)
        self.assertEqual(found["bytes"]["payload"],
                         128 * found["received"], t)
        self.assertAlmostEqual(
            found["bytesPerEvent"],
            sum(found["bytes"].values()) / found["received"], 2)
        self.assertEqual(found["latencyMs"]["count"], found["received"], t)
        times = [found["latencyMs"][q] for q in (
            "min", "p50", "p90", "p95", "p99", "p999", "max")]
        self.assertEqual(times, sorted(times), t)
        self.assertEqual(found["connections"], subscribers, t)
        if t in ("ws", "sse"):
            self.assertEqual(found["requests"], subscribers, t)
        else:
            self.assertGreater(found["requests"], subscribers, t)


class Together(Compare):
    def test_every_event_reaches_every_subscriber_on_every_transport(self):
        data = self.measured()
        self.assertEqual([t["transport"] for t in data["transports"]],
                         TRANSPORTS)
        self.assertEqual(data["publisher"], "api")
        self.assertFalse(data["cutShort"])
        self.assertIsNone(data["brokenOff"])
        self.assertIsNone(data["noGateway"])
        for found in data["transports"]:
            self.check(found)
        ws, sse, long_poll, _ = data["transports"]
        for bucket in ("request_headers", "response_headers"):
            self.assertEqual(ws["bytes"][bucket], 0)
            self.assertGreater(long_poll["bytes"][bucket],
                               sse["bytes"][bucket])
        self.assertGreater(ws["bytes"]["handshake"], 0)

    def test_the_gateway_counts_the_same_bytes(self):
        # Beside what it has counted before.
        self.measured("--transports=short,ws")
        for found in self.measured()["transports"]:
            gateway, t = found["gateway"], found["transport"]
            self.assertFalse(gateway["countsOthers"], t)
            self.assertEqual(gateway["requests"], found["requests"], t)
            if t == "ws":
                # A goodbye may be on its way when the last count is taken.
                framing = gateway["bytes"].pop("framing")
                self.assertLessEqual(
                    abs(found["bytes"].pop("framing") - framing), 3 * 16)
            self.assertEqual(gateway["bytes"], found["bytes"], t)

    def test_the_gateways_time_and_memory_are_its_own(self):
        before = self.cpu_seconds()
        found = self.measured("--transports=sse")["transports"][0]["gateway"]
        after = self.cpu_seconds()
        self.assertLessEqual(
            found["cpuSeconds"] + found["openingCpuSeconds"],
            after - before + 0.002)
        self.assertGreaterEqual(found["cpuSeconds"], 0)
        self.assertGreater(found["memoryBytes"], 1 << 20)
        self.assertLess(abs(found["memoryGrowthBytes"]), found["memoryBytes"])

    def test_csv_and_page_say_what_the_json_says(self):
        data = self.measured("--csv", self.file("a.csv"), "--html",
                             self.file("a.html"))
        with open(self.file("a.csv"), encoding="utf-8", newline="") as f:
            text = f.read()
        self.assertEqual(text.count("\r\n"), text.count("\n"))
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        self.assertEqual(len(rows), 4)
        for row, found in zip(rows, data["transports"]):
            for name in ("transport", "published", "received", "missing",
                         "duplicates", "late", "requests"):
                self.assertEqual(row[name], str(found[name]))
            for bucket in BUCKETS:
                self.assertEqual(row["bytes_" + bucket],
                                 str(found["bytes"][bucket]))
            self.assertEqual(float(row["p99_ms"]), found["latencyMs"]["p99"])
            self.assertEqual(float(row["gateway_cpu_seconds"]),
                             found["gateway"]["cpuSeconds"])
        with open(self.file("a.html"), encoding="utf-8") as f:
            page = Page(f.read())
        self.assertEqual(page.open, [])
        self.assertEqual(page.count("table"), 3)
        self.assertEqual(page.count("svg"), 4)
        # A head, and a row for each transport.
        self.assertEqual(page.count("tr"), 3 * 5)
        for alive in ("script", "link", "img", "iframe", "form", "a"):
            self.assertEqual(page.count(alive), 0)
        for _, attributes in page.tags:
            self.assertFalse([a for a in attributes if a.startswith("on")])
        inside = page.text[page.text.index('{"about"'):]
        self.assertEqual(json.loads(inside), data)

    def test_the_table_is_for_people(self):
        out, err = self.compare("--transports=sse,ws")
        self.assertRegex(out, r"(?m)^sse +20 +60 +0 +0 +0 ")
        self.assertRegex(out, r"(?m)^ws +20 +60 +0 +0 +0 ")
        self.assertIn("CPU ms", out)
        self.assertLess(out.index("\nsse"), out.index("\nws"))
        self.assertIn("sse: 20 published, 60 of 60 received", err)
        out, err = self.compare("--transports=ws", "--quiet", "--csv=-")
        self.assertTrue(out.startswith("transport,published,"))
        self.assertNotIn("60 of 60", err)

    def test_progress_renews_itself_on_a_narrow_terminal(self):
        ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("4H", 20, 40, 0, 0))
        process = subprocess.Popen(
            self.command("--transports=ws,long"), env=lean(dict(os.environ)),
            stdout=subprocess.DEVNULL, stderr=its)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        os.close(its)
        said = b""
        with open(ours, "rb", buffering=0) as terminal:
            while True:
                try:
                    said += terminal.read(4096)
                except OSError:  # nobody has its other end
                    break
        self.assertEqual(process.wait(GUARD), 0)
        lines = said.decode().split("\r\x1b[K")
        self.assertEqual([l for l in lines if len(l) > 39], [])
        self.assertTrue(any(l.startswith("ws: 0.") for l in lines), lines)

    def test_together_all_transports_have_the_same_events(self):
        data = self.measured("--together")
        self.assertTrue(data["together"])
        self.assertIn("--together", data["noGateway"])
        for found in data["transports"]:
            self.check(found)
            self.assertIsNone(found["gateway"]["cpuSeconds"])
            self.assertFalse(found["gateway"]["countsOthers"])
        self.assertEqual(self.gateway.metric("events_published_total"), 20)

    def test_a_stream_that_is_cut_comes_back_and_misses_nothing(self):
        run = self.begin("--duration=1h", "--transports=sse", "--json",
                         self.file("a.json"))
        delivered = 'events_delivered_total', '{transport="sse"}'
        self.gateway.until(lambda: self.gateway.metric(*delivered) >= 6)
        _, answer = self.gateway.api("GET", "/v1/connections")
        self.assertEqual(answer["count"], 3)
        first = answer["connections"][0]["id"]
        self.gateway.api("DELETE", f"/v1/connections/{first}?reconnect=yes")
        self.gateway.until_metric(
            4, "requests_total", '{transport="sse"}')
        now = self.gateway.metric(*delivered)
        self.gateway.until(lambda: self.gateway.metric(*delivered) > now + 6)
        self.assertEqual(self.end(run, signal.SIGINT), 130)
        with open(self.file("a.json"), encoding="utf-8") as f:
            data = json.load(f)
        found, = data["transports"]
        self.assertTrue(data["cutShort"])
        self.assertEqual(found["reconnects"], 1)
        self.assertEqual(found["received"], found["expected"])
        self.assertEqual(found["duplicates"] + found["late"], 0)

    def test_what_was_measured_outlives_the_gateway(self):
        why, found = self.broken_off()
        self.assertIn("operator's API", why)
        self.assertGreaterEqual(found["published"], 1)

    def test_nobody_there_is_told_with_what_to_do(self):
        nobody, = free_ports(1)
        _, err = self.compare("--url", f"http://127.0.0.1:{nobody}",
                              expected=1)
        self.assertIn("Connection refused", err)
        self.assertIn("--url", err)

    def test_without_the_api_nobody_publishes(self):
        nobody, = free_ports(1)
        _, err = self.compare("--api", f"http://127.0.0.1:{nobody}",
                              expected=1)
        self.assertIn("NOT REACHABLE", err)
        self.assertIn("--api", err)
        self.assertIn("the demo answers with 405", err)
        _, err = self.compare("--publisher=api", "--api",
                              f"http://127.0.0.1:{nobody}", expected=1)
        self.assertIn("--api", err)

    def test_what_is_no_gateway_is_told(self):
        public = f"http://127.0.0.1:{self.gateway.plain_port}"
        _, err = self.compare("--api", public, expected=1)
        self.assertIn("--api", err)
        for option, why in (("--url", "ws: what came is no answer"),
                            ("--api", "the operator's API: what came is no")):
            with socket.create_server(("127.0.0.1", 0)) as listener:
                thread = threading.Thread(target=self.greet, args=[listener])
                thread.start()
                port = listener.getsockname()[1]
                _, err = self.compare(option, f"http://127.0.0.1:{port}",
                                      "--subscribers=1", "--transports=ws",
                                      expected=1)
                thread.join(GUARD)
            self.assertIn(why, err)

    @staticmethod
    def greet(listener):
        """As mail servers do, whatever is asked."""
        with listener.accept()[0] as probe, listener.accept()[0] as s:
            probe.recv(1)
            s.recv(65536)
            s.sendall(b"220 mail.example.org ESMTP\r\n\r\n")
            s.recv(65536)

    def test_options_that_are_wrong_say_what_to_write(self):
        for args, advice in ((["--rate=0"], "1 to 10000"),
                             (["--transports=udp"], "ws,sse,long,short"),
                             (["--duration=5"], "unit"),
                             (["--url=127.0.0.1"], "http://HOST:PORT")):
            _, err = self.compare(*args, expected=2)
            self.assertIn(advice, err)
        out, _ = self.compare("--help")
        self.assertIn("--subscribers N", out)

    def test_more_subscribers_than_files_are_told(self):
        for args, need in ((["--transports=sse"], 35), (["--together"], 44)):
            _, err = self.compare(*args, expected=1,
                                  before=open_files(20, need - 1))
            self.assertIn(f"{need - 32} of them need {need} open files, and "
                          f"{need - 1} are allowed", err)
            # As far as it may it helps itself.
            self.compare(*args, before=open_files(20, need))

    def test_a_file_that_cannot_be_written_is_told(self):
        """And before anything is measured for it."""
        _, err = self.compare("--duration=1h", "--json",
                              self.file("no/such/directory"), expected=1)
        self.assertIn("No such file", err)
        for option in ("--csv", "--html"):
            _, err = self.compare("--duration=1h", option, self.gateway.dir,
                                  expected=1)
            self.assertIn("Is a directory", err)

    def test_who_waits_for_a_reader_of_the_report_can_be_ended(self):
        os.mkfifo(self.file("nobody"))
        for number in (signal.SIGINT, signal.SIGTERM):
            process = subprocess.Popen(
                self.command("--transports=ws", "--json",
                             self.file("nobody"), "--quiet"),
                env=lean(dict(os.environ)), text=True,
                stdout=subprocess.PIPE, preexec_fn=heed_interrupts)
            self.addCleanup(process.stdout.close)
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
            for line in process.stdout:
                if line == "The gateway\n":
                    break
            process.send_signal(number)
            self.assertEqual(process.wait(GUARD), -number)

    def test_a_file_is_as_it_was_until_there_is_something_to_write(self):
        old, new = self.file("old.json"), self.file("new.csv")
        with open(old, "w", encoding="utf-8") as f:
            f.write("old")
        self.gateway.kill9()
        self.compare("--json", old, "--csv", new, expected=1)
        with open(old, encoding="utf-8") as f:
            self.assertEqual(f.read(), "old")
        self.assertFalse(os.path.exists(new))


class Losses(Compare):
    conf = Compare.conf + 'channel "*" { history-events = 1 }\n'

    def test_what_history_has_lost_is_missing(self):
        # One answer of a poll has the newest event alone.
        data = self.measured("--transports=short", "--poll-interval=400ms",
                             "--rate=1000", "--grace=500ms", expected=3)
        found, = data["transports"]
        self.assertGreater(found["missing"], 0)
        self.assertEqual(found["missing"] + found["received"],
                         found["expected"])
        self.assertGreater(found["gaps"], 0)
        self.assertFalse(found["clean"])


class Demo(Compare):
    conf = Compare.conf + """
demo = yes
channel "compare-*" { send = publish }
"""

    def test_without_the_api_the_demo_publishes_and_counts(self):
        nobody, = free_ports(1)
        out, err = self.compare("--api", f"http://127.0.0.1:{nobody}",
                                "--json=-")
        self.assertIn("NOT REACHABLE", err)
        data = json.loads(out)
        self.assertEqual(data["publisher"], "demo")
        self.assertIn("not reachable", data["noGateway"])
        for found in data["transports"]:
            self.assertGreater(found["received"], 0)
            self.assertEqual(found["received"], 3 * found["published"])
            self.assertTrue(found["clean"])
            self.assertIsNone(found["gateway"]["cpuSeconds"])
            self.assertIsNone(found["gateway"]["memoryBytes"])
            for bucket in set(BUCKETS) - {"framing"}:
                self.assertEqual(found["gateway"]["bytes"][bucket],
                                 found["bytes"][bucket],
                                 (found["transport"], bucket))
        self.assertRegex(err, r"(?m)^ws +- +- +- +- ")

    def test_what_was_measured_outlives_the_demo(self):
        nobody, = free_ports(1)
        why, found = self.broken_off("--api", f"http://127.0.0.1:{nobody}")
        self.assertIn("the demo", why)
        # It was not asked any more: what one of the three had got of it.
        self.assertLessEqual(found["published"], found["received"])
        self.assertGreaterEqual(found["expected"], found["received"])

    def test_the_demo_may_publish_where_the_api_tells_the_figures(self):
        found, = self.measured("--publisher=demo",
                               "--transports=sse")["transports"]
        self.assertTrue(found["clean"])
        self.assertIsNotNone(found["gateway"]["cpuSeconds"])


class Access(Compare):
    conf = Compare.conf + f"""
api-token = "{TOKEN}"
token-key = {{ "HS256:{tokens.SECRET}" }}
"""

    def test_the_right_tokens_open_all_doors(self):
        with open(self.file("api"), "w", encoding="utf-8") as f:
            f.write(TOKEN + "\n")
        data = self.measured(
            "--api-token-file", self.file("api"), "--channel=room-7",
            "--token", tokens.token(subscribe=["room-7"]))
        for found in data["transports"]:
            self.check(found)

    def test_a_wrong_token_is_told_on_every_transport(self):
        for t in TRANSPORTS:
            _, err = self.compare("--api-token", TOKEN, "--token", "wrong",
                                  "--transports", t, expected=1)
            self.assertRegex(err, rf"(?m)^spillway compare: {t}: .*401.*"
                                  r"--token")

    def test_a_wrong_token_of_the_api_is_told(self):
        for args in ([], ["--api-token", "f" * 32]):
            _, err = self.compare(*args, expected=1)
            self.assertRegex(err, r"401.*--api-token-file")


class Secure(Compare):
    secure = [("localhost",)]

    def test_tls_is_spoken_by_all_transports(self):
        certificate, = self.gateway.certificates
        data = self.measured("--ca-file", certificate.path)
        for found in data["transports"]:
            self.check(found)
        self.assertTrue(data["settings"]["url"].startswith("https://"))
        self.check(self.measured("--insecure",
                                 "--transports=long")["transports"][0])

    def test_a_certificate_that_is_not_trusted_is_told(self):
        _, err = self.compare(expected=1)
        self.assertIn("not trusted", err)
        self.assertIn("--ca-file", err)
        # It is trusted, but not for this name.
        certificate, = self.gateway.certificates
        _, err = self.compare(
            "--ca-file", certificate.path, "--url",
            f"https://127.0.0.1:{int(self.gateway.port)}", expected=1)
        self.assertIn("mismatch", err)

    def test_the_api_may_ask_for_a_certificate(self):
        certificate, = self.gateway.certificates
        port, = free_ports(1)
        ca = authority("ours")
        client = ca.give("client")
        gateway = Gateway(Compare.conf + f"""
api-listen-tls = "127.0.0.1:{port}"
api-client-ca = "{ca.path}"
""", certificates=[certificate])
        self.addCleanup(gateway.close)
        gateway.start()
        args = ["--url", f"https://localhost:{int(gateway.port)}",
                "--api", f"https://localhost:{port}",
                "--ca-file", certificate.path]
        for found in self.measured(*args, "--certificate", client.path,
                                   "--key", client.key)["transports"]:
            self.check(found)
        _, err = self.compare(*args, expected=1)
        self.assertIn("the operator's API", err)
        _, err = self.compare(*args, "--certificate", client.path,
                              expected=1)
        self.assertIn(client.path, err)

    def test_plain_http_at_a_port_for_tls_is_told(self):
        _, err = self.compare(
            "--url", f"http://127.0.0.1:{int(self.gateway.port)}", expected=1)
        self.assertRegex(err, r"ws: answered with 400: .*TLS")


if __name__ == "__main__":
    main()
