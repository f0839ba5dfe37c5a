"""What was published and what may be gone of it: the model of the log.

Threads tell the log what they do, before and after: what an event was sent for
and when it was acknowledged, when a channel was deleted, the daemon killed, a
kind of channel given other limits. The answers to questions are about what has
to be so whatever the order was of things that overlapped.
"""

import bisect
import copy
import itertools
import json
import threading
import time
import zlib

NEVER = float("inf")
PAGE = 4096   # bytes: what a row takes beside its own, at most
SHARED = 1.5  # seconds: what was read is there for others for one


class Setting:
    """A value that reloads change, and when which one may be in force."""

    def __init__(self, value, fixed=False):
        self.fixed = fixed
        self.steps = [(value, Period(0))]
        self.steps[0][1].end()

    @property
    def value(self):
        return self.steps[-1][0]

    def change(self, value):
        """From somewhere in the period that is returned."""
        self.steps.append((value, Period()))
        return self.steps[-1][1]

    def during(self, begin, end):
        """All values that some moment between the two may have seen."""
        return {value for value, _ in self.steps
                if any(began <= end and done >= begin
                       for began, done in self.spans(value))}

    def spans(self, value):
        """From when until when it may have been that."""
        ends = [p.done for _, p in self.steps[1:]] + [NEVER]
        return [(p.began, done) for (v, p), done in zip(self.steps, ends)
                if v == value]


class Kind:
    """Channels of one `channel` block: `keep` events, in memory alone or not.

    Of those in memory, windows have everything: no more than `window` events,
    and if they are `tight` perhaps none. `send` is what becomes of messages.
    Of others, nothing is kept that is older than `age` seconds, or has so many
    `bytes` above it.
    """

    def __init__(self, name, keep, memory=False, send=None, age=NEVER,
                 size=NEVER):
        self.name, self.age, self.bytes = name, age, size
        self.durability = Setting("memory" if memory else "normal")
        self.send = Setting(send or "publish", fixed=bool(send))
        self.tight, self.window = False, NEVER
        self.closed = False     # to those without a token
        self.keeps = [(0, keep)]  # since when, how many

    def conf(self):
        return (f'channel "{self.name}*" {{ history-events = '
                f'{self.keeps[-1][1]}  durability = {self.durability.value}'
                f'  send = {self.send.value}' +
                '  subscribe = token' * self.closed +
                f'  history-age = "{self.age}s"' * (self.age < NEVER) +
                f'  history-bytes = {self.bytes}' * (self.bytes < NEVER) +
                ' }\n')

    def was_memory(self, begin, end):
        return "memory" in self.durability.during(begin, end)

    def kept(self, begin, end):
        """All numbers that were in force at some time between the two."""
        since = [i for i, (t, _) in enumerate(self.keeps) if t <= begin]
        # A reload takes time: what it replaces holds until the one after.
        first = max(0, since[-1] - 1)
        counts = [n for t, n in self.keeps[first:] if t <= end]
        modes = self.durability.during(begin, end)
        return (counts if modes != {"memory"} else []) + (
            [min(n, self.window) for n in counts] if "memory" in modes else [])


class Event:
    def __init__(self, key, channel, data, began):
        self.key, self.channel = key, channel
        self.size, self.sum = len(data), zlib.crc32(data.encode())
        self.json_size = len(json.dumps(data))  # as which it may be stored
        self.began, self.acked, self.id = began, NEVER, None
        self.tries = []         # when it was sent
        self.over = NEVER       # without an answer: stored by then, or not
        self.durable = None     # as its answer says
        self.refused = False    # no event, and never one

    def has(self, data):
        return len(data) == self.size and zlib.crc32(data.encode()) == self.sum

    def __repr__(self):
        return f"{self.channel}/{self.id} ({self.key})"


class Period:
    """Something that was done between two times: a DELETE, a kill."""

    def __init__(self, began=None):
        self.began = time.monotonic() if began is None else began
        self.done, self.sure = NEVER, False

    def end(self, sure=True):
        self.done, self.sure = time.monotonic(), sure

    def __repr__(self):
        return f"{self.began:.3f}-{self.done:.3f}"


