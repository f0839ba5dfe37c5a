"""What a slow socket gets in pieces is in order all the same, and as it was
told: what tests/scenarios/test_random_model.py has found."""

from gateway import STREAMS, Scenario, main

LARGE = "\x01" * 200000  # 1.2 MB as JSON, more than a socket takes at once


def number(cursor):
    return int(cursor.split("-")[1])


class Order(Scenario):
    conf = """
message-max = "1m"
window-events = 1
channel "none*" { history-events = 0 }
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


if __name__ == "__main__":
    main()
