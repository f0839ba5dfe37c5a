#include "storage/history.h"

#include "proxy/base/clock.h"
#include "proxy/base/err.h"
#include "tests/storage/engines.h"
#include "tests/suite.h"

/*
 * History against a naive model: a list of all events ever, each with what the
 * rule of its channel says of it. Schedules are random and the same in every
 * run. Rows that are not kept may be removed or still be there, in any mixture:
 * the answers are the model's either way.
 */
enum {
	ROOMS = 5,
	ENTRIES_MAX = 600,
	ROUNDS = 12,
	QUERIES = 15,
	SEEDS = 3,
	HOUR_MS = 3600000,
};

static const struct {
	const char *name;
	struct policy policy;
} rooms[ROOMS] = {
	{ "all", { .history_events = UINT64_MAX } },
	{ "few", { .history_events = 17 } },
	{ "light", { .history_events = UINT64_MAX, .history_bytes = 900 } },
	{ "recent", { .history_events = 80, .history_age_ms = HOUR_MS } },
	{ "none", { .history_events = 0 } },
};

struct entry {
	uint64_t id, time_ms;
	uint32_t size;
	unsigned room;
	bool kept, removed;
};

struct town {
	struct world world;
	struct store *store;
	const struct store_ops *ops;
	struct store_reader *reader;
	struct scribe rooms[ROOMS];
	struct entry entries[ENTRIES_MAX];
	size_t count;
	uint64_t floor;   /* of the log */
	uint64_t time_ms; /* of the next event */
	uint64_t now_ms;  /* not the clock's */
	uint64_t random;
};

static uint32_t
below(struct town *t, uint32_t n)
{
	return random_below(&t->random, n);
}

/* Times begin a day before its own present, which stands still. */
static void
town_open(struct town *t, int engine, uint64_t seed)
{
	*t = (struct town){ .random = seed * 7919 + 1 };
	t->now_ms = clock_unix_ms() + 1000 * (uint64_t)HOUR_MS;
	t->time_ms = t->now_ms - 24 * (uint64_t)HOUR_MS;
	scratch_make();
	world_init(&t->world);
	t->store = engine_open(engine);
	t->ops = t->store->ops;
	engine_begin(t->store);
	for (unsigned i = 0; i < ROOMS; i++) {
		struct policy policy = rooms[i].policy;

		policy.durability = DURABILITY_NORMAL;
		world_rule(&t->world, rooms[i].name, policy);
		scribe_init(&t->rooms[i], t->store,
		    world_channel(&t->world, rooms[i].name), i + 1);
	}
	engine_commit(t->store);
	t->reader = engine_reader(t->store);
}

static void
town_close(struct town *t)
{
	t->ops->reader_close(t->reader);
	t->ops->close(t->store);
	for (unsigned i = 0; i < ROOMS; i++)
		scribe_fini(&t->rooms[i]);
	ck_assert_uint_eq(event_memory(), 0);
	world_fini(&t->world);
	scratch_remove();
}

/*
 * What is kept, from the newest event to the oldest: so many newer ones, so
 * many newer bytes, so old.
 */
static void
town_judge(struct town *t)
{
	uint64_t newer[ROOMS] = { 0 }, bytes[ROOMS] = { 0 }, now = t->now_ms;

	for (size_t i = t->count; i > 0; i--) {
		struct entry *e = &t->entries[i - 1];
		const struct channel *c = t->rooms[e->room].channel;
		const struct policy *p = channel_policy(c);

		e->kept = !e->removed && newer[e->room] < p->history_events &&
		    (p->history_bytes == 0 ||
			bytes[e->room] < p->history_bytes) &&
		    (p->history_age_ms == 0 ||
			e->time_ms + p->history_age_ms >= now) &&
		    e->id > t->floor && e->id > channel_floor(c);
		newer[e->room]++;
		bytes[e->room] += e->size;
	}
}

/* One transaction of some events, with holes between their ids. */
static void
town_write(struct town *t, unsigned n)
{
	engine_begin(t->store);
	for (; n > 0 && t->count < ENTRIES_MAX; n--) {
		struct entry *e = &t->entries[t->count];
		struct scribe *w;

		e->room = below(t, 4) == 0 ? 0 : below(t, ROOMS);
		e->size = below(t, 20) == 0 ? 1000 : below(t, 100);
		e->id =
		    (t->count == 0 ? 0 : e[-1].id) + 1 + below(t, 3) / 2 * 5;
		e->time_ms = t->time_ms += below(t, 3);
		w = &t->rooms[e->room];
		scribe_write(w, t->store, make_sized_event(w->channel, e->size),
		    e->id, e->time_ms);
		t->count++;
	}
	engine_commit(t->store);
	for (unsigned i = 0; i < ROOMS; i++)
		scribe_publish(&t->rooms[i]);
	town_judge(t);
}

