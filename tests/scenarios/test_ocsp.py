"""tls-ocsp: what the authority says is sent along with the certificate."""

import os
import subprocess

from certificates import certificate, directory
from gateway import GUARD, Gateway, Scenario, main


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], check=True, text=True,
                          capture_output=True, timeout=GUARD).stdout


def response(c, name, revoked=False):
    """What the authority, which is the certificate itself, says of it."""
    base = os.path.join(directory(), name)
    serial = openssl("x509", "-in", c.path, "-noout", "-serial").strip()
    with open(base + ".index", "w", encoding="ascii") as f:
        f.write("\t".join(("R" if revoked else "V", "391231235959Z",
                           "250101000000Z" if revoked else "",
                           serial.partition("=")[2], "unknown", "/O=x")) +
                "\n")
    openssl("ocsp", "-issuer", c.path, "-cert", c.path, "-reqout",
            base + ".request")
    openssl("ocsp", "-index", base + ".index", "-CA", c.path, "-rsigner",
            c.path, "-rkey", c.key, "-reqin", base + ".request", "-respout",
            base + ".response", "-ndays", "3")
    return base + ".response"


class Ocsp(Scenario):
    def setUp(self):
        self.first = certificate(version="ocsp")
        self.second = certificate(kind="rsa", version="ocsp")

    def begin(self, *paths):
        self.gateway = Gateway(
            "tls-certificate-check = 50ms\n" +
            "".join(f'tls-ocsp += "{p}"\n' for p in paths),
            certificates=[self.first, self.second])
        self.addCleanup(self.gateway.close)
        self.gateway.start()

    def told(self, *options):
        return "OCSP Response Status: successful" in openssl(
            "s_client", "-connect", f"127.0.0.1:{int(self.gateway.port)}",
            "-servername", "localhost", "-status", *options)

    def as_rsa(self):
        return self.told("-sigalgs", "RSA-PSS+SHA256")

    def test_each_certificate_has_its_own(self):
        self.begin(response(self.first, "one"), "none")
        self.gateway.wait_log("info certificate .* ocsp=good")
        self.gateway.wait_log("info certificate .* ocsp=none")
        self.assertTrue(self.told())
        self.assertTrue(self.told("-tls1_2"))
        self.assertFalse(self.as_rsa())

    def test_the_other_way_round(self):
        self.begin("none", response(self.second, "two"))
        self.assertFalse(self.told())
        self.assertTrue(self.as_rsa())

    def test_a_new_response_is_read(self):
        path = os.path.join(directory(), "changing")
        self.begin(path, "none")
        self.gateway.wait_log("warn certificate .* ocsp=unreadable")
        self.assertFalse(self.told())
        os.replace(response(self.first, "three"), path)
        self.gateway.wait_log("certificates changed")
        self.assertTrue(self.told())

    def test_what_is_of_no_use_is_logged_and_not_sent(self):
        for name, path in (
                ("unreadable", self.first.path),
                ("of-other-certificates", response(self.second, "four")),
                ("revoked-or-unknown",
                 response(self.first, "five", revoked=True))):
            self.begin(path, "none")
            self.gateway.wait_log(f"warn certificate .* ocsp={name}")
            self.assertFalse(self.told())
            self.gateway.close()


if __name__ == "__main__":
    main()
