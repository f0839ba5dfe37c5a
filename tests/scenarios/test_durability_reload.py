"""A channel's durability changes on SIGHUP: what is answered is what holds."""

import signal

from gateway import Scenario, main


class DurabilityReload(Scenario):
    conf = 'channel "x" { durability = memory }'

    def reload(self, durability, count=1):
        g = self.gateway
        g.configure(f'channel "x" {{ durability = {durability} }}')
        g.signal(signal.SIGHUP)
        g.wait_log("info configuration reloaded", count)

    def kept(self, **params):
        answer = self.gateway.poll("x", **params)
        return [e["data"] for e in answer["events"]], answer.get("gap")

    def test_what_was_answered_as_normal_survives_kill_9(self):
        g = self.gateway
        first = g.publish("x", 1)
        self.reload("normal")
        second = g.publish("x", 2, Idempotency_Key="k")
        third = g.publish("x", 3)
        self.assertEqual([r["durable"] for r in (first, second, third)],
                         ["memory", "normal", "normal"])
        g.kill9()
        g.start()
        self.assertEqual(self.kept(after=second["id"]), ([3], None))
        events, gap = self.kept(after=first["id"])
        self.assertEqual((events, gap), ([2, 3], None))
        again = g.publish("x", 2, Idempotency_Key="k")
        self.assertEqual((again["id"], again["duplicate"]),
                         (second["id"], True))
        # And on, over the part that only memory had.
        g.publish("x", 4)
        self.assertEqual(self.kept(after="start")[0], [2, 3, 4])

    def test_back_to_memory_streams_go_on(self):
        g = self.gateway
        self.reload("normal")
        g.publish("x", 1)
        self.reload("memory", 2)
        self.assertEqual(g.publish("x", 2)["durable"], "memory")
        self.reload("full", 3)
        self.assertEqual(g.publish("x", 3)["durable"], "full")
        self.assertEqual(self.kept(after="start"), ([1, 2, 3], None))
        g.kill9()
        g.start()
        events, _ = self.kept(after="start")
        self.assertEqual(events[-1], 3)
        self.assertNotIn(2, events)


    def test_a_retry_is_one_whatever_was_reloaded_in_between(self):
        g = self.gateway
        first = g.publish("x", 1, Idempotency_Key="a")
        self.reload("normal")
        second = g.publish("x", 2, Idempotency_Key="b")
        self.assertEqual(g.publish("x", 1, Idempotency_Key="a")["id"],
                         first["id"])
        self.reload("memory", 2)
        for key, receipt in ("a", first), ("b", second):
            again = g.publish("x", 1, Idempotency_Key=key)
            self.assertEqual((again["id"], again["duplicate"]),
                             (receipt["id"], True))
        # What the store has is known after a kill as well.
        g.kill9()
        g.start()
        self.assertEqual(g.publish("x", 2, Idempotency_Key="b")["id"],
                         second["id"])


class Forgotten(Scenario):
    stored = 'channel-age = "1s"\nchannel "x" { durability = normal }'
    conf = stored.replace("normal", "memory")

    def test_a_retry_is_one_when_the_channel_was_forgotten_in_between(self):
        g = self.gateway
        g.kill9()
        g.configure(self.stored)
        g.start()
        first = g.publish("x", 1, Idempotency_Key="a")
        g.publish("later", 1)
        g.configure(self.conf)
        g.signal(signal.SIGHUP)
        g.wait_log("info configuration reloaded")
        g.publish("x", 2)
        g.kill9()
        g.start()
        g.until_metric(1, "channels_forgotten_total")
        again = g.publish("x", 1, Idempotency_Key="a")
        self.assertEqual((again["id"], again["duplicate"]),
                         (first["id"], True))


