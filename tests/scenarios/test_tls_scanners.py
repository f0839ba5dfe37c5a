"""What scanners for weak TLS find: nothing. Those of Debian, if installed."""

import json
import os
import re
import shutil
import subprocess
import unittest

from gateway import Scenario, main

TESTSSL = shutil.which("testssl") or shutil.which("testssl.sh")


class Scanners(Scenario):
    # Both kinds, so that both are scanned.
    secure = (("localhost",), ("localhost", "rsa"))

    def run_scanner(self, *command):
        """They take as long as they take, which is minutes on a slow desk."""
        done = subprocess.run(command, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, check=False)
        return done.stdout

    @unittest.skipUnless(shutil.which("sslscan"), "sslscan is not installed")
    def test_sslscan_finds_nothing(self):
        text = self.run_scanner("sslscan", "--no-colour",
                                f"127.0.0.1:{int(self.gateway.port)}")
        for old in ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1"):
            self.assertRegex(text, old + r"\s+disabled")
        for new in ("TLSv1.2", "TLSv1.3"):
            self.assertRegex(text, new + r"\s+enabled")
        self.assertIn("Session renegotiation not supported", text)
        self.assertEqual(len(re.findall("not vulnerable to heartbleed", text)),
                         2)
        ciphers = re.findall(r"(?:Preferred|Accepted)\s+(\S+)\s+\d+ bits\s+"
                             r"(\S+)", text)
        self.assertEqual(len(ciphers), 9)
        for version, name in ciphers:
            self.assertRegex(name, "GCM|POLY1305")
            self.assertTrue(version == "TLSv1.3" or name.startswith("ECDHE-"))

    @unittest.skipUnless(TESTSSL, "testssl.sh is not installed")
    def test_testssl_finds_nothing(self):
        report = os.path.join(self.gateway.dir, "testssl.json")
        self.run_scanner(
            TESTSSL, "--quiet", "--color", "0", "--nodns", "min",
            "--warnings", "batch", "--protocols", "--std", "--fs",
            "--server-preference", "--vulnerable", "--jsonfile", report,
            f"https://localhost:{int(self.gateway.port)}/healthz")
        with open(report, encoding="utf-8") as f:
            findings = json.load(f)
        known = {f["id"]: f["severity"] for f in findings}
        for name in ("TLS1_2", "TLS1_3", "cipher_order", "heartbleed",
                     "secure_client_renego", "LUCKY13"):
            self.assertIn(known.get(name), ("OK", "INFO"),
                          f"{name} of {known}")
        # The first is about the scanner's own library.
        bad = [f for f in findings if f["id"] != "engine_problem" and
               f["severity"] not in ("OK", "INFO", "DEBUG")]
        self.assertEqual(bad, [])


if __name__ == "__main__":
    main()
