"""The files under /spillway/, and what their answers tell browsers."""

import gzip
import os
import shutil
import tempfile

from gateway import Scenario, main

PAGES = {
    "index.html": (b"<!doctype html><p>first</p>", "text/html"),
    "page.js": (b"export const a = 1;", "text/javascript"),
    "large.js": (b"export function f(a) { return a + 1; }\n" * 1000,
                 "text/javascript"),
    "deep/er/page.css": (b"p {}", "text/css"),
    "deep/index.html": (b"<!doctype html><p>deep</p>", "text/html"),
    "icon.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>",
                 "image/svg+xml"),
}


class Pages(Scenario):
    def setUp(self):
        root = tempfile.mkdtemp(prefix="spillway-pages-")
        self.addCleanup(shutil.rmtree, root)
        for name, (data, _) in PAGES.items():
            path = os.path.join(root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(data)
        self.conf = f'web-root = "{root}"\nsend = echo\n'
        super().setUp()

    def test_a_page_may_only_use_what_is_beside_it(self):
        for name, (data, kind) in PAGES.items():
            status, headers, body = self.gateway.request(
                "GET", "/spillway/" + name)
            self.assertEqual((status, body), (200, data))
            self.assertEqual(headers["content-type"].split(";")[0], kind)
            self.assertEqual(headers["x-content-type-options"], "nosniff")
            policy = dict(part.strip().split(" ", 1) for part in
                          headers["content-security-policy"].split(";"))
            self.assertEqual(policy["default-src"], "'none'")
            self.assertEqual(policy["script-src"], "'self'")
            self.assertEqual(policy["frame-ancestors"], "'self'")
            self.assertEqual(policy["base-uri"], "'none'")
            self.assertNotIn("unsafe", str(policy))
            # Pages connect to the gateway that they are from, and others.
            self.assertEqual(policy["connect-src"].split(),
                             ["'self'", "ws:", "wss:"])

    def test_what_a_browser_has_is_not_sent_again(self):
        etags = set()
        for name, (data, _) in PAGES.items():
            path = "/spillway/" + name
            _, headers, _ = self.gateway.request("GET", path)
            self.assertEqual(headers["cache-control"], "no-cache")
            etag = headers["etag"]
            etags.add(etag)
            for had in etag, "*", f'"other", W/{etag}':
                status, headers, body = self.gateway.request(
                    "GET", path, headers={"If-None-Match": had})
                self.assertEqual((status, body), (304, b""), had)
                self.assertEqual(headers["etag"], etag)
                self.assertEqual(headers["cache-control"], "no-cache")
            for had in '"other"', etag.strip('"'), "":
                status, _, body = self.gateway.request(
                    "GET", path, headers={"If-None-Match": had})
                self.assertEqual((status, body), (200, data), had)
        self.assertEqual(len(etags), len(PAGES))

    def test_what_is_worth_it_comes_in_gzip(self):
        path = "/spillway/large.js"
        plain = PAGES["large.js"][0]
        _, headers, body = self.gateway.request("GET", path)
        self.assertEqual(body, plain)
        self.assertNotIn("content-encoding", headers)
        self.assertEqual(headers["vary"], "Accept-Encoding")
        etags = [headers["etag"]]
        for accepts in ("gzip", "br, GZip;q=0.5", "x-gzip", "*",
                        "*;q=0, gzip ; q=0.001", "gzip;q=1", "gzip;x=0"):
            status, headers, body = self.gateway.request(
                "GET", path, headers={"Accept-Encoding": accepts})
            self.assertEqual((status, headers.get("content-encoding")),
                             (200, "gzip"), accepts)
            self.assertEqual(gzip.decompress(body), plain)
            self.assertLess(len(body), len(plain) / 5)
            self.assertEqual(headers["vary"], "Accept-Encoding")
            self.assertEqual(headers["content-type"].split(";")[0],
                             "text/javascript")
        etags.append(headers["etag"])
        for accepts in ("", "br", "gzip;q=0", "gzip; Q=0.000, *", "*;q=0",
                        "gzip;level=1;q=0", "identity", "gzipped"):
            _, headers, body = self.gateway.request(
                "GET", path, headers={"Accept-Encoding": accepts})
            self.assertEqual(body, plain, accepts)
            self.assertNotIn("content-encoding", headers)
            self.assertEqual(headers["etag"], etags[0])
        # Each form has a version of its own.
        self.assertNotEqual(*etags)
        for accepts, mine, other in (("br", *etags), ("gzip", *etags[::-1])):
            for had, status in (mine, 304), (other, 200):
                answer = self.gateway.request(
                    "GET", path, headers={"Accept-Encoding": accepts,
                                          "If-None-Match": had})
                self.assertEqual((answer[0], answer[1]["etag"]),
                                 (status, mine))
                self.assertEqual(answer[1]["vary"], "Accept-Encoding")

    def test_small_pages_stay_as_they_are(self):
        _, headers, body = self.gateway.request(
            "GET", "/spillway/page.js", headers={"Accept-Encoding": "gzip"})
        self.assertEqual(body, PAGES["page.js"][0])
        self.assertNotIn("content-encoding", headers)
        self.assertNotIn("vary", headers)

    def test_a_directory_is_its_index(self):
        for path, name in (("/spillway/", "index.html"),
                           ("/spillway/deep/", "deep/index.html")):
            status, _, body = self.gateway.request("GET", path)
            self.assertEqual((status, body), (200, PAGES[name][0]))
        # Names in the page are seen from the directory.
        for path, place in (("/", "/spillway/"), ("/spillway", "/spillway/"),
                            ("/spillway/deep", "/spillway/deep/"),
                            ("/spillway/deep/er", "/spillway/deep/er/")):
            status, headers, _ = self.gateway.request("GET", path)
            self.assertEqual((status, headers["location"]), (302, place))
        for path in ("/spillway/deep/er/", "/spillway/dee", "/spillway//",
                     "/spillway/" + "deep/" * 30):
            self.assertEqual(self.gateway.get(path)[0], 404, path)

    def test_what_a_client_says_is_not_taken_for_a_page(self):
        status, headers, body = self.gateway.request(
            "POST", "/stream/a", "<script>alert(1)</script>",
            {"Content-Type": "text/plain"})
        self.assertEqual((status, body), (200, b"<script>alert(1)</script>"))
        self.assertEqual(headers["content-type"], "text/plain")
        self.assertEqual(headers["x-content-type-options"], "nosniff")

    def test_refusals_are_not_guessed_at_either(self):
        for path in ("/spillway/nothing", "/nowhere"):
            status, headers, _ = self.gateway.request("GET", path)
            self.assertEqual(status, 404)
            self.assertEqual(headers["x-content-type-options"], "nosniff")


if __name__ == "__main__":
    main()