class StoredFromAStartOn(Scenario):
    """What memory alone had is lost with a restart: those who missed it are
    told, also when the channel is one of the store's from then on."""

    conf = 'channel "x*" { durability = memory }'
    stored = 'channel "x*" { durability = normal }'

    def kept(self, channel, after):
        answer = self.gateway.poll(channel, after=after)
        gap = answer.get("gap")
        return [e["data"] for e in answer["events"]], gap and gap["reason"]

    def reload(self, conf, count=1):
        g = self.gateway
        g.configure(conf)
        g.signal(signal.SIGHUP)
        g.wait_log("info configuration reloaded", count)
        # The writer has it by then: killed before, it would not know where
        # memory's time ended.
        g.publish("told", 0)

    def restart(self, conf):
        g = self.gateway
        g.kill9()
        g.configure(conf)
        g.start()

    def test_with_another_configuration(self):
        g = self.gateway
        other = g.publish("other", 0)["id"]
        first = g.publish("x1", 1)["id"]
        g.publish("x1", 2)
        self.restart(self.stored)
        for _ in range(2):
            self.assertEqual(self.kept("x1", first), ([], "trimmed"))
            # The store knows that nothing of this one is lost.
            self.assertEqual(self.kept("other", other), ([], None))
            self.restart(self.stored)
        third = g.publish("x1", 3)["id"]
        for _ in range(2):
            self.assertEqual(self.kept("x1", first), ([3], "trimmed"))
            self.assertEqual(self.kept("x1", third), ([], None))
            self.restart(self.stored)
        # What came meanwhile was the store's to keep.
        self.assertEqual(self.kept("x1", "start"), ([3], None))

    def test_a_cursor_of_the_new_time_is_exact(self):
        g = self.gateway
        g.publish("x1", 1)
        self.restart(self.stored)
        here = g.poll("x2")["cursor"]
        self.restart(self.stored)
        self.assertEqual(self.kept("x2", here), ([], None))
        g.publish("x2", 1)
        self.restart(self.stored)
        self.assertEqual(self.kept("x2", here), ([1], None))

    def test_nobody_gets_what_others_stored_last(self):
        g = self.gateway
        self.restart(self.stored)
        g.publish("x1", 1)
        self.reload(self.conf)
        g.publish("x1", 2)
        g.publish("x2", 2)
        other = g.publish("other", "not for x")["id"]
        self.reload(self.stored, 2)
        self.restart(self.stored)
        for channel in "x1", "x2":
            self.assertEqual(self.kept(channel, "start")[0], [])
            self.assertEqual(g.poll(channel, last=5)["events"], [])
            # Nor where it goes on behind them.
            g.publish(channel, 3)
            g.publish(channel, 4)
        self.restart(self.stored)
        for channel in "x1", "x2":
            self.assertEqual(self.kept(channel, "start")[0], [3, 4])
            self.assertEqual(self.kept(channel, other), ([3, 4], None))

    def test_a_reload_before_the_end(self):
        g = self.gateway
        first = g.publish("x1", 1)["id"]
        g.publish("x1", 2)
        y = g.publish("x2", 1)["id"]
        self.reload(self.stored)
        third = g.publish("x2", 2)["id"]
        g.publish("x2", 3)
        self.restart(self.stored)
        self.assertEqual(self.kept("x1", first), ([], "trimmed"))
        # It has rows since: nothing behind this cursor was in memory.
        self.assertEqual(self.kept("x2", y), ([2, 3], None))
        self.assertEqual(self.kept("x2", third), ([3], None))

    def test_a_reload_after_a_start(self):
        g = self.gateway
        first = g.publish("x1", 1)["id"]
        g.publish("x1", 2)
        self.restart(self.conf)
        self.reload(self.stored)
        self.assertEqual(self.kept("x1", first), ([], "trimmed"))
        g.publish("x1", 3)
        self.assertEqual(self.kept("x1", first), ([3], "trimmed"))

    def test_rows_of_before_do_not_hide_it(self):
        g = self.gateway
        self.restart(self.stored)
        g.publish("x1", 1)
        second = g.publish("x1", 2)["id"]
        self.restart(self.conf)
        g.publish("x1", 3)
        self.restart(self.stored)
        self.assertEqual(self.kept("x1", second), ([], "trimmed"))
        g.publish("x1", 4)
        self.assertEqual(self.kept("x1", second), ([4], "trimmed"))

    def test_many_configurations(self):
        """The store keeps eight; what is older counts for all new channels."""
        g = self.gateway
        first = g.publish("x1", 1)["id"]
        g.publish("x1", 2)
        for i in range(12):
            self.reload(f'channel "y{i}" {{ durability = memory }}', i + 1)
            g.publish(f"y{i}", 1)
        self.restart(self.stored)
        self.assertEqual(self.kept("x1", first), ([], "trimmed"))
        self.assertEqual(self.kept("y11", first), ([], "trimmed"))


if __name__ == "__main__":
    main()
