"""Starting: what the command line says, who listens where, who is told."""

import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import tempfile
import unittest

from certificates import certificate, trusting
from gateway import (DAEMON, GUARD, EventStream, Gateway, Scenario, SecurePort,
                     TRANSPORTS, Wire, free_ports, main, request_head)


def run(*args):
    """Exit status, standard output and standard error."""
    done = subprocess.run([DAEMON, *args], capture_output=True, text=True,
                          timeout=GUARD, check=False)
    return done.returncode, done.stdout, done.stderr


class CommandLine(unittest.TestCase):
    def setUp(self):
        self.gateway = Gateway()
        self.addCleanup(self.gateway.close)
        self.path = self.gateway.conf_path

    def write(self, text):
        with open(self.path, "w", encoding="utf-8") as f:
            f.write(text)

    def test_version_and_help(self):
        status, out, err = run("--version")
        self.assertEqual((status, err), (0, ""))
        self.assertRegex(out, r"^spillway \d+\.\d+(\.\d+)?\S*\n$")
        for option in ("--help", "-h"):
            status, out, err = run(option)
            self.assertEqual((status, err), (0, ""))
            for name in ("--config", "--test", "--print-config", "--version"):
                self.assertIn(name, out)

    def test_what_is_not_understood_ends_with_the_usage(self):
        for args in (["--nonsense"], ["-x"], ["-c"], ["file"],
                     ["-c", self.path, "file"]):
            status, out, err = run(*args)
            self.assertEqual((status, out), (2, ""), args)
            self.assertIn("Usage: spillway", err)

    def test_a_word_that_is_no_option_is_named(self):
        for args, help_ in ((["stop"], "-c FILE"),
                            (["-t", self.path], "-c FILE"),
                            (["token", "ann"], "--"),
                            (["compare", "--quiet", "here"], "--")):
            status, out, err = run(*args)
            self.assertEqual((status, out), (2, ""), args)
            told, usage = err.split("\n", 1)
            self.assertIn(f'what is "{args[-1]}"? ', told)
            self.assertIn(help_, told)
            self.assertTrue(usage.startswith("Usage: spillway"), err)

    def test_a_sound_file_is_fine(self):
        for option in ("-t", "--test"):
            status, out, err = run(option, "-c", self.path)
            self.assertEqual((status, out, err),
                             (0, f"{self.path}: fine\n", ""))
        # Looking is not touching.
        self.assertFalse(os.path.exists(self.gateway.store))

    def test_all_faults_are_told_at_once_with_their_places(self):
        self.write('listen = { "here" }\nworkers = 900\nheart-beat = "1s"\n'
                   'store = \n')
        faults = None
        for args, expected in ((["-t"], 1), ([], 2), (["--print-config"], 2)):
            status, out, err = run(*args, "-c", self.path)
            self.assertEqual((status, out), (expected, ""), args)
            for line, name in ((1, "listen"), (2, "workers"),
                               (3, "heart-beat")):
                self.assertRegex(err, re.escape(f"{self.path}:{line}:") +
                                 ".*" + name)
            self.assertIn("heartbeat", err)
            self.assertEqual(faults or err, err)
            faults = err

    def test_a_file_that_is_not_there_is_named(self):
        for args in ([], ["-t"], ["--print-config"]):
            status, _, err = run(*args, "-c", self.path + ".missing")
            self.assertNotEqual(status, 0)
            self.assertIn(self.path + ".missing", err)

    def test_what_is_printed_loads_to_the_same(self):
        self.gateway.configure("""
message-max = "123k"   # a comment
api-token = { "0123456789abcdef", "fedcba9876543210" }
channel "room-*" { history-events = 5  send = publish }
channel "z*" { durability = full }
""")
        status, first, err = run("--print-config", "-c", self.path)
        self.assertEqual((status, err), (0, ""))
        # Everything is there, what was set and what was not.
        for text in ("message-max", "heartbeat", "room-*",
                     str(self.gateway.port), "store-readers"):
            self.assertIn(text, first)
        self.write(first)
        status, second, err = run("--print-config", "-c", self.path)
        self.assertEqual((status, err, second), (0, "", first))
        self.assertEqual(run("-t", "-c", self.path)[0], 0)

    def test_what_is_in_effect_may_be_large(self):
        """A block of a few bytes is many lines of it."""
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as f:
            for n in range(6000):
                f.write(f'channel "{n}" {{}}\n')
            f.flush()
            status, out, err = run("-c", f.name, "--print-config")
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(out.count("\nchannel "), 6000)

    def test_what_nobody_could_read_is_no_success(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            for arguments in (["--print-config"], ["-t"], ["--version"],
                              ["--help"]):
                done = subprocess.run(
                    [DAEMON, "-c", os.devnull, *arguments], stdout=full,
                    stderr=subprocess.PIPE, text=True, timeout=GUARD,
                    check=False)
                self.assertEqual(done.returncode, 1, arguments)
                self.assertIn("No space left on device", done.stderr)

    def test_an_open_door_without_a_decision_is_refused(self):
        self.write('listen = { "0.0.0.0:0" }\n')
        status, _, err = run("-t", "-c", self.path)
        self.assertEqual(status, 1)
        self.assertIn("anonymous", err)
        for text in ('api-listen = { "0.0.0.0:0" }\n',
                     'api-listen = { ":0" }\napi-token = {}\n',
                     'api-listen = { "127.0.0.1:0", "[::]:0" }\n'
                     'anonymous = yes\n'):
            self.write(text)
            status, _, err = run("-t", "-c", self.path)
            self.assertEqual(status, 1)
            self.assertIn("api-token", err)
            # Not only when it is asked to check.
            self.assertEqual(run("-c", self.path), (2, "", err))
        self.write('api-listen = { "0.0.0.0:0" }\n'
                   'api-token = "0123456789abcdef"\n')
        self.assertEqual(run("-t", "-c", self.path)[0], 0)


class InTheWay(Scenario):
    """Whatever is in the way is named, and whoever was first is not hurt."""

    def start_other(self, **options):
        other = Gateway(**options)
        self.addCleanup(other.close)
        return other

    def fails(self, other):
        other.start(expect_failure=True)
        self.assertEqual(other.wait_end(), 1)
        return "\n".join(other.lines)

    def works(self):
        id = self.gateway.publish("a", 1)["id"]
        self.assertEqual(self.gateway.poll("a", last=1)["cursor"], id)

    def test_a_port_that_somebody_listens_on(self):
        for shared in (False, True):
            with socket.socket() as s:
                if shared:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                s.bind(("127.0.0.1", 0))
                s.listen()
                other = self.start_other()
                other.plain_port = s.getsockname()[1]
                other.configure("")
                self.assertRegex(self.fails(other),
                                 f"error listen 127.0.0.1:{other.port}: .*"
                                 "Address already in use")

    def test_the_ports_of_another_gateway_are_not_shared(self):
        """Else each of the two would have half of the clients."""
        for which in ("plain_port", "api_port"):
            other = self.start_other()
            setattr(other, which, getattr(self.gateway, which))
            other.configure("")
            self.assertIn("Address already in use", self.fails(other))
            self.works()

    def test_any_free_port_is_one_for_all_workers_and_told(self):
        """What the log says can be written into a client."""
        g = Gateway(workers=4)
        self.addCleanup(g.close)
        g.plain_port = g.api_port = 0
        g.configure('listen += "[::1]:0"')
        g.start()
        told = [re.search(r"address=(.*):(\d+)$", line).groups()
                for line in g.lines if " listening " in line]
        self.assertEqual([place for place, _ in told],
                         ["127.0.0.1", "[::1]", "127.0.0.1"])
        with socket.create_connection(("::1", int(told[1][1])), GUARD):
            pass
        g.plain_port, g.api_port = int(told[0][1]), int(told[2][1])
        streams = [EventStream(g.port, "/stream/a") for _ in range(40)]
        for s in streams:
            self.addCleanup(s.close)
            self.assertEqual(s.block()[0], "spillway.hello")
        _, answer = g.get("/v1/connections", api=True)
        self.assertGreater(
            len({c["worker"] for c in answer["connections"]}), 1)

    def test_an_address_that_is_not_ours(self):
        other = self.start_other()
        other.configure('anonymous = yes')
        with open(other.conf_path, encoding="utf-8") as f:
            text = f.read()
        with open(other.conf_path, "w", encoding="utf-8") as f:
            f.write(text.replace(f"127.0.0.1:{other.port}",
                                 f"192.0.2.1:{other.port}"))
        self.assertRegex(self.fails(other),
                         rf"error listen 192\.0\.2\.1:{other.port}: ")

    def test_the_store_of_another_gateway(self):
        other = self.start_other(store=self.gateway.store)
        self.assertRegex(
            self.fails(other),
            re.escape(self.gateway.store) + ".*in use by process "
            f"{self.gateway.process.pid}")
        self.works()
        # And when that one has ended, however, this one may.
        ids = [e["id"] for e in
               self.gateway.poll("a", after="start")["events"]]
        self.gateway.kill9()
        other.start()
        self.assertEqual([e["id"] for e in
                          other.poll("a", after="start")["events"]], ids)
        self.assertIn("in use by", self.fails(self.gateway))

    def test_a_store_has_one_gateway_whatever_name_it_goes_by(self):
        """Two of them would acknowledge two events with one id."""
        g = self.gateway
        names = [g.dir + "/link.db", g.dir + "/farther.db"]
        for target, name in zip([g.store] + names, names):
            os.symlink(target, name)
        by_link, farther = (self.start_other(store=name) for name in names)
        for other in (by_link, farther):
            self.assertIn(f"in use by process {g.process.pid}",
                          self.fails(other))
        self.works()
        g.kill9()
        by_link.start()
        for other in (g, farther):
            self.assertIn(f"in use by process {by_link.process.pid}",
                          self.fails(other))
        self.assertEqual(len(by_link.poll("a", after="start")["events"]), 1)

    def test_hard_links_are_warned_of(self):
        g = self.gateway
        os.link(g.store, g.dir + "/other.db")
        g.restart()
        g.wait_log(f"warn store: {g.store} has other names")

    def test_other_programs_find_the_store_locked_unless_it_is_shared(self):
        def rows():
            db = sqlite3.connect(g.store, timeout=0)
            try:
                return db.execute("SELECT count(*) FROM log").fetchall()
            finally:
                db.close()

        g = self.start_other()
        g.configure("store-shared = no")
        g.start()
        g.publish("a", 1)
        with self.assertRaisesRegex(sqlite3.OperationalError, "locked"):
            rows()
        # That somebody has asked changes nothing.
        g.publish("a", 2)
        self.assertEqual(
            [e["data"] for e in g.poll("a", after="start")["events"]], [1, 2])
        g.kill9()
        self.assertEqual(rows(), [(2,)])
        g.configure("")
        g.start()
        g.publish("a", 3)
        self.assertEqual(rows(), [(3,)])
        g.kill9()
        g.configure("store-shared = no")
        g.start()
        self.assertEqual(
            [e["data"] for e in g.poll("a", after="start")["events"]],
            [1, 2, 3])

    def test_a_directory_that_does_not_exist(self):
        other = self.start_other()
        other.store = other.dir + "/no/such/place.db"
        other.configure("")
        self.assertRegex(self.fails(other), re.escape(other.dir + "/no/such") +
                         " does not exist: create it")

    @unittest.skipUnless(os.geteuid() == 0, "only root becomes somebody else")
    def test_a_directory_that_cannot_be_reached(self):
        """It does exist: who reads otherwise would look for it in vain."""
        other = self.start_other()
        other.store = other.dir + "/closed/state/spillway.db"
        os.makedirs(other.dir + "/closed/state")
        os.chmod(other.dir, 0o755)
        os.chmod(other.dir + "/closed", 0o700)
        other.configure("")
        other.wrap = ["setpriv", "--reuid", "65534", "--clear-groups"]
        log = self.fails(other)
        self.assertIn("Permission denied", log)
        self.assertNotIn("does not exist", log)

    def test_a_lock_that_cannot_be_opened(self):
        g = self.gateway
        g.stop()
        os.remove(g.store + ".lock")
        os.mkdir(g.store + ".lock")
        g.start(expect_failure=True)
        self.assertEqual(g.wait_end(), 1)
        g.wait_log(f"error store: {g.store}: cannot open its .lock: "
                   "Is a directory")

    def test_a_database_of_another_program(self):
        other = self.start_other()
        db = sqlite3.connect(other.store)
        db.execute("CREATE TABLE theirs (x)")
        db.commit()
        db.close()
        with open(other.store, "rb") as f:
            theirs = f.read()
        self.assertIn("database of another program", self.fails(other))
        with open(other.store, "rb") as f:
            self.assertEqual(f.read(), theirs)

    def test_files_of_a_newer_release(self):
        g = self.gateway
        g.stop()
        g.configure('backend = "http://127.0.0.1:1"')
        g.start()
        g.stop()
        for suffix in ("", "-outbox"):
            with self.subTest(suffix):
                db = sqlite3.connect(g.store + suffix)
                version = db.execute("PRAGMA user_version").fetchone()[0]
                db.execute("PRAGMA user_version = 1000")
                g.start(expect_failure=True)
                self.assertEqual(g.wait_end(), 1)
                g.wait_log(re.escape(g.store + suffix) + ": .*newer Spillway")
                db.execute(f"PRAGMA user_version = {version}")
                db.close()
        g.start()
        self.works()


class LocalSockets(unittest.TestCase):
    """Unix sockets, for both listeners."""

    def setUp(self):
        self.gateway = g = Gateway()
        self.addCleanup(g.close)
        self.public, self.api = g.dir + "/public", g.dir + "/api"
        g.configure("")
        with open(g.conf_path, encoding="utf-8") as f:
            text = f.read()
        text = text.replace(f"127.0.0.1:{g.port}", "unix:" + self.public)
        text = text.replace(f"127.0.0.1:{g.api_port}", "unix:" + self.api)
        with open(g.conf_path, "w", encoding="utf-8") as f:
            f.write(text)
        g.start()

    def ask(self, path, method, target, body=None):
        c = http.client.HTTPConnection("localhost", timeout=GUARD)
        c.sock = socket.socket(socket.AF_UNIX)
        c.sock.settimeout(GUARD)
        c.sock.connect(path)
        c.request(method, target, body)
        r = c.getresponse()
        answer = r.status, json.loads(r.read())
        c.close()
        return answer

    def test_both_speak_as_they_do_over_tcp(self):
        status, receipt = self.ask(self.api, "POST",
                                   "/v1/channels/a/events", '{"n":1}')
        self.assertEqual(status, 201)
        status, answer = self.ask(self.public, "GET",
                                  "/stream/a?after=start")
        self.assertEqual([e["id"] for e in answer["events"]],
                         [receipt["id"]])
        self.assertEqual(self.ask(self.api, "GET", "/v1/channels")[0], 200)
        self.assertEqual(self.ask(self.public, "GET", "/v1/channels")[0], 404)

    def test_a_socket_left_by_a_crash_is_no_obstacle(self):
        self.gateway.kill9()
        self.assertTrue(os.path.exists(self.public))
        self.gateway.start()
        self.assertEqual(self.ask(self.public, "GET", "/stream/a")[0], 200)

    def test_a_socket_in_use_is_not_taken_away(self):
        other = Gateway()
        self.addCleanup(other.close)
        with open(other.conf_path, encoding="utf-8") as f:
            text = f.read()
        with open(other.conf_path, "w", encoding="utf-8") as f:
            f.write(text.replace(f"127.0.0.1:{other.port}",
                                 "unix:" + self.public))
        other.start(expect_failure=True)
        self.assertEqual(other.wait_end(), 1)
        self.assertIn("Address already in use", "\n".join(other.lines))
        self.assertEqual(self.ask(self.public, "GET", "/stream/a")[0], 200)

    def test_their_permissions_are_those_of_the_configuration(self):
        def modes():
            return [stat.S_IMODE(os.stat(p).st_mode)
                    for p in (self.public, self.api)]

        # As with loopback for the world, but operators have to be chosen.
        self.assertEqual(modes(), [0o666, 0o600])
        self.gateway.stop()
        with open(self.gateway.conf_path, "a", encoding="utf-8") as f:
            f.write('listen-socket-mode = "0600"\n'
                    'api-socket-mode = "0660"\n')
        # Whatever files are made with here.
        old = os.umask(0o077)
        try:
            self.gateway.start()
        finally:
            os.umask(old)
        self.assertEqual(modes(), [0o600, 0o660])
        self.assertEqual(self.ask(self.public, "GET", "/stream/a")[0], 200)

    def test_a_file_that_is_no_socket_is_not_touched(self):
        self.gateway.stop()
        os.unlink(self.public)
        with open(self.public, "w", encoding="ascii") as f:
            f.write("precious")
        self.gateway.start(expect_failure=True)
        self.assertEqual(self.gateway.wait_end(), 1)
        with open(self.public, encoding="ascii") as f:
            self.assertEqual(f.read(), "precious")


class Notify(unittest.TestCase):
    """What systemd is told, as sd_notify(3) has it."""

    def gateway(self, name):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(s.close)
        s.settimeout(GUARD)
        if name == "abstract":
            s.bind(f"\0spillway-test-{os.getpid()}")
            path = f"@spillway-test-{os.getpid()}"
            g = Gateway(env={"NOTIFY_SOCKET": path})
        else:
            g = Gateway()
            path = g.dir + "/notify"
            s.bind(path)
            g.env["NOTIFY_SOCKET"] = path
        self.addCleanup(g.close)
        return g, s

    @staticmethod
    def told(s):
        return dict(line.split("=", 1)
                    for line in s.recv(4096).decode().split("\n"))

    def test_it_hears_of_the_start_every_reload_and_the_end(self):
        for name in ("path", "abstract"):
            g, s = self.gateway(name)
            g.start(expect_failure=True)
            self.assertEqual(self.told(s)["READY"], "1")
            # From that moment on everybody is served.
            self.assertEqual(g.request("GET", "/readyz")[0], 200)
            for conf in ("", "nonsense = 1", ""):
                g.configure(conf)
                g.signal(signal.SIGHUP)
                reloading = self.told(s)
                self.assertEqual(reloading["RELOADING"], "1")
                # Type=notify-reload wants the time as well.
                self.assertGreater(int(reloading["MONOTONIC_USEC"]), 0)
                self.assertEqual(self.told(s)["READY"], "1")
            with open(g.conf_path, encoding="ascii") as f:
                conf = f.read()
            with open(g.conf_path, "w", encoding="ascii") as f:
                f.write(conf.replace("300ms", "9m"))
            g.signal(signal.SIGHUP)
            for state in ("RELOADING", "READY"):
                self.assertEqual(self.told(s)[state], "1")
            g.signal(signal.SIGTERM)
            stopping = self.told(s)
            self.assertEqual(stopping["STOPPING"], "1")
            # Or it would be killed while its clients are still told.
            self.assertGreater(int(stopping["EXTEND_TIMEOUT_USEC"]),
                               9 * 60 * 1000000)
            self.assertEqual(g.wait_end(), 0)

    def test_the_watchdog_is_fed(self):
        g, s = self.gateway("path")
        g.env["WATCHDOG_USEC"] = "200000"
        g.start(expect_failure=True)
        self.assertEqual(self.told(s)["READY"], "1")
        for _ in range(5):
            self.assertEqual(self.told(s)["WATCHDOG"], "1")
        g.stop()

    def test_another_ones_watchdog_is_not_ours(self):
        g, s = self.gateway("path")
        g.env["WATCHDOG_USEC"] = "4000"
        g.env["WATCHDOG_PID"] = "1"
        g.start(expect_failure=True)
        self.assertEqual(self.told(s)["READY"], "1")
        g.signal(signal.SIGHUP)
        self.assertEqual(self.told(s)["RELOADING"], "1")
        self.assertEqual(self.told(s)["READY"], "1")
        g.signal(signal.SIGTERM)
        self.assertEqual(self.told(s)["STOPPING"], "1")
        self.assertEqual(g.wait_end(), 0)

    def test_a_start_that_fails_is_never_ready(self):
        g, s = self.gateway("path")
        g.store = g.dir + "/no/such.db"
        g.configure("")
        g.start(expect_failure=True)
        self.assertEqual(g.wait_end(), 1)
        s.setblocking(False)
        with self.assertRaises(BlockingIOError):
            s.recv(4096)


# Takes its place before the daemon, as systemd does: descriptors from 3 on.
ACTIVATE = """
import os, sys
names, count = sys.argv[1], int(sys.argv[2])
fds = [int(fd) for fd in sys.argv[3:3 + count]]
spare = [os.dup(fd) for fd in fds]
for i, fd in enumerate(spare):
    os.dup2(fd, 3 + i)
    os.set_inheritable(3 + i, True)
os.environ.update(LISTEN_FDS=str(count), LISTEN_PID=str(os.getpid()))
if names:
    os.environ["LISTEN_FDNAMES"] = names
os.execv(sys.argv[3 + count], sys.argv[3 + count:])
"""


class Activation(unittest.TestCase):
    """Sockets that somebody else has opened, and keeps."""

    def activated(self, names, count, address="127.0.0.1", **options):
        sockets = []
        for _ in range(count):
            s = socket.socket()
            s.bind((address, 0))
            s.listen(64)
            self.addCleanup(s.close)
            sockets.append(s)
        # Far from 3, where they are wanted.
        fds = [os.dup(s.fileno()) for s in sockets]
        for fd in fds:
            os.set_inheritable(fd, True)
            self.addCleanup(os.close, fd)
        g = Gateway(wrap=[sys.executable, "-c", ACTIVATE, names, str(count)] +
                    [str(fd) for fd in fds], **options)
        g.pass_fds = fds
        self.addCleanup(g.close)
        return g, [s.getsockname()[1] for s in sockets]

    @staticmethod
    def listens(port):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    def test_named_sockets_take_the_place_of_the_addresses(self):
        g, (public, api) = self.activated("public:api", 2)
        early = http.client.HTTPConnection("127.0.0.1", public,
                                           timeout=GUARD)
        # Who comes before the daemon does waits for it.
        early.request("GET", "/readyz")
        configured = g.port, g.api_port
        g.plain_port, g.api_port = public, api
        g.start()
        self.assertEqual(early.getresponse().status, 200)
        early.close()
        for port in configured:
            self.assertFalse(self.listens(port))
        subscribers = [t(g, "a", "start") for t in TRANSPORTS]
        ids = [g.publish("a", n)["id"] for n in range(10)]
        for s in subscribers:
            self.assertEqual([e["id"] for e in s.events(10)], ids)
            s.close()

    def test_a_socket_without_a_name_is_the_public_one(self):
        for names in ("", "spillway.socket"):
            g, (public,) = self.activated(names, 1)
            api = g.api_port
            g.plain_port = public
            g.start()
            self.assertTrue(self.listens(api))
            self.assertEqual(g.poll("a")["events"], [])
            g.stop()

    def test_there_are_16_of_a_name(self):
        g, ports = self.activated("", 16)
        g.plain_port = ports[0]
        g.start()
        for port in ports:
            self.assertTrue(self.listens(port))
        g.stop()
        g, _ = self.activated("", 17)
        g.start(expect_failure=True)
        self.assertEqual(g.wait_end(), 1)
        g.wait_log("pass 16 of that name at most, not 17")

    def test_a_socket_named_tls_speaks_it(self):
        g, (port,) = self.activated("tls", 1, certificates=[certificate()])
        g.secure_port = SecurePort(port, g.secure_port.context)
        g.start()
        self.assertEqual(g.poll("a")["events"], [])
        with Wire(port) as w:
            w.send(request_head("/stream/a"))
            self.assertEqual(w.response()[0], 400)

    def test_every_kind_of_address_has_its_name(self):
        used = [certificate()]
        g, (redirect, api) = self.activated("redirect:api-tls", 2,
                                            certificates=used)
        g.configure("redirect-port = 444\n")
        g.start()
        with Wire(redirect) as w:
            w.send(request_head("/x"))
            status, headers, _ = w.response()
        self.assertEqual((status, headers["location"]),
                         (301, "https://test:444/x"))
        with Wire(SecurePort(api, trusting(*used))) as w:
            w.send(request_head("/v1/stats"))
            self.assertEqual(w.response()[0], 200)
        with Wire(api) as w:
            w.send(request_head("/v1/stats"))
            self.assertEqual(w.response()[0], 400)

    def test_an_open_one_needs_a_decision_too(self):
        token = 'api-token = "0123456789abcdef"\n'
        for name, decision in (("api", token), ("public", "anonymous = yes\n"),
                               ("public", f'token-key = "HS256:{"k" * 32}"')):
            g, _ = self.activated(name, 1, "0.0.0.0")
            g.start(expect_failure=True)
            self.assertEqual(g.wait_end(), 1)
            self.assertIn(decision.split(" ")[0], "".join(
                l for l in g.lines if "others reach it" in l))
            g.configure(decision)
            g.start()
            # Nor does a reload take it back.
            g.configure("")
            g.signal(signal.SIGHUP)
            g.wait_log("error reload: the old configuration stays in use")
            self.assertEqual(g.stop(), 0)

    def test_that_the_backend_is_asked_is_a_decision(self):
        g, _ = self.activated("public", 1, "0.0.0.0")
        g.configure('backend = "http://127.0.0.1:9"\n'
                    f'bridge-secret = "whsec_{"A" * 32}"\n'
                    'bridge-connect = yes')
        g.start()
        self.assertEqual(g.stop(), 0)

    def test_between_two_daemons_nobody_is_turned_away(self):
        g, (public, api) = self.activated("public:api", 2)
        g.plain_port, g.api_port = public, api
        g.start()
        g.stop()
        # Nobody serves it now, and still it takes connections.
        early = http.client.HTTPConnection("127.0.0.1", public,
                                           timeout=GUARD)
        early.request("GET", "/healthz")
        g.start()
        self.assertEqual(early.getresponse().status, 200)
        early.close()

    def test_what_is_no_socket_is_told(self):
        g = Gateway(wrap=[sys.executable, "-c", """
import os, sys
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
fd = os.open("/dev/null", os.O_RDWR)
os.dup2(fd, 3)
os.set_inheritable(3, len(sys.argv[1]) > 0)
os.execv(sys.argv[2], sys.argv[2:])
""", ""])
        self.addCleanup(g.close)
        for inherited in ("", "yes"):
            g.wrap[3] = inherited
            g.start(expect_failure=True)
            self.assertEqual(g.wait_end(), 1)
            self.assertTrue(any("error listen" in l for l in g.lines),
                            g.lines)

    def test_descriptors_for_another_process_are_left_alone(self):
        port, api = free_ports(2)
        g = Gateway(env={"LISTEN_PID": "1", "LISTEN_FDS": "2"})
        self.addCleanup(g.close)
        g.plain_port, g.api_port = port, api
        g.configure("")
        g.start()
        self.assertEqual(g.poll("a")["events"], [])


if __name__ == "__main__":
    main()
