"""Tokens for scenarios, made without any code of the gateway.

HMACs are Python's own; what needs a pair of keys is signed by openssl(1).
"""

import base64
import hashlib
import hmac
import json
import os
import subprocess
import time

SECRET = "0123456789abcdef0123456789abcdef"
OTHER_SECRET = "fedcba9876543210fedcba9876543210"


def b64(data):
    if isinstance(data, dict):
        data = json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def der_to_pair(der):
    """An ECDSA signature as RFC 7518 3.4 has it: two numbers of 32 bytes."""
    numbers, at = [], 2
    for _ in range(2):
        size = der[at + 1]
        numbers.append(int.from_bytes(der[at + 2:at + 2 + size], "big"))
        at += 2 + size
    return b"".join(n.to_bytes(32, "big") for n in numbers)


class Keys:
    """Pairs of keys in a directory: NAME.key and NAME.pem."""

    def __init__(self, directory):
        self.directory = directory
        self.make("rsa", "RSA", "rsa_keygen_bits:2048")
        self.make("ec", "EC", "ec_paramgen_curve:P-256")

    def path(self, name):
        return os.path.join(self.directory, name)

    def make(self, name, kind, option):
        subprocess.run(
            ["openssl", "genpkey", "-algorithm", kind, "-pkeyopt", option,
             "-out", self.path(name + ".key")],
            check=True, stderr=subprocess.DEVNULL)
        subprocess.run(
            ["openssl", "pkey", "-in", self.path(name + ".key"), "-pubout",
             "-out", self.path(name + ".pem")], check=True)

    def sign(self, alg, text):
        options = ["-sigopt", "rsa_padding_mode:pss",
                   "-sigopt", "rsa_pss_saltlen:32"] if alg == "PS256" else []
        name = "ec" if alg == "ES256" else "rsa"
        signature = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", self.path(name + ".key"),
             *options], input=text, check=True, capture_output=True).stdout
        return der_to_pair(signature) if alg == "ES256" else signature


def token(alg="HS256", secret=SECRET, keys=None, header=None, expires=600,
          subscribe=(), send=(), **claims):
    """A token; `expires` in seconds from now, None for never."""
    claims["channels"] = {"subscribe": list(subscribe), "send": list(send)}
    if expires is not None:
        claims["exp"] = time.time() + expires
    text = b64(dict({"alg": alg}, **(header or {}))) + "." + b64(claims)
    if alg == "none":
        return text + "."
    if alg == "HS256":
        signature = hmac.digest(secret.encode() if isinstance(secret, str)
                                else secret, text.encode(), hashlib.sha256)
    else:
        signature = keys.sign(alg, text.encode())
    return text + "." + b64(signature)


def bearer(text):
    return [("Authorization", "Bearer " + text)]