/* Remove what is not kept, so many in a hundred of it, one row at a time. */
static void
town_sweep(struct town *t, unsigned percent)
{
	engine_begin(t->store);
	for (size_t i = 0; i < t->count; i++) {
		struct entry *e = &t->entries[i];

		if (e->kept || e->removed || below(t, 100) >= percent)
			continue;
		ck_assert_int_eq(t->ops->remove(t->store, e->id, e->id), SW_OK);
		e->removed = true;
	}
	engine_commit(t->store);
}

/* The questions, and the model's answers. */

struct answer {
	const struct entry *events[ENTRIES_MAX];
	size_t count;
	bool more;
	struct {
		uint64_t first;
		bool gap;
		bool either; /* who knows: a gap may be claimed */
	} parts[ROOMS];
};

static unsigned
room_of(const struct town *t, const struct history_part *p)
{
	for (unsigned i = 0; i < ROOMS; i++)
		if (t->rooms[i].channel == p->channel)
			return i;
	ck_abort_msg("a channel from elsewhere");
	return 0;
}

/* Is the entry one that this part asks for, kept or not? */
static bool
asked(const struct town *t, const struct history_query *q,
    const struct history_part *p, const struct entry *e)
{
	return e->room == room_of(t, p) && e->id <= p->newest &&
	    (q->last > 0 || e->id > p->after) &&
	    (q->upto == 0 || e->id <= q->upto);
}

/*
 * When everything down to `upto` is gone, removed rows may have hidden whether
 * there was anything between the cursor and `upto`.
 */
static bool
way_is_gone(const struct town *t, const struct history_query *q,
    const struct history_part *p)
{
	if (q->upto == 0 || p->newest <= q->upto)
		return false;
	for (size_t i = 0; i < t->count; i++) {
		const struct entry *e = &t->entries[i];

		if (e->room == room_of(t, p) && e->id > q->upto)
			return !e->kept;
	}
	return false;
}

static void
expect_part(const struct town *t, const struct history_query *q, size_t at,
    struct answer *a, bool *wanted)
{
	const struct history_part *p = &q->parts[at];

	a->parts[at].either = way_is_gone(t, q, p) && p->newest > p->after;
	for (size_t i = 0; i < t->count; i++) {
		const struct entry *e = &t->entries[i];

		if (!asked(t, q, p, e))
			continue;
		if (e->kept)
			wanted[i] = true;
		else if (q->last == 0)
			a->parts[at].gap = true;
	}
}

/* Leave the newest `n` alone. */
static void
only_last(const struct town *t, bool *wanted, uint64_t n)
{
	for (size_t i = t->count; i > 0; i--)
		if (wanted[i - 1] && n-- == 0) {
			memset(wanted, 0, i * sizeof(*wanted));
			return;
		}
}

static void
expect(const struct town *t, const struct history_query *q, struct answer *a)
{
	bool wanted[ENTRIES_MAX] = { false };
	size_t bytes = 0;

	*a = (struct answer){ .count = 0 };
	for (size_t k = 0; k < q->part_count; k++)
		expect_part(t, q, k, a, wanted);
	if (q->last > 0)
		only_last(t, wanted, q->last);
	for (size_t i = 0; i < t->count; i++) {
		const struct entry *e = &t->entries[i];

		if (!wanted[i])
			continue;
		for (size_t k = 0; k < q->part_count; k++)
			if (asked(t, q, &q->parts[k], e) &&
			    a->parts[k].first == 0)
				a->parts[k].first = e->id;
		if (a->more || a->count == q->limit ||
		    (a->count > 0 && bytes + e->size > q->max_bytes)) {
			a->more = true;
			continue;
		}
		bytes += e->size;
		a->events[a->count++] = e;
	}
}

/* What was asked, for the message of a failure. */
static const char *
describe(const struct town *t, const struct history_query *q)
{
	static char text[512];
	int n = snprintf(text, sizeof(text),
	    "last %llu upto %llu limit %zu bytes %zu floor %llu of %zu:",
	    (unsigned long long)q->last, (unsigned long long)q->upto, q->limit,
	    q->max_bytes, (unsigned long long)q->floor, t->count);

	for (size_t i = 0; i < q->part_count; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n,
		    " %s %llu..%llu", rooms[room_of(t, &q->parts[i])].name,
		    (unsigned long long)q->parts[i].after,
		    (unsigned long long)q->parts[i].newest);
	return text;
}

