"""Published once, whatever happens: keys, acknowledgements, a full queue."""

import json
import select
import sqlite3
import threading

from gateway import Scenario, Wire, WsSubscriber, main
from post import DOORS, Publisher, events_path, is_problem, lines, post


class Keys(Scenario):
    """A retry with the same Idempotency-Key is harmless."""

    conf = 'channel "memory*" { durability = memory }'

    def publish(self, channel, data, key):
        return self.gateway.publish(channel, data, Idempotency_Key=key)

    def data(self, channel):
        return [e["data"] for e in
                self.gateway.poll(channel, after="start")["events"]]

    def test_a_retry_gets_the_answer_of_the_first_and_no_event(self):
        g = self.gateway
        s = WsSubscriber(g, "a")
        for chunked in DOORS:
            with Publisher(g, chunked) as p:
                head = ("Idempotency-Key", f"key-{chunked}")
                status, _, first = p.publish("a", "1", head)
                self.assertEqual((status, first["duplicate"]), (201, False))
                for body in ("1", "another body"):
                    status, _, again = p.publish("a", body, head)
                    self.assertEqual((status, again["duplicate"]),
                                     (200, True))
                    self.assertEqual((again["id"], again["time"]),
                                     (first["id"], first["time"]))
                self.assertEqual(s.event()["id"], first["id"])
        last = g.publish("a", "end")["id"]
        self.assertEqual(s.event()["id"], last)

    def test_a_key_outlives_the_process_however_that_ends(self):
        g = self.gateway
        first = self.publish("a", 1, "k")
        for end in (g.kill9, g.stop, g.kill9):
            end()
            g.start()
            again = self.publish("a", 1, "k")
            self.assertIs(again["duplicate"], True)
            self.assertEqual((again["id"], again["time"]),
                             (first["id"], first["time"]))
        self.assertEqual(self.data("a"), [1])

    def test_in_memory_a_key_lives_as_long_as_its_event(self):
        g = self.gateway
        first = self.publish("memory", 1, "k")
        self.assertEqual(self.publish("memory", 1, "k")["id"], first["id"])
        g.restart()
        again = self.publish("memory", 1, "k")
        self.assertIs(again["duplicate"], False)
        self.assertNotEqual(again["id"], first["id"])

    def test_every_channel_has_keys_of_its_own(self):
        ids = {self.publish(c, 1, k)["id"]
               for c in ("a", "b", "memory", "memory2")
               for k in ("k", "K", "k k", "é", "x" * 255)}
        self.assertEqual(len(ids), 20)

    def test_keys_have_one_to_255_characters(self):
        g = self.gateway
        for chunked in DOORS:
            for key in ("", "x" * 256):
                with Publisher(g, chunked) as p:
                    is_problem(self, *p.publish(
                        "a", "1", ("Idempotency-Key", key)), 400)
        self.assertEqual(self.data("a"), [])

    def test_of_many_at_once_one_is_the_first(self):
        g = self.gateway
        for round in range(5):
            answers = []
            start = threading.Barrier(16)

            def publish(n):
                with Publisher(g, chunked=n % 2 == 1) as p:
                    start.wait()
                    answers.append(p.publish(
                        "a", str(n), ("Idempotency-Key", f"k{round}")))

            threads = [threading.Thread(target=publish, args=(n,))
                       for n in range(16)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            self.assertEqual(sorted(a[0] for a in answers),
                             [200] * 15 + [201])
            self.assertEqual(len({a[2]["id"] for a in answers}), 1)
        self.assertEqual(len(self.data("a")), 5)

    def test_pipelined_retries_meet_in_one_transaction(self):
        g = self.gateway
        with Wire(g.api_port) as w:
            w.send(b"".join(post(events_path("a"), str(n),
                                 [("Idempotency-Key", f"k{n // 3}")])
                            for n in range(300)))
            answers = [w.response() for _ in range(300)]
        self.assertEqual([a[0] for a in answers], [201, 200, 200] * 100)
        ids = [json.loads(a[2])["id"] for a in answers]
        self.assertEqual(ids[0::3], ids[1::3])
        self.assertEqual(ids[0::3], ids[2::3])
        self.assertEqual(self.data("a"), list(range(0, 300, 3)))

    def test_a_batch_may_repeat_keys_of_others_and_its_own(self):
        g = self.gateway
        first = self.publish("a", "first", "k1")["id"]
        with Publisher(g) as p:
            status, _, receipt = p.batch(lines(
                [{"channel": "a", "key": k, "data": k}
                 for k in ("k1", "k2", "k2", "k3", "k1")]))
        ids = receipt["ids"]
        self.assertEqual((status, receipt["count"], receipt["duplicates"]),
                         (201, 5, 3))
        self.assertEqual((ids[0], ids[4], ids[1]), (first, first, ids[2]))
        self.assertEqual(len(set(ids)), 3)
        self.assertEqual(self.data("a"), ["first", "k2", "k3"])

    def test_deleting_a_channel_does_not_make_a_retry_a_new_event(self):
        g = self.gateway
        first = self.publish("a", 1, "k")
        g.api("DELETE", "/v1/channels/a")
        self.assertEqual(self.publish("a", 1, "k")["id"], first["id"])
        self.assertEqual(self.data("a"), [])

    def test_a_key_is_forgotten_when_it_is_too_old(self):
        g = self.gateway
        first = self.publish("a", 1, "k")
        self.publish("a", 2, "other")
        g.stop()
        # Nobody waits a day: the key is made that old.
        with sqlite3.connect(g.store) as db:
            db.execute("UPDATE idempotency SET time = time - 86400000 - 60000")
        db.close()
        g.start()
        again = self.publish("a", 1, "k")
        self.assertIs(again["duplicate"], False)
        self.assertNotEqual(again["id"], first["id"])
        self.assertEqual(self.publish("a", 1, "k")["id"], again["id"])

        def keys():
            with sqlite3.connect(g.store) as db:
                found = [k for (k,) in
                         db.execute("SELECT key FROM idempotency")]
            db.close()
            return found

        g.until(lambda: keys() == ["k"], "the old key removed")


class Acknowledged(Scenario):
    """What was acknowledged is there, whenever the process ends."""

    def test_a_kill_right_behind_an_acknowledgement_loses_nothing(self):
        g = self.gateway
        acknowledged = {}
        for round in range(10):
            with Wire(g.api_port) as w:
                w.send(b"".join(post(events_path("a"), f"[{round},{n}]")
                                for n in range(400)))
                for n in range(20 + 10 * round):
                    status, _, body = w.response()
                    self.assertEqual(status, 201)
                    acknowledged[json.loads(body)["id"]] = [round, n]
                g.kill9()
                # Some more were on their way when it ended.
                more = w.rest().count(b'"duplicate":false')
            g.start()
            stored = self.stored()
            for id, data in acknowledged.items():
                self.assertEqual(stored[id], data)
            mine = [d for d in stored.values() if d[0] == round]
            self.assertEqual(mine, [[round, n] for n in range(len(mine))])
            self.assertGreaterEqual(len(mine), 20 + 10 * round + more)

    def stored(self):
        stored, cursor, more = {}, "start", True
        while more:
            answer = self.gateway.poll("a", after=cursor, limit=1000)
            stored.update((e["id"], e["data"]) for e in answer["events"])
            cursor, more = answer["cursor"], answer.get("more")
        return stored

    def test_ids_grow_over_every_end_and_none_is_given_twice(self):
        g = self.gateway
        ids = []
        for end in (g.kill9, g.stop) * 3:
            ids += g.batch([{"channel": "a", "data": n} for n in range(50)])
            end()
            g.start()
        numbers = [int(i.split("-")[1]) for i in ids]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertEqual(list(self.stored()), ids)


class FullQueue(Scenario):
    conf = "publish-queue-events = 64"

    def test_what_has_no_room_is_refused_and_the_rest_is_stored(self):
        g = self.gateway
        g.publish("a", "before")
        # Nothing is committed while somebody else writes to the store.
        lock = sqlite3.connect(g.store, isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        wires = [Wire(g.api_port) for _ in range(4)]
        for n, w in enumerate(wires):
            w.send(post("/v1/events", lines(
                [{"channel": "a", "data": [n, k]} for k in range(64)])))
        # At most one is with the writer and one in the queue; three are refused when the writer took its first late.
        refused = []

        def answered(w):
            status, headers, body = w.response()
            if status == 201:
                return json.loads(body)["ids"]
            is_problem(self, status, headers, json.loads(body), 503)
            self.assertIn("queue is full", json.loads(body)["detail"])
            refused.append(w)
            return []

        while len(refused) < 2:
            ready = select.select([w.s for w in wires], [], [])[0]
            for w in [w for w in wires if w.s in ready]:
                self.assertEqual(answered(w), [], "stored while the store was locked")
                wires.remove(w)
        lock.execute("ROLLBACK")
        lock.close()
        ids = [i for w in wires for i in answered(w)]
        self.assertGreaterEqual(len(ids), 64)
        wires = [w for w in wires if w not in refused]
        events = g.poll("a", after="start", limit=1000)["events"][1:]
        self.assertEqual(sorted(ids, key=lambda i: int(i.split("-")[1])),
                         [e["id"] for e in events])
        g.until_metric(0, "publish_queue_events")
        for w in refused:
            # And who was refused may try again.
            w.send(post(events_path("a"), "again"))
            self.assertEqual(w.response()[0], 201)
            w.close()
        for w in wires:
            w.close()

    def test_a_batch_larger_than_the_queue_is_taken_when_it_is_alone(self):
        self.assertEqual(len(self.gateway.batch(
            [{"channel": "a", "data": n} for n in range(1000)])), 1000)


if __name__ == "__main__":
    main()
