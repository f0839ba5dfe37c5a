"""Certificates for scenarios, made with the openssl command as they are needed.

Each signs itself, so that it is all that a client has to trust.
"""

import atexit
import functools
import os
import shutil
import ssl
import subprocess
import tempfile

KINDS = {"ecdsa": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
         "rsa": ["rsa:2048"], "ed25519": ["ed25519"], "weak": ["rsa:1024"]}


@functools.lru_cache(maxsize=None)
def directory():
    path = tempfile.mkdtemp(prefix="spillway-certificates-")
    atexit.register(shutil.rmtree, path)
    return path


class Certificate:
    def __init__(self, path, key, names, kind):
        self.path, self.key, self.names, self.kind = path, key, names, kind

    def conf(self):
        return f'tls-certificate += "{self.path}"\ntls-key += "{self.key}"\n'

    def der(self):
        with open(self.path, encoding="ascii") as f:
            return ssl.PEM_cert_to_DER_cert(f.read())


@functools.lru_cache(maxsize=None)
def certificate(names="localhost", kind="ecdsa", version=1, days=30):
    """`version` tells apart what is otherwise the same."""
    base = os.path.join(directory(), f"{names}-{kind}-{days}-{version}".replace(
        "*", "any"))
    path, key = base + ".pem", base + ".key"
    alternatives = ",".join("DNS:" + n for n in names.split(","))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", *KINDS[kind], "-nodes",
         "-keyout", key, "-out", path, "-days", str(days),
         "-subj", f"/O=version {version}",
         "-addext", f"subjectAltName={alternatives}"],
        check=True, capture_output=True)
    return Certificate(path, key, names, kind)


def trusting(*certificates, ciphers=None, version=None):
    """A client's context, for all of these."""
    context = ssl.create_default_context()
    for c in certificates:
        context.load_verify_locations(c.path)
    if version:
        context.minimum_version = context.maximum_version = version
    if ciphers:
        context.set_ciphers(ciphers)
    return context


class Authority(Certificate):
    """Gives certificates to clients."""

    def give(self, name):
        base = os.path.join(directory(), f"{self.names}-gives-{name}")
        request, path, key = base + ".csr", base + ".pem", base + ".key"
        subprocess.run(
            ["openssl", "req", "-new", *["-newkey", *KINDS["ecdsa"]],
             "-nodes", "-keyout", key, "-out", request, "-subj", f"/O={name}"],
            check=True, capture_output=True)
        subprocess.run(
            ["openssl", "x509", "-req", "-in", request, "-CA", self.path,
             "-CAkey", self.key, "-CAcreateserial", "-days", "30",
             "-out", path], check=True, capture_output=True)
        return Certificate(path, key, name, "ecdsa")


def authority(name):
    base = os.path.join(directory(), "authority-" + name)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", *KINDS["ecdsa"], "-nodes",
         "-keyout", base + ".key", "-out", base + ".pem", "-days", "30",
         "-subj", f"/O=authority {name}"], check=True, capture_output=True)
    return Authority(base + ".pem", base + ".key", name, "ecdsa")
