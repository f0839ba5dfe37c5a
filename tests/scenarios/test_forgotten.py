"""Channels come and go: what is over does not count for ever."""

from gateway import LongSubscriber, Scenario, main

ROOMS = 30
LIMIT = 40


class Forgotten(Scenario):
    conf = f"""max-channels = {LIMIT}
history-age = 1s channel-age = 1s
channel "kept*" {{ history-age = 0 }}
channel "memory*" {{ durability = memory }}
"""

    def forgotten(self):
        return self.gateway.metric("channels_forgotten_total")

    def until_forgotten(self, count):
        self.gateway.until(lambda: self.forgotten() >= count,
                           f"{count} channels forgotten")

    def refused(self, channel):
        status, problem = self.gateway.api(
            "POST", f"/v1/channels/{channel}/events", "1")
        if status == 503:
            self.assertIn("max-channels", problem["detail"])
        return status == 503

    def known(self, channel):
        return self.gateway.get(f"/v1/channels/{channel}", api=True)[0] == 200

    def test_there_is_room_again_for_new_ones(self):
        """Without an end: though only new channels are published to."""
        for generation in range(3):
            names = [f"room-{generation}-{n}" for n in range(LIMIT)]
            for name in names:
                self.gateway.until(lambda: not self.refused(name))
            self.gateway.until(lambda: self.known(names[-1]) and
                               not self.known(names[0]))
        self.assertGreaterEqual(self.forgotten(), 2 * (LIMIT - 1))
        self.assertLessEqual(self.gateway.metric("channels"), LIMIT)

    def check_cursors(self, old, new):
        """On channels that had events, and on one that never had."""
        for transport in self.each():
            for channel in ("room-0", "memory-0", "never"):
                s = transport(self.gateway, channel, old)
                self.assertEqual(
                    s.notice("gap"),
                    {"type": "spillway.gap", "reason": "trimmed",
                     "after": old, "first": None})
                s.notice("caughtup")
                s.close()
                if transport is not LongSubscriber:  # that would wait
                    s = transport(self.gateway, channel, new)
                    s.notice("caughtup")
                    s.close()
            s = transport(self.gateway, "kept", old)
            self.assertEqual(s.events(1)[0]["data"], "kept")
            s.close()

    def test_losses_are_told_and_none_is_invented_later(self):
        g = self.gateway
        old = g.publish("kept-before", 1)["id"]
        g.publish("kept", "kept", Content_Type="text/plain")
        for n in range(ROOMS // 2):
            g.publish(f"room-{n}", n)
            g.publish(f"memory-{n}", n)
        new = g.publish("kept-after", 1)["id"]
        self.until_forgotten(ROOMS)
        self.assertFalse(self.known("room-0"))
        self.assertFalse(self.known("memory-0"))
        self.assertTrue(self.known("kept"))
        self.check_cursors(old, new)
        g.kill9()
        g.start()
        self.check_cursors(old, new)
        # A channel of that name goes on like any other.
        first = g.publish("room-0", "again", Content_Type="text/plain")["id"]
        for transport in self.each():
            s = transport(g, "room-0", new)
            self.assertEqual([e["id"] for e in s.events(1)], [first])
            s.close()
            s = transport(g, "room-0", old)
            self.assertEqual(s.notice("gap")["first"], first)
            self.assertEqual([e["id"] for e in s.events(1)], [first])
            s.close()

    def test_who_listens_keeps_a_channel(self):
        g = self.gateway
        g.publish("kept", 1)
        for transport in self.each():
            if transport.name not in ("ws", "sse"):
                continue
            name = f"room-{transport.name}"
            cursor = g.publish(name, 1)["id"]
            s = transport(g, name, cursor)
            s.notice("caughtup")
            # The newest channel of all is never forgotten.
            for n in range(3):
                g.publish(f"other-{transport.name}-{n}", n)
            self.until_forgotten(self.forgotten() + 2)
            self.assertTrue(self.known(name))
            again = transport(g, name, cursor)
            again.notice("caughtup")
            again.close()
            event = g.publish(name, 2)["id"]
            self.assertEqual([e["id"] for e in s.events(1)], [event])
            s.close()


class Never(Scenario):
    conf = Forgotten.conf.replace("channel-age = 1s", "channel-age = 0")

    def test_nothing_is_forgotten(self):
        g = self.gateway
        old = g.publish("first", 1)["id"]
        g.publish("room", 1)
        g.publish("last", 1)
        g.until_metric(3, "store_removed_total")
        for n in range(3):
            # The writer's seconds go by: it saves, and looks at what is old.
            g.publish("last", n)
            g.until_metric(4 + n, "store_removed_total")
        self.assertEqual(g.metric("channels_forgotten_total"), 0)
        self.assertNotIn("gap", g.poll("never", after=old))
        self.assertIn("gap", g.poll("room", after=old))


if __name__ == "__main__":
    main()
