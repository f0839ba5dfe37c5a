"""What a slow socket gets in pieces is in order all the same, and as it was
told: what tests/scenarios/test_random_model.py has found."""

from gateway import (STREAMS, Scenario, WebSocket, Wire, main,
                     request_head)

LARGE = "\x01" * 200000  # 1.2 MB as JSON, more than a socket takes at once


def number(cursor):
    return int(cursor.split("-")[1])


class Order(Scenario):
    conf = """
message-max = "1m"
window-events = 1
channel "none*" { history-events = 0 }
channel "few*" { durability = memory  history-events = 5 }
"""

    def test_what_windows_have_and_is_not_kept_comes_not_behind_a_read(self):
        g = self.gateway
        g.batch([{"channel": "none", "data": n} for n in range(100)])
        for data in ("one", "two", "three"):
            g.publish("kept", data)
            g.publish("none", data)
        g.publish("kept", LARGE, Content_Type="text/plain")
        last = g.publish("kept", "last")["id"]
        for transport in self.each(STREAMS):
            s = transport(g, "kept,none", last=5)
            got = []
            while not got or got[-1] != last:
                m = s.next()
                if "id" in m:
                    got.append(m["id"])
            self.assertEqual(got, sorted(got, key=number))
            s.close()

    def test_what_comes_next_is_what_the_gap_says(self):
        g = self.gateway
        epoch = g.publish("large", "first")["id"].partition("-")[0]
        g.batch([{"channel": "few", "data": n} for n in range(20)])
        ws = WebSocket(g.port, "/stream/large", receive_buffer=4096)
        self.addCleanup(ws.close)
        ws.message()
        self.assertEqual(ws.message()["type"], "spillway.caughtup")
        for _ in range(3):
            g.publish("large", LARGE, Content_Type="text/plain")
        ws.more()
        ws.command(op="subscribe", channel="few", after=f"{epoch}-999999")
        while "op" not in ws.message():
            pass
        # It is subscribed, but others come first: meanwhile much happens.
        g.batch([{"channel": "few", "data": n} for n in range(20)])
        while (gap := ws.message())["type"] == "message":
            self.assertEqual(gap["channel"], "large")
        self.assertEqual((gap["type"], gap["reason"]),
                         ("spillway.gap", "ahead"))
        self.assertEqual(ws.message()["id"], gap["first"])


class Deleted(Scenario):
    """Of two channels, one is deleted while many listen to both."""

    workers = 1

    def test_nothing_comes_of_the_other_behind_it(self):
        g = self.gateway
        cursor = g.publish("other", "first")["id"]
        waiting = [Wire(g.port) for _ in range(1500)]
        for n, w in enumerate(waiting):
            accept = [("Accept", "text/event-stream")] if n % 3 == 0 else []
            w.send(request_head(
                f"/stream/gone,other?wait=50&after={cursor}", accept))
        g.until(lambda: g.get("/v1/channels/gone", api=True)[1].get(
            "subscribers") == {"ws": 0, "sse": 500, "long": 1000})
        with Wire(g.api_port) as api:
            api.send(request_head("/v1/channels/gone", method="DELETE"))
            self.assertEqual(api.response()[0], 204)
        g.publish("other", "behind it")
        for w in waiting:
            self.assertNotIn(b"behind it", w.rest())
            w.close()


if __name__ == "__main__":
    main()
