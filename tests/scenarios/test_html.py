"""The stream as pages, for what has no scripts: nothing is lost between."""

import html.parser
import re

from gateway import Scenario, main


class Page(html.parser.HTMLParser):
    """What a browser without scripts makes of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.ids, self.next = [], [], [], None
        self.links, self.alerts = {}, 0
        self.inside = self.href = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        self.inside = tag
        self.alerts += attrs.get("role") == "alert"
        if tag == "article":
            self.ids.append(attrs["id"])
        elif tag == "pre":
            self.texts.append("")
        elif tag == "meta" and "http-equiv" in attrs:
            self.next = re.fullmatch(r"(\d+); url=(.*)",
                                     attrs["content"]).groups()
        elif tag == "a":
            self.href = attrs["href"]

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside == "pre":
            self.texts[-1] += data
        elif self.inside == "a":
            self.links[data] = self.href


class Html(Scenario):
    conf = 'channel "short" { history-events = 2 }'

    def page(self, query="?format=html", channel="a"):
        status, headers, body = self.gateway.request(
            "GET", f"/stream/{channel}{query}",
            headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
        self.assertEqual(status, 200)
        self.assertEqual(headers["content-type"], "text/html; charset=utf-8")
        self.assertIn("default-src 'none'", headers["content-security-policy"])
        self.assertIn("no-store", headers["cache-control"])
        return Page(body.decode("utf-8"))

    def test_each_page_goes_on_behind_the_one_before(self):
        g, seen, expected = self.gateway, [], []
        query = "?format=html&limit=4"
        for n in range(10):
            expected.append(g.publish("a", n)["id"])
            if n % 3 == 0:
                p = self.page(query)
                seen += p.ids
                query = p.next[1]
        for _ in range(3):
            p = self.page(query)
            seen += p.ids
            query = p.next[1]
        self.assertEqual(seen, expected)
        self.assertEqual(p.ids, [])
        self.assertEqual(p.next[0], "5")
        self.assertIn("limit=4", query)
        # Over a restart, too.
        g.kill9()
        g.start()
        expected = g.publish("a", "after")["id"]
        self.assertEqual(self.page(query).ids, [expected])

    def test_more_follows_at_once(self):
        for n in range(7):
            self.gateway.publish("a", n)
        p = self.page("?format=html&after=start&limit=5&wait=30")
        self.assertEqual((len(p.ids), p.next[0]), (5, "0"))
        p = self.page(p.next[1])
        self.assertEqual((len(p.ids), p.next[0]), (2, "30"))

    def test_it_begins_with_the_newest_or_where_a_link_says(self):
        g = self.gateway
        ids = [g.publish("a", n)["id"] for n in range(30)]
        p = self.page()
        self.assertEqual(p.ids, ids[-20:])
        self.assertEqual(self.page(p.links["From the start"]).ids, ids)
        self.assertEqual(self.page(p.links["The newest"]).ids, ids[-20:])
        self.assertEqual(self.page(p.links["What follows"]).ids, [])
        self.assertEqual(self.page("?format=html&last=3").ids, ids[-3:])

    def test_what_is_published_is_text(self):
        texts = ["<img src=x onerror=alert(1)>", "</pre><script>1</script>",
                 "\nfirst line empty", "'\" & &lt;"]
        for text in texts:
            self.gateway.publish("a", text, Content_Type="text/plain")
        p = self.page()
        # The parser of a browser drops the first line end of `pre`.
        self.assertEqual([t[1:] for t in p.texts], texts)
        self.assertFalse({"img", "script"} & set(p.tags))

    def test_a_loss_is_told(self):
        g = self.gateway
        first = g.publish("short", 1)
        ids = [g.publish("short", n)["id"] for n in range(2, 6)]
        p = self.page(f"?format=html&after={first['id']}", "short")
        self.assertEqual((p.alerts, p.ids), (1, ids[-2:]))
        self.assertEqual(self.page(p.next[1], "short").alerts, 0)

    def test_it_is_a_page_or_nothing(self):
        for query, accept, status in (
                ("?format=html&transport=sse", "*/*", 400),
                ("?format=html", "application/json", 406),
                ("?format=xml", "*/*", 400)):
            answer = self.gateway.request("GET", f"/stream/a{query}",
                                          headers={"Accept": accept})
            self.assertEqual(answer[0], status, query)


if __name__ == "__main__":
    main()