static void
check_event(const struct town *t, const struct event *e, const struct entry *n,
    const char *question)
{
	ck_assert_msg(e->id == n->id, "%s: id %llu, not %llu", question,
	    (unsigned long long)e->id, (unsigned long long)n->id);
	ck_assert_uint_eq(e->size, n->size);
	ck_assert_uint_eq(e->time_ms, n->time_ms);
	ck_assert_ptr_eq(e->channel, t->rooms[n->room].channel);
}

/* Ask, and compare; `last` changes the cursors, so the model comes first. */
static void
check_query(struct town *t, struct history_query *q)
{
	struct answer a;
	const char *question = describe(t, q);

	expect(t, q, &a);
	ck_assert_int_eq(history_read(t->reader, t->ops, q), SW_OK);
	ck_assert_msg(q->count == a.count, "%s: %zu events, not %zu", question,
	    q->count, a.count);
	for (size_t i = 0; i < a.count; i++)
		check_event(t, q->events[i], a.events[i], question);
	ck_assert_msg(q->more == a.more, "%s: more is %d", question, q->more);
	for (size_t i = 0; i < q->part_count; i++) {
		const struct history_part *p = &q->parts[i];

		ck_assert_msg(p->first == a.parts[i].first,
		    "%s: first is %llu, not %llu", question,
		    (unsigned long long)p->first,
		    (unsigned long long)a.parts[i].first);
		ck_assert_msg(p->gap == a.parts[i].gap ||
			(p->gap && a.parts[i].either && q->last == 0),
		    "%s: part %zu: gap is %d", question, i, p->gap);
	}
	history_query_fini(q);
	ck_assert_uint_eq(q->count, 0);
}

/* A cursor: before all, at or beside some event, at or beyond the head. */
static uint64_t
any_cursor(struct town *t)
{
	const struct entry *e = &t->entries[below(t, (uint32_t)t->count)];
	uint64_t head = t->entries[t->count - 1].id;

	switch (below(t, 8)) {
	case 0:
		return 0;
	case 1:
		return head + below(t, 3);
	case 2:
		return e->id - 1;
	default:
		return e->id;
	}
}

/* From where a part is read down: mostly its head, else any event of it. */
static uint64_t
any_newest(struct town *t, unsigned room)
{
	if (below(t, 3) > 0)
		return t->rooms[room].head;
	for (unsigned tries = 0; tries < 8; tries++) {
		const struct entry *e =
		    &t->entries[below(t, (uint32_t)t->count)];

		if (e->room == room)
			return e->id;
	}
	return 0;
}

static void
ask_anything(struct town *t)
{
	struct history_part parts[ROOMS];
	unsigned shift = below(t, ROOMS);
	struct history_query q = {
		.parts = parts,
		.part_count =
		    below(t, 2) == 0 ? 1 : 1 + (size_t)below(t, ROOMS),
		.upto = below(t, 3) == 0 ? any_cursor(t) : 0,
		.last = below(t, 2) == 0 ? 1 + below(t, 50) : 0,
		.limit = below(t, 3) == 0 ? 1000 : 1 + below(t, 60),
		.max_bytes = below(t, 2) == 0 ? 1 << 20 : below(t, 3000),
		.unix_ms = t->now_ms,
		.floor = t->floor,
	};
	uint64_t after = any_cursor(t);

	for (unsigned i = 0; i < q.part_count; i++) {
		unsigned room = (i + shift) % ROOMS;

		parts[i] = (struct history_part){
			.channel = t->rooms[room].channel,
			.after = below(t, 4) == 0 ? any_cursor(t) : after,
			.newest = any_newest(t, room),
		};
	}
	check_query(t, &q);
}

static void
check_span(const struct town *t, const struct history_span *s, unsigned room)
{
	const struct entry *first = NULL, *last = NULL;

	for (size_t i = 0; i < t->count; i++) {
		const struct entry *e = &t->entries[i];

		if (e->room != room || !e->kept)
			continue;
		first = first == NULL ? e : first;
		last = e;
	}
	ck_assert_uint_eq(s->first.id, first == NULL ? 0 : first->id);
	ck_assert_uint_eq(s->last.id, last == NULL ? 0 : last->id);
}

