"""Judges what one connection heard: the oracle, the same for all transports.

What is received is in order, and nothing twice; what was published is
received, or lies in a gap that was told; a gap has something in it that is
lost, and could be; nothing is of another channel, or of a life of the channel
that had ended before.
"""

from model_log import NEVER, SHARED

KICKED, DELETED, GOODBYE = (4403, 403), (4410, 410), (1000,)
DRAINED, EXPIRED = (1012, 503), (4401, 401)
LATE, EARLY = 2, 0.1  # seconds: what the end of a token may be off


class Wrong(AssertionError):
    pass


def expect(truth, *what):
    if not truth:
        raise Wrong(*what)


class Follow:
    """One subscription of one channel: all up to `at` is received or told."""

    def __init__(self, channel, start, began):
        self.channel, self.start, self.began = channel, start, began
        self.since = NEVER      # it was in force by then
        self.at = start.value if start.kind == "cursor" else 0
        self.fresh = start.fresh
        self.alone = False
        self.hole = False       # told, but not up to where
        self.first = None       # what comes next, as a gap says
        self.useless = start.kind if start.kind in ("epoch", "ahead") else None


class Check:
    def __init__(self, log, story, kicks):
        self.log, self.story, self.kicks = log, story, kicks
        self.polls = story.way in ("long", "short", "history")
        self.quiet = story.way == "ws raw"
        self.follows = {}
        self.joined_at = 0
        self.got, self.losses, self.gaps = [], 0, 0
        self.lost_any = False   # a poll has one gap for all of its channels
        self.next_joined = None
        self.heard = set()      # of ids that nobody knows
        for c in story.channels:
            self.follows[c] = Follow(c, story.start, story.began)

    def run(self):
        for n, (t, what, *rest) in enumerate(self.story.entries):
            try:
                getattr(self, "on_" + what)(t, *rest)
            except Wrong as e:
                lines = str(self.story).split("\n")
                e.add_note("\n".join([
                    lines[0], *lines[max(1, n - 60):n + 1],
                    ">>" + lines[n + 1], *lines[n + 2:n + 12]]))
                raise
        self.check_last()

    def joined(self):
        return [f for f in self.follows.values() if not f.alone]

    def group(self, channel):
        f = self.follows.get(channel)
        return self.joined() if f is None or not f.alone else [f]

    # What makes and ends subscriptions.

    def on_hello(self, t, cursor):
        start = self.story.start
        if start.kind == "cursor":
            expect(cursor == start.value, "hello has another cursor", cursor)
        for f in self.follows.values():
            f.since = t
            self.begin_live(f, cursor)

    def on_open(self, t):
        for f in self.follows.values():
            f.since = t

    def begin_live(self, f, cursor):
        if f.start.kind != "live":
            return
        f.at = cursor
        expect(cursor >= self.log.head_before(f.began),
               "live is older than what was acknowledged", f.channel, cursor)

    def on_follow(self, t, channel, start, began, cursor):
        expect(channel not in self.follows, "a second subscription", channel)
        f = self.follows[channel] = Follow(channel, start, began)
        f.since = t
        f.alone = start.kind != "live"
        self.begin_live(f, cursor)

    def on_unfollow(self, _, channel):
        expect(channel in self.follows, "not subscribed", channel)
        if self.next_joined and self.channel_of(self.next_joined) == channel:
            self.next_joined = None
        del self.follows[channel]

    def on_refused(self, _, op, channel, code):
        expect(code in ("subscribed", "not-found"), code)
        expect((op == "subscribe") == (channel in self.follows), op, channel)

    def channel_of(self, number):
        e = self.log.by_id.get(number)
        return e and e.channel

    # What comes.

    def event_of(self, number, key):
        if number is not None:
            return self.log.by_id[number]
        # A retry after a kill may have made a second one of it.
        same = sorted((e for e in self.log.by_id.values() if e.key == key),
                      key=lambda e: e.id)
        if not same or self.log.is_tried_again(same[0]):
            expect(same or self.log.by_key[key].id is None, "not stored", key)
            return None  # its id was told to nobody
        f = self.follows.get(same[0].channel)
        at = max(self.joined_at, f.at if f else 0)
        for e in same:
            if e.id > at and not self.log.is_gone(e, self.story.began):
                return e
        # Or the answer to a later try was told to nobody.
        return None if self.log.is_said_again(same[-1]) else same[-1]

    def on_event(self, t, number, _, key):
        e = self.event_of(number, key)
        if e is None:
            self.heard.add(key)
            return
        f = self.follows.get(e.channel)
        expect(f is not None, "of another channel", e)
        expect(e.key == key, "another event's id", e, key)
        self.check_life(f, e, t)
        if f.useless and not self.quiet:
            raise Wrong("no word of the cursor", f.useless, e)
        if f.start.kind == "live" and self.quiet and f.at == 0:
            f.at = e.id - 1
        expect(e.id > f.at, "again, or out of order", e, f.at)
        if f.first is not None:
            expect(e.id == f.first, "not what the gap says", e, f.first)
        if not f.alone:
            self.check_order(e, t)
        else:
            self.complete(f, e.id, t)
        f.at, f.fresh, f.hole, f.first = e.id, False, False, None
        self.got.append(e)

    def check_order(self, e, t):
        expect(e.id > self.joined_at, "out of order", e, self.joined_at)
        expect(self.next_joined in (None, e.id),
               "not what the gap says", e, self.next_joined)
        self.next_joined = None
        self.joined_at = e.id
        for f in self.joined():
            if not (f.start.kind == "live" and self.quiet and f.at == 0):
                self.complete(f, e.id, t)

    def check_life(self, f, e, t):
        expect(e.began < self.story.valid + LATE, "without a token", e)
        expect(not self.log.is_deleted(e, f.began), "it was deleted", e)
        expect(not self.log.is_gone(e, f.began), "memory was lost", e)
        expect(not self.log.is_of_a_later_life(e, f.since),
               "of the channel's next life", e)
        # Further ones may be in a window: they are no harm.
        expect(self.got or not self.log.is_past(e, f.began, t),
               "more than is kept", e, self.log.room(e, t))

    def complete(self, f, before, t):
        """Nothing was passed over that is not told."""
        newest = 0
        if f.start.kind == "last" and f.fresh:
            newest = self.log.nth_newest(
                self.story.channels, f.start.value, t)
        for e in self.log.between(f.channel, f.at, before):
            if e.id < newest or e.key in self.heard:
                continue
            if f.start.kind == "live" and self.quiet and e.began < f.since:
                continue
            told = f.fresh or f.hole or self.lost_any or self.quiet
            expect(told, "lost in silence", e, "before", before,
                   self.log.room(e, t))
            expect(self.log.may_be_lost(e, t), "lost without need", e,
                   self.log.room(e, t))
            self.losses += 1
        f.at = max(f.at, before - 1)

    def on_gap(self, t, reason, after, first, channel):
        self.gaps += 1
        if reason in ("epoch", "ahead"):
            self.gap_at_the_beginning(reason, first, channel)
        elif channel is None and len(self.follows) > 1:
            self.gap_of_a_poll(t, after, first)
        else:
            self.gap_of(self.follows.get(
                channel or next(iter(self.follows), None)), t, after, first)

    def gap_at_the_beginning(self, reason, first, channel):
        group = [f for f in self.group(channel) if f.useless]
        # Who has left all that it began with hears of its cursor as well.
        expect(group or channel is None and reason == self.story.start.kind,
               "the cursor was of use", reason)
        for f in group:
            expect(f.useless == reason, f.useless, reason)
            f.useless = None
            if channel:
                f.first = first
        if not channel and first is not None and \
                self.channel_of(first) in self.follows:
            self.next_joined = first

    def gap_of_a_poll(self, t, after, first):
        expect(self.polls, "a gap of nobody's")
        self.lost_any = True
        expect(any(self.missing(f, after, first, t) or
                   self.log.is_unknown(f.channel, after, t)
                   for f in self.follows.values()), "nothing is lost", after)

    def missing(self, f, after, first, t):
        return [e for e in self.log.between(f.channel, after, first or NEVER)
                if e.began < t]

    def gap_of(self, f, t, after, first):
        expect(f is not None, "a gap of another channel", after, first)
        low, high = sorted((after, f.at))
        passed = self.log.between(f.channel, low, high + 1)
        expect(f.fresh or f.hole or not passed, "it goes on elsewhere",
               after, f.at, passed[:5])
        start = max(after, f.at)
        lost = self.missing(f, start, first, t)
        expect(lost or self.log.is_unknown(f.channel, start, t),
               "nothing is lost", f.channel, f.at, after, first)
        f.fresh = False
        if first is None:
            expect(self.log.is_unknown(f.channel, start, t) or
                   self.log.may_be_lost(lost[0], t),
                   "lost without need", lost[:1])
            f.at, f.hole, f.first = start, True, None
            return
        expect(self.channel_of(first) in (f.channel, None) and (
            first in self.log.by_id or self.log.kills or
            self.log.unheard(f.channel, t)),
               "first of another", first)
        for e in lost:
            expect(self.log.may_be_lost(e, t), "lost without need", e,
                   self.log.room(e, t))
        self.losses += len(lost)
        f.at, f.hole, f.first = first - 1, False, first

    def on_caughtup(self, t, cursor, channel):
        group = [self.follows[channel]] if channel in self.follows else \
            self.joined() if channel is None else []
        for f in group:
            if self.polls:
                self.begin_live(f, cursor)
            expect(not f.useless, "no word of the cursor", f.useless)
            expect(cursor >= f.at, "caught up with less", cursor, f.at)
            self.complete(f, cursor + 1, t)
            f.alone = f.fresh = f.hole = False

    def on_end(self, t, code, body=""):
        """Nobody is sent away without need."""
        killed = any(self.story.began < k.done and k.began < t
                     for k in self.log.kills)
        kicked = self.story.connection in self.kicks or (
            not self.story.connection and self.kicks)
        deleted = any(self.story.began < d.done + self.log.late and
                      d.began < t for c in self.follows
                      for d in self.log.deletes[c])
        expired = any(token.ends <= t + EARLY for token in self.story.tokens)
        expect(self.story.way == "history" and code == 404 or
               expired and code in (None, *EXPIRED) or
               kicked and code in (None, *KICKED) or
               deleted and code in (None, *DELETED) or
               killed and code in (None, *DRAINED) or code in GOODBYE,
               "it was ended", code, body, [
                   (d.began, d.done) for c in self.follows
                   for d in self.log.deletes[c]])

    def is_expired(self):
        """Its token has ended it."""
        *_, last = [None, *self.story.entries]
        return bool(last) and last[1] == "end" and last[2] in EXPIRED

    def check_last(self):
        start = self.story.start
        if start.kind != "last" or any(
                what == "follow" for _, what, *_ in self.story.entries):
            return
        head = self.log.head_before(self.story.began)
        # Further ones, which are not kept any more, may be in a window.
        old = [e for e in self.got if e.id <= head and not
               self.log.is_past(e, self.story.began + SHARED, NEVER)]
        expect(len(old) <= start.value, "more than the newest", len(old),
               start.value)
