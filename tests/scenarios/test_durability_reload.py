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


if __name__ == "__main__":
    main()