static void
check_spans(struct town *t)
{
	struct history_span spans[ROOMS];

	for (unsigned i = 0; i < ROOMS; i++)
		spans[i] = (struct history_span){
			.channel = t->rooms[i].channel,
		};
	ck_assert_int_eq(
	    history_spans(t->reader, t->ops, spans, ROOMS, t->floor, t->now_ms),
	    SW_OK);
	for (unsigned i = 0; i < ROOMS; i++)
		check_span(t, &spans[i], i);
}

static void
ask_a_lot(struct town *t)
{
	for (unsigned i = 0; i < QUERIES; i++)
		ask_anything(t);
	check_spans(t);
}

/* How much of what is not kept a sweep removes; each schedule has its own. */
static unsigned
sweep_percent(struct town *t, uint64_t seed)
{
	static const unsigned percents[] = { 0, 100, 50 };

	return seed % 4 == 3 ? below(t, 101) : percents[seed % 4];
}

START_TEST(answers_are_those_of_a_naive_model)
{
	uint64_t seed = (uint64_t)_i / ENGINES;
	struct town t;

	town_open(&t, _i % ENGINES, seed);
	for (unsigned round = 0; round < ROUNDS; round++) {
		/* What is older than this is too old for "recent". */
		if (round == ROUNDS / 2)
			t.time_ms = t.now_ms - HOUR_MS / 2;
		town_write(&t, 1 + below(&t, 80));
		ask_a_lot(&t);
		town_sweep(&t, sweep_percent(&t, seed));
		ask_a_lot(&t);
	}
	town_close(&t);
}
END_TEST

/* A channel's history is dropped, or that of the whole log up to an event. */
START_TEST(nothing_at_or_below_a_floor_is_history)
{
	uint64_t seed = (uint64_t)_i / ENGINES;
	struct town t;

	town_open(&t, _i % ENGINES, seed + 1000);
	t.time_ms = t.now_ms - HOUR_MS / 2;
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned room = below(&t, ROOMS);

		town_write(&t, 1 + below(&t, 60));
		if (round % 3 == 1)
			atomic_store(
			    &t.rooms[room].channel->floor, t.rooms[room].head);
		if (round % 4 == 2)
			t.floor = t.entries[t.count - 1 -
				       below(&t, (uint32_t)t.count / 2)]
				      .id;
		town_judge(&t);
		ask_a_lot(&t);
		town_sweep(&t, sweep_percent(&t, seed));
		ask_a_lot(&t);
	}
	/* And then there is nothing at all. */
	t.floor = t.entries[t.count - 1].id;
	town_judge(&t);
	town_sweep(&t, 100);
	ask_a_lot(&t);
	town_close(&t);
}
END_TEST

/* What was removed under an old policy does not come back with a larger one. */
START_TEST(a_policy_that_keeps_more_finds_what_is_left)
{
	uint64_t seed = (uint64_t)_i / ENGINES;
	struct town t;

	town_open(&t, _i % ENGINES, seed + 2000);
	t.time_ms = t.now_ms - HOUR_MS / 2;
	town_write(&t, 300);
	town_sweep(&t, 100);
	for (unsigned i = 0; i < ROOMS; i++)
		t.world.rules[i].policy.history_events = 60 + i * 40;
	t.world.rules[2].policy.history_bytes = 3000;
	channels_reload(t.world.channels, world_find_policy, &t.world);
	town_judge(&t);
	ask_a_lot(&t);
	for (unsigned round = 0; round < ROUNDS / 2; round++) {
		town_write(&t, 1 + below(&t, 40));
		ask_a_lot(&t);
		town_sweep(&t, 100);
		ask_a_lot(&t);
	}
	town_close(&t);
}
END_TEST

/* The newest N of one channel, all N, with its older rows in the store or not.
 */
START_TEST(the_newest_of_a_channel_are_found_whatever_was_removed)
{
	struct town t;

	town_open(&t, _i, 3);
	t.time_ms = t.now_ms - HOUR_MS / 2;
	town_write(&t, 300);
	for (unsigned swept = 0; swept < 2; swept++) {
		for (uint64_t n = 1; n <= 50 * ROOMS; n++) {
			struct history_part part = {
				.channel = t.rooms[n % ROOMS].channel,
				.newest = t.rooms[n % ROOMS].head,
			};
			struct history_query q = {
				.parts = &part,
				.part_count = 1,
				.last = n / ROOMS + 1,
				.limit = 1000,
				.max_bytes = 1 << 20,
				.unix_ms = t.now_ms,
			};

			check_query(&t, &q);
		}
		town_sweep(&t, 100);
	}
	town_close(&t);
}
END_TEST