class Log:
    """Everything that was published, by key, by id and by channel."""

    def __init__(self, channels):
        self.kinds = channels  # name: Kind
        self.changed = threading.Condition()
        self.by_key, self.by_id = {}, {}
        self.deletes = {c: [] for c in channels}
        self.kills = []
        self.acked_count = 0
        self.capacity = NEVER   # bytes that the store has for all
        self.repeated = 0
        # Seconds: libmicrohttpd reads requests while the worker has yet to
        # hear what other threads have told it.
        self.late = 0
        self.numbers = itertools.count()

    # What is done.

    def draft(self, channel, size):
        """A new event, its text; publishing() is told of each try."""
        key = f"k{next(self.numbers)}"
        data = f"{key} {channel} " + "ab 7\n" * (size // 5)
        return key, data + "\x01" * (size // 50) + "."

    def publishing(self, key, channel, data):
        with self.changed:
            now = time.monotonic()
            e = self.by_key.setdefault(key, Event(key, channel, data, now))
            e.tries.append(now)

    def acknowledged(self, key, number, durable=None):
        """Again, for a repeated one: it has to be the same event."""
        with self.changed:
            e = self.by_key[key]
            if e.id is not None:
                self.repeated += 1
                assert e.id == number or self.is_forgotten(e), (
                    "a second event for its key", e, number, e.began, e.acked,
                    e.tries, self.kills, self.kinds[e.channel].durability.steps)
                e = copy.copy(e)
            assert not e.refused, ("stored, and refused", e, number)
            if number in self.by_id:
                assert self.by_id[number].key == key, (e, self.by_id[number])
                return
            e.id, e.acked, e.durable = number, time.monotonic(), durable
            self.by_id[number] = e
            self.acked_count += 1
            self.changed.notify_all()

    def refused(self, key):
        """The answer says that there is no event of it, nor will be."""
        with self.changed:
            assert self.by_key[key].id is None, ("refused, and stored", key)
            self.by_key[key].refused = True

    def is_over(self, key):
        """Of what was not answered: nothing comes of it that is not there."""
        with self.changed:
            self.by_key[key].over = time.monotonic()

    def is_forgotten(self, event):
        """Keys of channels in memory go with the process."""
        return "memory" in self.modes(event) and any(
            k.done > event.began for k in self.kills)

    def modes(self, e):
        """How durable it may be."""
        return {e.durable} if e.durable else self.kinds[
            e.channel].durability.during(e.began, e.acked)

    def wait_count(self, count, guard):
        with self.changed:
            assert self.changed.wait_for(
                lambda: self.acked_count >= count, guard), "no progress"

    def delete(self, channel):
        with self.changed:
            self.deletes[channel].append(Period())
            return self.deletes[channel][-1]

    def kill(self):
        with self.changed:
            self.kills.append(Period())
            return self.kills[-1]

    def keep(self, kind, count):
        with self.changed:
            kind.keeps.append((time.monotonic(), count))

    # What follows from it, when nothing is published any more.

    def settle(self, seen):
        """
        `seen`: the keys of what was received, by id. A try that was not
        acknowledged has left an event or not: clients know.
        """
        stored = {key for key, e in self.by_key.items() if e.id is not None}
        for number, key in seen.items():
            e = self.by_key[key]
            assert not e.refused, ("refused, and heard of", e, number)
            if number in self.by_id:
                continue
            # In memory, a retry after a kill finds nothing of the first try.
            assert key not in stored or self.is_forgotten(e), (
                "a second id", e, number)
            stored.add(key)
            again = self.by_id[number] = copy.copy(e)
            again.id, again.acked = number, NEVER
        self.unanswered = [e for e in self.by_key.values()
                           if e.id is None and not e.refused]
        for e in self.unanswered:
            e.over = min([e.over] + [k.done for k in self.kills
                                     if k.began > e.began])
        self.by_channel = {c: [] for c in self.kinds}
        for number in sorted(self.by_id):
            e = self.by_id[number]
            self.by_channel[e.channel].append(e)
        for k in self.kills:
            k.first_behind = self.first_behind(k.done)
        self.ids = {c: [e.id for e in events]
                    for c, events in self.by_channel.items()}
        self.sum_up()
        answers = sorted((e.acked, e.id) for e in self.by_id.values())
        self.answered = [t for t, _ in answers]
        self.heads = [0, *itertools.accumulate((i for _, i in answers), max)]
        for e in self.by_id.values():
            assert self.head_before(e.began) < e.id, (
                "older than what was answered before", e)

    def sum_up(self):
        """How many bytes the first so many ids have; how many began when."""
        self.all_ids = sorted(self.by_id)
        self.sums = [0, *itertools.accumulate(
            self.by_id[n].json_size + PAGE for n in self.all_ids)]
        begun = sorted((self.by_id[n].began, at + 1)
                       for at, n in enumerate(self.all_ids))
        self.begun = [t for t, _ in begun]
        self.newest = [0, *itertools.accumulate((n for _, n in begun), max)]

    def between(self, channel, after, before):
        """Events of the channel with after < id < before."""
        ids = self.ids[channel]
        return self.by_channel[channel][bisect.bisect_right(ids, after):
                                        bisect.bisect_left(ids, before)]

    def may_be_deleted(self, e, by=NEVER):
        return any(d.began < by and e.began < d.done
                   for d in self.deletes[e.channel])

    def is_deleted(self, e, by):
        """Surely, and that was answered before `by`."""
        return any(e.acked < d.began and d.done < by - self.late and d.sure
                   for d in self.deletes[e.channel])

    def is_gone(self, e, by):
        """It was in memory, and killed with it."""
        return self.modes(e) == {"memory"} and any(
            e.began < k.began and k.done < by and not (
                k.began < e.acked < NEVER or
                e.acked == NEVER and e.tries[-1] > k.began)
            for k in self.kills)

    def is_tried_again(self, e):
        """In memory, and what came of the first try went with a kill."""
        return "memory" in self.modes(e) and any(
            e.began < k.done and k.began < e.acked for k in self.kills)

    def is_said_again(self, e):
        """In memory, and sent once more behind a kill."""
        return "memory" in self.modes(e) and any(
            e.acked < k.done and e.tries[-1] > k.began for k in self.kills)

    def is_of_a_later_life(self, e, since):
        """The channel was deleted in between: who was there then has ended."""
        return any(since < d.began and d.done < e.began and d.sure
                   for d in self.deletes[e.channel])

    def may_be_lost(self, e, by):
        """Somebody who was told of it by then may have missed the event."""
        kind = self.kinds[e.channel]
        if self.may_be_deleted(e, by) or \
                self.stored_above(e, by) >= self.capacity:
            return True
        if kind.was_memory(e.began, by) and (kind.tight or any(
                e.began < k.done and k.began < by for k in self.kills) or
                self.is_behind_hole(e, by)):
            return True
        if by - e.began >= kind.age or self.bytes_above(e, by) >= kind.bytes:
            return True
        room = min(kind.kept(e.began, by)) - self.unheard(
            e.channel, by, e.began)
        newer = (n for n in self.between(e.channel, e.id, NEVER)
                 if n.began < by)
        return room <= 0 or sum(
            1 for _ in itertools.islice(newer, room)) >= room

    def is_behind_hole(self, e, by):
        """
        Something was in memory alone, and then something stored: what is older
        is no history any more, once somebody has asked for it.
        """
        if len(self.kinds[e.channel].durability.steps) == 1:
            return False
        if self.unheard(e.channel, by, e.began):
            return True
        hole = False
        for n in self.between(e.channel, e.id - 1, NEVER):
            modes = self.modes(n) if n.began < by else ()
            if hole and modes != {"memory"}:
                return True
            hole = hole or "memory" in modes
        return False

    def stored_above(self, e, by):
        """So many bytes the store may have behind the event, at most."""
        newest = self.newest[bisect.bisect_left(self.begun, by)]
        unheard = sum(u.size for u in self.unanswered if u.began < by)
        return unheard + max(0, self.sums[newest] - self.sums[
            bisect.bisect_right(self.all_ids, e.id)])

    def bytes_above(self, e, by):
        """So many bytes may have come behind the event, at most."""
        if self.kinds[e.channel].bytes == NEVER:
            return 0
        unheard = (u for u in self.unanswered
                   if u.channel == e.channel and u.over > e.began)
        newer = self.between(e.channel, e.id, NEVER)
        return sum(n.json_size for n in itertools.chain(newer, unheard)
                   if n.began < by)

    def unheard(self, channel, by, since=0):
        """So many may have been stored between the two without an answer."""
        return sum(1 for e in self.unanswered
                   if e.channel == channel and since < e.over and e.began < by)

    def is_unknown(self, channel, after, by):
        """There may be events behind that id of which nobody has heard."""
        if self.unheard(channel, by):
            return True
        # What was in memory before a kill; perhaps sent again behind it.
        if any(e.began < by and self.is_tried_again(e)
               for e in self.by_channel[channel]):
            return True
        return any(
            k.began < by and k.done > began and
            after < min(k.first_behind, self.first_behind(done))
            for began, done in self.kinds[channel].durability.spans("memory")
            for k in self.kills)

    def first_behind(self, when):
        """The first id of what was sent later."""
        return min((e.id for e in self.by_id.values() if e.began > when),
                   default=NEVER)

    def room(self, e, by):
        """For messages: what is known of why it may be lost, or may not."""
        newer = [n for n in self.between(e.channel, e.id, NEVER)
                 if n.began < by]
        deletes = [(d.began, d.done) for d in self.deletes[e.channel]]
        return (f"{len(newer)} newer, {self.stored_above(e, by)} bytes, "
                f"{self.unheard(e.channel, by)} unheard, "
                f"kept {self.kinds[e.channel].keeps}, began {e.began:.3f}, "
                f"acked {e.acked:.3f}, kills "
                f"{[(k.began, k.done) for k in self.kills]}, durability "
                f"{self.kinds[e.channel].durability.steps}, "
                f"DELETEs {deletes}")

    def is_past(self, e, since, by):
        """More than are kept were there above it, ever since then."""
        since -= SHARED
        kind = self.kinds[e.channel]
        room = max(kind.kept(since, by))
        newer = [n for n in self.between(e.channel, e.id, NEVER)
                 if n.acked < since and not self.may_be_deleted(n)]
        return e.acked < since and (
            len(newer) >= room or since - e.acked > kind.age or
            sum(n.size for n in newer) >= kind.bytes)

    def nth_newest(self, channels, n, by):
        """The id that so many events of the channels have, or more."""
        ids = sorted(e.id for c in channels for e in self.by_channel[c]
                     if e.began < by)
        n -= sum(self.unheard(c, by) for c in channels)
        if n <= 0:
            return NEVER
        return ids[-n] if n <= len(ids) else 0

    def head_before(self, when):
        """Everything that was acknowledged by then has this id or less."""
        return self.heads[bisect.bisect_left(self.answered,
                                             when - self.late)]
