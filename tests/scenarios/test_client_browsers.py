"""Our own client in the browsers of Debian: nothing lost, nothing twice."""

import os
import shutil
import tempfile

import test_third_party
from gateway import main

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


class ClientInBrowsers(test_third_party.Browsers):
    transports = ["StreamEventSource", "a module", "long", "short", "sse",
                  "sse with EventSource", "sse with XMLHttpRequest", "ws"]

    def setUp(self):
        place = tempfile.mkdtemp(prefix="spillway-page-")
        self.addCleanup(shutil.rmtree, place, ignore_errors=True)
        for name in ("web/spillway.js", "web/spillway.mjs",
                     "tests/web/page.html", "tests/web/page.js"):
            shutil.copy(os.path.join(ROOT, name), place)
        self.conf = f"""
web-root = "{place}"
retry = "100ms"
channel "report" {{ send = publish }}
"""
        super().setUp()

    def follow(self, command):
        g = self.gateway
        ids = [g.publish("a", n)["id"] for n in range(10)]
        browser = self.browse(command)
        for stage in range(3):
            if stage == 1:
                g.kill9()
                g.start()
            elif stage == 2:
                g.restart()
            ids += [g.publish("a", "live " * 200)["id"] for _ in range(10)]
            ids.append(g.publish("a", stage, Event_Type="report")["id"])
            for name, report in self.reports(browser, stage).items():
                self.assertEqual(report["ids"], ids, (name, stage))
                # A poll may be answered, and find the next gateway.
                if name not in ("long", "short"):
                    self.assertGreater(report["opened"], stage, name)


if __name__ == "__main__":
    main()