/* Rows of the first room, from the one to the other. */
static void
town_tear(struct town *t, size_t from, size_t to)
{
	engine_begin(t->store);
	for (size_t i = from; i < to; i++)
		if (t->entries[i].room == 0)
			ck_assert_int_eq(
			    t->ops->remove(
				t->store, t->entries[i].id, t->entries[i].id),
			    SW_OK);
	engine_commit(t->store);
}

/*
 * One page behind `*after`, of so many rooms. An event of the first room has
 * the one before it, or a gap is told.
 */
static bool
read_page(struct town *t, size_t rooms_asked, uint64_t *after, uint64_t *seen,
    size_t limit)
{
	struct history_part parts[ROOMS];
	struct history_query q = {
		.parts = parts,
		.part_count = rooms_asked,
		.limit = limit,
		.max_bytes = 1 << 20,
		.unix_ms = t->now_ms,
	};
	bool more;

	for (unsigned i = 0; i < rooms_asked; i++)
		parts[i] = (struct history_part){
			.channel = t->rooms[i].channel,
			.after = *after,
			.newest = t->rooms[i].head,
		};
	ck_assert_int_eq(history_read(t->reader, t->ops, &q), SW_OK);
	for (size_t i = 0; i < q.count; i++) {
		const struct event *e = q.events[i];

		ck_assert_uint_gt(e->id, *after);
		*after = e->id;
		if (e->channel != parts[0].channel)
			continue;
		if (e->previous != *seen) {
			ck_assert(parts[0].gap);
			ck_assert_uint_eq(parts[0].first, e->id);
		}
		*seen = e->id;
	}
	more = q.more;
	history_query_fini(&q);
	return more;
}

/*
 * Rows went under a policy that kept less, or a clock that was ahead, and older
 * ones are kept by the policy of today: that is a gap, wherever it is.
 */
START_TEST(a_hole_is_a_gap_and_what_follows_is_there)
{
	static const size_t limits[] = { 1, 7, 33, 1000 };
	size_t wide = 10 + (size_t)_i / ENGINES * 35;
	size_t step = usually(23, 100);

	for (size_t from = 20; from + wide < 280; from += step) {
		size_t round = from / 23;
		uint64_t after = 0, seen = 0;
		struct town t;

		town_open(&t, _i % ENGINES, from);
		town_write(&t, 300);
		town_tear(&t, from, from + wide);
		while (read_page(&t, round % 2 == 0 ? 1 : ROOMS, &after, &seen,
		    limits[round % 4]))
			;
		ck_assert_uint_eq(seen, t.rooms[0].head);
		town_close(&t);
	}
}
END_TEST

/* Asked for more of the newest than are behind the hole. */
START_TEST(the_newest_end_at_a_hole)
{
	for (uint64_t n = 1; n < 200; n += usually(9, 60)) {
		struct town t;
		struct history_part part = { 0 };
		struct history_query q = {
			.parts = &part,
			.part_count = 1,
			.last = n,
			.limit = 1000,
			.max_bytes = 1 << 20,
		};

		town_open(&t, _i, n);
		town_write(&t, 300);
		town_tear(&t, 100, 200);
		q.unix_ms = t.now_ms;
		part.channel = t.rooms[0].channel;
		part.newest = t.rooms[0].head;
		ck_assert_int_eq(history_read(t.reader, t.ops, &q), SW_OK);
		ck_assert_uint_gt(q.count, 0);
		ck_assert_uint_le(q.count, n);
		ck_assert_uint_eq(q.events[q.count - 1]->id, part.newest);
		for (size_t i = 1; i < q.count; i++)
			ck_assert_uint_eq(
			    q.events[i]->previous, q.events[i - 1]->id);
		history_query_fini(&q);
		town_close(&t);
	}
}
END_TEST

SUITE("history", LOOP(answers_are_those_of_a_naive_model, ENGINES *SEEDS),
    LOOP(nothing_at_or_below_a_floor_is_history, ENGINES *SEEDS),
    LOOP(a_policy_that_keeps_more_finds_what_is_left, ENGINES *SEEDS),
    LOOP(the_newest_of_a_channel_are_found_whatever_was_removed, ENGINES),
    LOOP(a_hole_is_a_gap_and_what_follows_is_there, ENGINES *SEEDS),
    LOOP(the_newest_end_at_a_hole, ENGINES))
