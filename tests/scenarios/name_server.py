"""A world of its own for a test: names mean there what the test says.

The test starts once more in a network and a mount namespace, where the system
asks a name server of ours, on port 53, for every name.
"""

import fcntl
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading

from gateway import GUARD

SKIPPED = 77
ADDRESS = ("127.0.0.1", 53)


def enter():
    """Go on in there; where the system does not allow it, end as skipped."""
    if "SPILLWAY_OWN_NAMES" not in os.environ:
        if subprocess.run(["unshare", "-rnm", "true"], check=False,
                          stderr=subprocess.DEVNULL).returncode != 0:
            print("skipped: there are no namespaces to be had")
            sys.exit(SKIPPED)
        os.environ["SPILLWAY_OWN_NAMES"] = tempfile.mkdtemp(
            prefix="spillway-names-")
        os.execvp("unshare", ["unshare", "-rnm", sys.executable, *sys.argv])
    folder = os.environ["SPILLWAY_OWN_NAMES"]
    with socket.socket() as s:  # the loopback device is down at first
        up = struct.pack("16sh", b"lo", 1)
        fcntl.ioctl(s, 0x8914, up)  # SIOCSIFFLAGS, IFF_UP
    for name, text in (("resolv.conf", "nameserver 127.0.0.1\n"
                        "options timeout:30 attempts:2\n"),
                       ("nsswitch.conf", "hosts: files dns\n")):
        with open(f"{folder}/{name}", "w", encoding="ascii") as f:
            f.write(text)
        subprocess.run(["mount", "--bind", f"{folder}/{name}",
                        os.path.realpath(f"/etc/{name}")], check=True)


class NameServer:
    """Knows what is in `names`: lists of addresses; None: it keeps silent."""

    def __init__(self):
        self.names, self.asked = {}, []
        self.changed = threading.Condition()
        self.s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.s.bind(ADDRESS)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            query, peer = self.s.recvfrom(512)
            if not query:
                return
            name, kind = self._question(query)
            with self.changed:
                self.asked.append(name)
                self.changed.notify_all()
                if self.names.get(name, []) is None:
                    continue
            self._answer(query, peer, name, kind)

    @staticmethod
    def _question(query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        return ".".join(labels), struct.unpack_from(">H", query, at + 1)[0]

    def _answer(self, query, peer, name, kind):
        known = name in self.names
        found = self.names[name] if known and kind == 1 else []
        end = query.index(b"\0", 12) + 5
        head = query[:2] + struct.pack(">HHHHH", 0x8580 | (0 if known else 3),
                                       1, len(found), 0, 0)
        records = b"".join(
            struct.pack(">HHHIH", 0xc00c, 1, 1, 0, 4) + socket.inet_aton(a)
            for a in found)
        self.s.sendto(head + query[12:end] + records, peer)

    def wait_asked(self, name):
        with self.changed:
            if not self.changed.wait_for(lambda: name in self.asked, GUARD):
                raise AssertionError(f"nobody asks for {name}")

    def close(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"", ADDRESS)
        self.thread.join(GUARD)
        self.s.close()
