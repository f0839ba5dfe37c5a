"""The process: who it is, what it may do, and what it leaves behind."""

import glob
import grp
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import unittest

from bridge_backend import SECRET
from certificates import certificate
from gateway import DAEMON, GUARD, Gateway, TRANSPORTS, free_ports, main
from post import Publisher

USER = "nobody"
IS_ROOT = os.geteuid() == 0
UNIT = os.path.join(os.path.dirname(os.path.abspath(DAEMON)), "conf",
                    "spillway.service")
# Of 100; below is better. What is left is the network, which it is there for.
EXPOSURE_MAX = 12


def low_port():
    """A port that only root may listen on, and nobody does."""
    for port in range(1023, 512, -1):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError("no port below 1024 is free")


def identities(pid):
    """What all threads have in common in /proc, by name."""
    threads = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status",
                  encoding="ascii") as f:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in f
                          if ":\t" in line)
        threads.append({name: status[name].split() for name in (
            "Uid", "Gid", "Groups", "CapPrm", "CapEff", "CapInh", "CapAmb",
            "NoNewPrivs")})
    assert len(threads) > 2
    for other in threads[1:]:
        assert other == threads[0], threads
    return threads[0]


@unittest.skipUnless(IS_ROOT, "only root can become somebody else")
class Becoming(unittest.TestCase):
    def setUp(self):
        self.entry = pwd.getpwnam(USER)
        self.group = grp.getgrgid(self.entry.pw_gid).gr_name

    def gateway(self, conf="", user=USER, **options):
        g = Gateway(**options)
        self.addCleanup(g.close)
        # For the user to reach the configuration and the store.
        os.chmod(g.dir, 0o755)
        g.store = g.dir + "/state/spillway.db"
        g.configure(conf + (f'user = "{user}"\n' if user else ""))
        return g

    def check_everything_works(self, g):
        g.publish("a", 1)
        for transport in TRANSPORTS:
            s = transport(g, "a", "start")
            s.event()
            s.close()

    def owners(self, g):
        paths = [g.dir + "/state"]
        for directory, names, files in os.walk(g.dir + "/state"):
            paths += [os.path.join(directory, n) for n in names + files]
        return {(os.stat(p).st_uid, os.stat(p).st_gid) for p in paths}

    def mine(self, group=None):
        gid = grp.getgrnam(group).gr_gid if group else self.entry.pw_gid
        return {(self.entry.pw_uid, gid)}

    def check_became(self, g, gid=None):
        uid = str(self.entry.pw_uid)
        gid = str(self.entry.pw_gid if gid is None else gid)
        now = identities(g.process.pid)
        self.assertEqual(now["Uid"], [uid] * 4)
        self.assertEqual(now["Gid"], [gid] * 4)
        for sort in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
            self.assertEqual(int(now[sort][0], 16), 0, sort)
        self.assertEqual(now["NoNewPrivs"], ["1"])
        return now

    def test_a_port_of_roots_and_then_somebody_else(self):
        g = self.gateway()
        g.plain_port = low_port()
        g.configure(f'user = "{USER}"\n')
        g.start()
        g.wait_log(f"info process became user={USER} ")
        self.check_became(g)
        self.check_everything_works(g)
        g.publish("a", "x" * 20000)
        self.assertEqual(self.owners(g), self.mine())
        g.restart()
        self.check_everything_works(g)
        self.assertEqual(g.stop(), 0)

    def test_a_group_of_its_own_and_numbers(self):
        daemon = grp.getgrnam("daemon").gr_gid
        g = self.gateway('group = "daemon"\n')
        g.start()
        self.check_became(g, daemon)
        self.assertEqual(self.owners(g), self.mine("daemon"))
        g.stop()
        g = self.gateway(f'group = "{daemon}"\n', str(self.entry.pw_uid))
        g.start()
        self.check_became(g, daemon)
        # Root's groups have not come along.
        g = self.gateway(user="4242")
        g.start()
        now = identities(g.process.pid)
        self.assertEqual((now["Uid"], now["Gid"], now["Groups"]),
                         (["4242"] * 4, ["4242"] * 4, ["4242"]))
        self.check_everything_works(g)

    def test_a_store_that_root_has_used_before(self):
        g = self.gateway(user=None)
        os.mkdir(g.dir + "/state")
        g.start()
        g.wait_log("warn process: this runs as root: write user = ")
        ids = [g.publish("a", "x" * size)["id"] for size in (10, 20000)]
        # Those that come closely are in the tail, which a kill leaves there.
        with Publisher(g) as p:
            while not os.path.exists(g.store + "-tail"):
                ids.append(p.publish("a", "1")[2]["id"])
        g.kill9()
        self.assertIn((0, 0), self.owners(g))
        self.assertTrue(os.path.exists(g.store + "-tail"))
        os.chown(g.dir + "/state", self.entry.pw_uid, self.entry.pw_gid)
        g.configure(f'user = "{USER}"\n')
        g.start()
        self.assertEqual([e["id"] for e in g.poll(
            "a", after="start")["events"]], ids)
        g.publish("a", "y" * 20000)
        self.assertEqual(self.owners(g), self.mine())

    def test_files_elsewhere_stay_whose_they_are(self):
        """Though the user puts links to them where the store's are."""
        g = self.gateway()
        state = g.dir + "/state/"
        os.mkdir(state)
        victims = [g.dir + "/victim-" + sort for sort in ("soft", "hard")]
        for path in victims:
            with open(path, "w", encoding="ascii") as f:
                f.write("precious")
            os.chmod(path, 0o600)
        os.symlink(victims[0], state + "spillway.db.lock")
        os.link(victims[1], state + "spillway.db-wal")
        os.symlink(g.dir, state + "spillway.db-payloads")
        os.chown(state, self.entry.pw_uid, self.entry.pw_gid)
        g.start(expect_failure=True)
        self.assertEqual(g.wait_end(), 1)
        for path in victims + [g.dir, g.conf_path]:
            self.assertEqual(os.stat(path).st_uid, 0, path)
        for path in victims:
            with open(path, encoding="ascii") as f:
                self.assertEqual(f.read(), "precious")

    def test_a_directory_of_somebody_else_is_told(self):
        g = self.gateway()
        os.mkdir(g.dir + "/state")
        g.start(expect_failure=True)
        self.assertEqual(g.wait_end(), 1)
        g.wait_log(f"error store: user={USER} cannot write into .*chown")

    def test_sockets_in_files_are_the_users(self):
        g = self.gateway()
        path = g.dir + "/api.socket"
        g.configure(f'user = "{USER}"\napi-listen += "unix:{path}"\n'
                    "api-socket-mode = 0660\n")
        g.start()
        s = os.stat(path)
        self.assertEqual((s.st_uid, s.st_gid, stat.S_IMODE(s.st_mode)),
                         (self.entry.pw_uid, self.entry.pw_gid, 0o660))

    def test_reload_goes_on_working(self):
        g = self.gateway("message-max = 1k\n")
        g.start()
        self.assertFalse([l for l in g.lines if "SIGHUP" in l])
        self.assertEqual(g.api("POST", "/v1/channels/a/events",
                               "x" * 2000)[0], 413)
        g.configure(f'message-max = 4k\nuser = "{USER}"\n')
        g.signal(signal.SIGHUP)
        g.wait_log("info configuration reloaded$")
        g.publish("a", "x" * 2000)
        # Whom to be is for a start to decide.
        g.configure('user = "daemon"\n')
        g.signal(signal.SIGHUP)
        g.wait_log("warn reload: a restart is needed for: .*user")
        self.check_became(g)

    def test_keys_that_only_root_can_read_are_told_at_the_start(self):
        old, new = certificate(version=21), certificate(version=22)
        g = self.gateway(certificates=[old])
        for n, c in enumerate((old, new)):
            shutil.copy(c.path, f"{g.dir}/{n}.pem")
            shutil.copy(c.key, f"{g.dir}/{n}.key")
            os.chmod(f"{g.dir}/{n}.key", 0o600)
        g.certificates[0].path, g.certificates[0].key = (
            g.dir + "/now.pem", g.dir + "/now.key")
        try:
            for end in (".pem", ".key"):
                shutil.copy(g.dir + "/0" + end, g.dir + "/now" + end)
            os.chmod(g.dir + "/now.key", 0o600)
            g.configure(f'user = "{USER}"\n')
            g.start()
            g.wait_log("warn SIGHUP will change nothing")
            g.signal(signal.SIGHUP)
            g.wait_log("error reload: the certificates cannot be used")
            self.check_everything_works(g)
            # Now it may.
            for end in (".pem", ".key"):
                shutil.copy(g.dir + "/1" + end, g.dir + "/now" + end)
                shutil.chown(g.dir + "/now" + end, USER)
            g.signal(signal.SIGHUP)
            g.wait_log("info configuration reloaded$")
            with socket.create_connection(("127.0.0.1", int(g.port))) as s:
                context = g.secure_port.context
                context.load_verify_locations(new.path)
                with context.wrap_socket(
                        s, server_hostname="localhost") as tls:
                    self.assertEqual(tls.getpeercert(True), new.der())
        finally:
            certificate.cache_clear()

    def test_a_configuration_that_only_root_can_read(self):
        g = self.gateway()
        os.chmod(g.conf_path, 0o600)
        g.start()
        g.wait_log("warn SIGHUP will change nothing")
        g.signal(signal.SIGHUP)
        g.wait_log("error reload: the configuration has faults; the old")
        self.check_everything_works(g)

    def test_users_that_it_cannot_become(self):
        for conf, text in (
                ('user = "nobody-of-that-name"', "there is no such user"),
                ('user = "root"', "that is root"),
                ('user = "0"', "that is root"),
                (f'user = "{USER}" group = "no-such-group"',
                 "there is no such group"),
                ('group = "daemon"', "write user = ")):
            g = self.gateway(conf + "\n", user=None)
            g.start(expect_failure=True)
            self.assertEqual(g.wait_end(), 1)
            g.wait_log("error .*" + text)
            done = subprocess.run([DAEMON, "-t", "-c", g.conf_path],
                                  capture_output=True, text=True,
                                  timeout=GUARD, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn(text, done.stderr)

    def as_user(self, g, *options):
        g.wrap = ["setpriv", f"--reuid={USER}", f"--regid={self.group}",
                  "--clear-groups", *options, "--"]
        os.mkdir(g.dir + "/state")
        shutil.chown(g.dir + "/state", USER, self.group)

    def test_who_is_not_root_cannot_become_another(self):
        g = self.gateway(user="daemon")
        self.as_user(g)
        g.start(expect_failure=True)
        self.assertEqual(g.wait_end(), 1)
        g.wait_log("error process: cannot become user=daemon: start it as")

    def test_who_is_the_user_already_stays_it(self):
        g = self.gateway()
        self.as_user(g)
        g.start()
        self.check_became(g)
        self.check_everything_works(g)

    def test_a_capability_to_listen_is_given_up_afterwards(self):
        g = self.gateway()
        g.plain_port = low_port()
        g.configure("")
        self.as_user(g, "--inh-caps=+net_bind_service",
                     "--ambient-caps=+net_bind_service")
        g.start()
        self.check_became(g)
        self.check_everything_works(g)

    def test_memory_is_for_nobody_to_see(self):
        """What may not be dumped is root's in /proc, see proc(5)."""
        for conf, owner in (("", 0), ("core-dumps = yes\n",
                                      self.entry.pw_uid)):
            g = self.gateway(conf)
            g.start()
            pid = g.process.pid
            self.assertEqual(os.stat(f"/proc/{pid}/environ").st_uid, owner)
            _, metrics = g.get("/metrics", api=True)
            fds = re.search(rb"^process_open_fds (\d+)$", metrics, re.M)
            self.assertGreater(int(fds.group(1)), 8)
            g.stop()


class Files(unittest.TestCase):
    def test_the_store_is_not_for_everybody_to_read(self):
        """Whatever the umask, and whichever of its files has a payload."""
        backend, = free_ports(1)
        g = Gateway(f"""
backend = "http://127.0.0.1:{backend}"
bridge-secret = "{SECRET}"
""", wrap=["sh", "-c", 'umask 0 && exec "$@"', "sh"])
        self.addCleanup(g.close)
        g.start()
        g.publish("a", 1)
        g.publish("a", "x" * 100000)
        modes = {path: stat.S_IMODE(os.stat(path).st_mode)
                 for path in glob.glob(g.store + "*") +
                 glob.glob(g.store + "*/*")}
        self.assertTrue({g.store, g.store + "-outbox"} <= set(modes))
        self.assertEqual({path: oct(mode) for path, mode in modes.items()
                          if mode & (stat.S_IWGRP | stat.S_IRWXO)}, {})


class Standard(unittest.TestCase):
    def test_what_is_closed_is_no_place_for_sockets_or_the_store(self):
        """Else the log is written into what has the number 2."""
        g = Gateway(wrap=["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"])
        self.addCleanup(g.close)
        g.start(expect_failure=True)

        def answers():
            try:
                return g.request("GET", "/readyz")[0] == 200
            except OSError:
                return False
        g.until(answers)
        for fd in range(3):
            self.assertEqual(os.readlink(f"/proc/{g.process.pid}/fd/{fd}"),
                             "/dev/null")
        g.publish("a", 1)
        self.assertEqual(g.stop(), 0)

    def test_a_log_that_nobody_reads_holds_nobody_up(self):
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        os.set_blocking(writing, False)
        try:
            while os.write(writing, b"x" * 4096):
                pass
        except BlockingIOError:
            os.set_blocking(writing, True)
        g = Gateway(wrap=[sys.executable, "-c", "import os, sys; "
                          f"os.dup2({writing}, 2); "
                          "os.execv(sys.argv[1], sys.argv[1:])"])
        g.pass_fds = (writing,)
        self.addCleanup(g.close)
        g.start(expect_failure=True)
        os.close(writing)

        def answers():
            try:
                return g.request("GET", "/readyz")[0] == 200
            except OSError:
                return False
        g.until(answers)
        g.publish("a", 1)
        # The first line that is taken tells of those that were not.
        g.signal(signal.SIGUSR1)
        taken = b""
        while b"SIGUSR1 means" not in taken:
            taken += os.read(reading, 65536)
            g.signal(signal.SIGUSR1)
        self.assertRegex(taken, rb" warn log: [1-9]\d* lines are lost: ")
        self.assertEqual(g.stop(), 0)


@unittest.skipUnless(IS_ROOT, "only root can become somebody without threads")
class FewThreads(unittest.TestCase):
    """The system may refuse one: TasksMax, LimitNPROC."""

    NOBODY_ELSE = "54321"  # what its processes have is counted together

    def test_a_start_without_threads_ends_with_the_reason(self):
        g = Gateway(workers=4)
        self.addCleanup(g.close)
        os.chmod(g.dir, 0o777)
        refused, threads = 0, 4
        while True:
            g.wrap = ["setpriv", "--reuid", self.NOBODY_ELSE, "--clear-groups",
                      "prlimit", f"--nproc={threads}"]
            # Looking for leaks takes a thread as well.
            g.env["ASAN_OPTIONS"] += ":detect_leaks=0"
            g.start(expect_failure=True)
            g.until(lambda: g.ended or g.lines[-1:] and
                    g.lines[-1].endswith("info ready"))
            if not g.ended:
                break
            self.assertEqual(g.wait_end(), 1, g.lines)
            self.assertRegex("\n".join(g.lines), "error thread .*: "
                             "cannot be started: .*TasksMax")
            refused, threads = refused + 1, threads + 1
        self.assertGreater(refused, 2)
        self.assertEqual(g.publish("a", 1)["durable"], "normal")


class Hardened(unittest.TestCase):
    def test_a_crash_leaves_no_core_dump(self):
        with Gateway() as g:
            with open(f"/proc/{g.process.pid}/limits", encoding="ascii") as f:
                limit, = [l for l in f if l.startswith("Max core file size")]
            self.assertRegex(limit, r"size +0 +0 ")
            self.assertEqual(identities(g.process.pid)["NoNewPrivs"], ["1"])

    @unittest.skipUnless(os.path.exists(UNIT), "built without the unit")
    def test_the_unit_starts_what_is_installed(self):
        with open(UNIT, encoding="ascii") as f:
            text = f.read()
        self.assertNotIn("@", re.sub(r"@(system-service|privileged|resources)",
                                     "", text))
        self.assertRegex(text, r"(?m)^ExecStart=/\S+/spillway -c /\S+$")

    @unittest.skipUnless(os.path.exists(UNIT), "built without the unit")
    def test_the_store_is_where_the_unit_may_write(self):
        with Gateway() as g:
            with open(g.conf_path, "w", encoding="ascii"):
                pass
            printed = subprocess.run(
                [DAEMON, "--print-config", "-c", g.conf_path], check=True,
                capture_output=True, text=True, timeout=GUARD).stdout
        store, = re.findall(r'(?m)^store = "(.+)/spillway\.db"$', printed)
        if not store.startswith(("/usr/", "/var/")):
            self.skipTest("built for a place of its own")
        with open(UNIT, encoding="ascii") as f:
            name, = re.findall(r"(?m)^StateDirectory=(\S+)$", f.read())
        self.assertEqual(store, "/var/lib/" + name)

    @unittest.skipUnless(os.path.exists(UNIT) and
                         shutil.which("systemd-analyze"), "without systemd")
    def test_what_the_unit_exposes(self):
        done = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--no-pager",
             f"--threshold={EXPOSURE_MAX}", UNIT],
            capture_output=True, text=True, timeout=GUARD, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("Overall exposure level", done.stdout)


if __name__ == "__main__":
    main()
