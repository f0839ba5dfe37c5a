"""A library of ours in front of the daemon's own."""

import mmap
import os
import shutil
import struct
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


class Preload:
    """
    What NAME.c does to a daemon that is started with `env`, as the memory says
    that both of them see.
    """

    def __init__(self, case, name):
        folder = tempfile.mkdtemp(prefix=f"spillway-{name}-")
        case.addCleanup(shutil.rmtree, folder)
        library, control = f"{folder}/{name}.so", f"{folder}/control"
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1",
                        "-D_GNU_SOURCE", "-o", library, f"{HERE}/{name}.c",
                        "-ldl"], check=True)
        with open(control, "w+b") as f:
            f.truncate(4096)
            self.map = mmap.mmap(f.fileno(), 4096)
        case.addCleanup(self.map.close)
        sanitizer = os.environ.get("ASAN_OPTIONS", "")
        self.env = {"LD_PRELOAD": library, f"{name.upper()}_CONTROL": control,
                    # A sanitizer insists on being the first otherwise.
                    "ASAN_OPTIONS": sanitizer + ":verify_asan_link_order=0"}


class Fields(Preload):
    """Its memory has numbers, which have names."""

    FIELDS = ()

    def set(self, **fields):
        for name, value in fields.items():
            struct.pack_into("i", self.map, 4 * self.FIELDS.index(name),
                             value)

    def get(self, field):
        return struct.unpack_from("i", self.map,
                                  4 * self.FIELDS.index(field))[0]
