#include "storage/forget.h"

#include "storage/history.h"
#include "tests/storage/house.h"
#include "tests/suite.h"

enum { AGE_MS = 3600 * 1000 };

/* Channels whose names begin with "aged" keep events for a second. */
static void
open_house(struct house *h, int engine)
{
	house_open(h, engine);
	world_rule(&h->world, "aged",
	    (struct policy){
		.history_events = UINT64_MAX,
		.history_age_ms = 1000,
		.durability = DURABILITY_NORMAL,
	    });
	atomic_store(&h->writer.janitor.forget.age_ms, AGE_MS);
}

/* Events so old that they are gone after two seconds of housekeeping. */
static void
store_old(struct house *h, const char *name, unsigned count)
{
	house_store(h, name, count, 10, h->now_ms - 2 * AGE_MS);
}

static void
sweep(struct house *h)
{
	house_second(h); /* saves where chains end */
	house_second(h);
}

/* As if the mark had been set that long ago, when the log ended at `id`. */
static void
mark(struct house *h, uint64_t id)
{
	h->writer.state.mark = id;
	h->writer.state.mark_ms = h->now_ms - AGE_MS - 1;
}

static bool
is_known(struct house *h, const char *name)
{
	struct channel *c = channels_find(h->world.channels, str_of(name));

	channel_unref(c);
	return c != NULL;
}

static uint64_t
forgotten_count(const struct house *h)
{
	return atomic_load(&h->writer.janitor.forget.count);
}

/* Is a cursor told of a loss on the channel, as a reader sees it? */
static bool
has_gap(struct house *h, const char *name, uint64_t after)
{
	struct channel *c = world_channel(&h->world, name);
	struct history_part part = {
		.channel = c,
		.after = after,
		.newest = channel_head(c),
	};
	struct history_query q = {
		.parts = &part,
		.part_count = 1,
		.limit = 10,
		.max_bytes = 1000,
	};
	struct store_reader *r = engine_reader(h->writer.store);

	ck_assert_int_eq(history_read(r, h->writer.store->ops, &q), SW_OK);
	history_query_fini(&q);
	h->writer.store->ops->reader_close(r);
	channel_unref(c);
	return part.gap;
}

START_TEST(an_idle_channel_without_history_is_forgotten)
{
	struct house h;

	open_house(&h, _i);
	store_old(&h, "aged-1", 3);
	house_store(&h, "stays", 1, 10, h.now_ms);
	sweep(&h);
	check_rows(&h, 4, 4);
	mark(&h, 4);
	house_second(&h);
	ck_assert(!is_known(&h, "aged-1"));
	ck_assert(is_known(&h, "stays"));
	ck_assert_uint_eq(forgotten_count(&h), 1);
	ck_assert_uint_eq(h.writer.records.count, 1);
	ck_assert_uint_eq(atomic_load(&h.writer.channels), 1);
	ck_assert_ptr_null(records_by_key(&h.writer.records, 1));
	ck_assert_uint_eq(h.writer.state.forgotten, 3);
	/* The next mark is set: what the log has now is due after the age. */
	ck_assert_uint_eq(h.writer.state.mark, 4);
	ck_assert_uint_ge(h.writer.state.mark_ms, h.now_ms);
	ck_assert(!h.writer.janitor.forget.running);
	house_close(&h);
}
END_TEST

START_TEST(what_is_in_use_stays)
{
	struct house h;
	struct channel *listened;
	char *said;

	open_house(&h, _i);
	store_old(&h, "aged-listened", 1);
	house_store(&h, "kept", 1, 10, h.now_ms - 2 * AGE_MS);
	store_old(&h, "aged-late", 1);
	store_old(&h, "aged-newest-key", 1);
	listened = world_channel(&h.world, "aged-listened");
	sweep(&h);
	check_rows(&h, 2, 2);
	said_listen();
	log_set(LOG_INFO, false);
	mark(&h, 2);
	house_second(&h);
	mark(&h, 2);
	house_second(&h);
	log_set(LOG_ERROR, false);
	said = said_end();
	ck_assert_str_eq(said, "");
	free(said);
	ck_assert_uint_eq(forgotten_count(&h), 0);
	ck_assert_uint_eq(h.writer.state.forgotten, 0);
	/* Once nobody listens, and time has passed: */
	channel_unref(listened);
	mark(&h, 4);
	house_second(&h);
	ck_assert(!is_known(&h, "aged-listened"));
	ck_assert(!is_known(&h, "aged-late"));
	ck_assert(is_known(&h, "kept"));
	ck_assert(is_known(&h, "aged-newest-key"));
	ck_assert_uint_eq(forgotten_count(&h), 2);
	ck_assert_uint_eq(h.writer.state.forgotten, 3);
	house_close(&h);
}
END_TEST

/* Whichever of them comes last in the walk. */
START_TEST(the_newest_end_of_those_that_are_forgotten_is_known)
{
	struct house h;

	open_house(&h, _i);
	store_old(&h, "aged-1", 1);
	store_old(&h, "aged-2", 1);
	store_old(&h, "aged-1", 1);
	house_store(&h, "stays", 1, 10, h.now_ms);
	sweep(&h);
	mark(&h, 4);
	house_second(&h);
	ck_assert_uint_eq(forgotten_count(&h), 2);
	ck_assert_uint_eq(h.writer.state.forgotten, 3);
	ck_assert(has_gap(&h, "aged-1", 2));
	house_close(&h);
}
END_TEST

START_TEST(a_channel_that_is_not_saved_yet_stays)
{
	struct house h;

	open_house(&h, _i);
	store_old(&h, "aged-1", 1);
	house_store(&h, "other", 1, 10, h.now_ms);
	mark(&h, 2);
	/* A walk without the housekeeping that goes before it. */
	forget_once_a_second(&h.writer.janitor.forget, &h.writer);
	while (h.writer.janitor.forget.running)
		forget_step(&h.writer.janitor.forget, &h.writer);
	ck_assert(is_known(&h, "aged-1"));
	ck_assert_uint_eq(forgotten_count(&h), 0);
	house_close(&h);
}
END_TEST

START_TEST(cursors_from_before_are_told_of_a_loss)
{
	struct house h;
	struct record *r;

	open_house(&h, _i);
	store_old(&h, "aged-1", 3);
	house_store(&h, "stays", 1, 10, h.now_ms);
	sweep(&h);
	ck_assert(has_gap(&h, "aged-1", 2));
	ck_assert(!has_gap(&h, "aged-1", 3));
	mark(&h, 4);
	house_second(&h);
	ck_assert(!is_known(&h, "aged-1"));
	/* The same answers, without knowing anything of it. */
	ck_assert(has_gap(&h, "aged-1", 2));
	ck_assert(!has_gap(&h, "aged-1", 3));
	/* Any other might have been one, too; but not one that is known. */
	ck_assert(has_gap(&h, "never-seen", 2));
	ck_assert(!has_gap(&h, "never-seen", 3));
	ck_assert(!has_gap(&h, "stays", 3));
	/* It goes on with its next event, as any channel does. */
	r = house_record(&h, "aged-1");
	ck_assert(!channel_has_head(r->channel));
	ck_assert_uint_eq(r->head, 3);
	/* Not old enough to go, however long this takes. */
	house_store(&h, "aged-1", 2, 10, h.now_ms + AGE_MS);
	ck_assert(channel_has_head(r->channel));
	ck_assert(has_gap(&h, "aged-1", 2));
	ck_assert(!has_gap(&h, "aged-1", 3));
	ck_assert(!has_gap(&h, "aged-1", 5));
	house_close(&h);
}
END_TEST

START_TEST(channels_in_memory_are_forgotten_too)
{
	struct house h;
	struct channel *c;
	struct record *r;

	open_house(&h, _i);
	world_memory(&h.world, "memory");
	c = world_channel(&h.world, "memory-1");
	ck_assert_int_eq(records_get(&r, &h.writer.records, c), SW_OK);
	r->head = h.writer.last_id = 7;
	atomic_store(&c->head, 7);
	channel_unref(c);
	mark(&h, 7);
	house_second(&h);
	ck_assert(!is_known(&h, "memory-1"));
	ck_assert_uint_eq(h.writer.state.forgotten, 7);
	c = world_channel(&h.world, "memory-1");
	ck_assert_uint_eq(channel_head(c), 7);
	channel_unref(c);
	house_close(&h);
}
END_TEST

START_TEST(many_are_forgotten_in_small_steps)
{
	enum { MANY = 500 };
	struct house h;
	struct forget *f = &h.writer.janitor.forget;
	unsigned steps = 0;

	open_house(&h, _i);
	for (unsigned i = 0; i <= MANY; i++) {
		char name[16];

		snprintf(name, sizeof(name), "aged-%u", i);
		store_old(&h, name, 1);
	}
	sweep(&h);
	sweep(&h);
	mark(&h, MANY + 1);
	forget_once_a_second(f, &h.writer);
	while (f->running) {
		uint64_t before = forgotten_count(&h);

		forget_step(f, &h.writer);
		ck_assert_uint_le(forgotten_count(&h) - before, 32);
		steps++;
	}
	ck_assert_uint_gt(steps, 10);
	/* All but the one with the highest key. */
	ck_assert_uint_eq(forgotten_count(&h), MANY);
	ck_assert_uint_eq(h.writer.records.count, 1);
	house_close(&h);
}
END_TEST

START_TEST(never_means_never)
{
	struct house h;

	open_house(&h, _i);
	atomic_store(&h.writer.janitor.forget.age_ms, 0);
	store_old(&h, "aged-1", 1);
	house_store(&h, "other", 1, 10, h.now_ms);
	sweep(&h);
	ck_assert_uint_eq(h.writer.state.mark_ms, 0);
	mark(&h, 2);
	house_second(&h);
	ck_assert(is_known(&h, "aged-1"));
	house_close(&h);
}
END_TEST

START_TEST(a_clock_that_was_wrong_does_not_matter_for_long)
{
	struct house h;

	open_house(&h, _i);
	store_old(&h, "aged-1", 1);
	sweep(&h);
	house_store(&h, "stays", 1, 10, h.now_ms);
	mark(&h, 1);
	h.writer.state.mark_ms = h.now_ms + 1000 * (uint64_t)AGE_MS;
	house_second(&h);
	/* What was due by that clock has its time once more. */
	ck_assert_uint_eq(forgotten_count(&h), 0);
	ck_assert_uint_eq(h.writer.state.mark, 2);
	ck_assert_uint_le(h.writer.state.mark_ms, h.now_ms + AGE_MS);
	house_close(&h);
}
END_TEST

/* A group that was refused has taken a key, which nothing in the store has. */
START_TEST(a_key_that_was_taken_in_vain_is_not_the_highest)
{
	struct house h;

	open_house(&h, _i);
	store_old(&h, "aged-1", 1);
	store_old(&h, "aged-2", 1);
	ck_assert_uint_eq(records_take_key(&h.writer.records), 3);
	sweep(&h);
	mark(&h, 2);
	house_second(&h);
	ck_assert(!is_known(&h, "aged-1"));
	ck_assert(is_known(&h, "aged-2"));
	house_close(&h);
}
END_TEST

/* A row that lay behind the patrol when the last one was removed. */
START_TEST(rows_that_are_left_over_are_swept)
{
	struct house h;
	struct store *s;

	open_house(&h, _i);
	house_store(&h, "stays", 300, 10, h.now_ms);
	store_old(&h, "aged-1", 2);
	house_store(&h, "other", 1, 10, h.now_ms);
	s = h.writer.store;
	/* Saved, and the newest row gone; the other one is kept for now. */
	h.world.rules[0].policy.history_age_ms = 0;
	house_second(&h);
	engine_begin(s);
	ck_assert_int_eq(s->ops->remove(s, 302, 302), SW_OK);
	engine_commit(s);
	mark(&h, 303);
	forget_once_a_second(&h.writer.janitor.forget, &h.writer);
	if (_i == ENGINE_MEMORY) {
		/* The row's event keeps the channel, until it goes, too. */
		house_close(&h);
		return;
	}
	while (h.writer.janitor.forget.running)
		forget_step(&h.writer.janitor.forget, &h.writer);
	ck_assert(!is_known(&h, "aged-1"));
	house_second(&h);
	house_second(&h);
	ck_assert_uint_eq(atomic_load(&h.writer.janitor.removed), 1);
	house_close(&h);
}
END_TEST

/* Somebody asks for a channel just when it is about to go. */
static struct channel *taken;
static struct channels *registry;
static int (*remove_channel)(struct store *s, uint64_t key);

static int
take_and_remove(struct store *s, uint64_t key)
{
	ck_assert_int_eq(channels_get(&taken, registry, STR("aged-1")), SW_OK);
	return remove_channel(s, key);
}

START_TEST(a_channel_that_is_asked_for_meanwhile_stays_as_it_is)
{
	struct house h;
	struct record *r;

	open_house(&h, _i);
	store_old(&h, "aged-1", 3);
	house_store(&h, "other", 1, 10, h.now_ms);
	sweep(&h);
	registry = h.world.channels;
	remove_channel = h.writer.store->ops->remove_channel;
	house_change(&h)->remove_channel = take_and_remove;
	mark(&h, 4);
	house_second(&h);
	house_mend(&h);
	ck_assert_uint_eq(forgotten_count(&h), 0);
	ck_assert_int_eq(records_get(&r, &h.writer.records, taken), SW_OK);
	ck_assert_uint_eq(r->head, 3);
	ck_assert_uint_eq(r->number, 3);
	/* It is not in the store, until its next event. */
	ck_assert_uint_eq(r->key, 0);
	house_store(&h, "aged-1", 1, 10, h.now_ms);
	ck_assert_uint_eq(r->key, 3);
	ck_assert_uint_eq(r->number, 4);
	channel_unref(taken);
	house_close(&h);
}
END_TEST

static int
fail_remove(struct store *s, uint64_t key)
{
	(void)key;
	snprintf(s->reason, sizeof(s->reason), "No room.");
	return SW_ESTORE;
}

START_TEST(a_store_that_fails_forgets_nothing)
{
	struct house h;

	open_house(&h, _i);
	store_old(&h, "aged-1", 3);
	house_store(&h, "other", 1, 10, h.now_ms);
	sweep(&h);
	house_change(&h)->remove_channel = fail_remove;
	mark(&h, 4);
	house_second(&h);
	ck_assert(h.writer.health.failing);
	ck_assert(is_known(&h, "aged-1"));
	ck_assert_uint_eq(h.writer.state.forgotten, 0);
	house_mend(&h);
	house_second(&h); /* asks whether it works again */
	mark(&h, 4);
	house_second(&h);
	ck_assert(!is_known(&h, "aged-1"));
	house_close(&h);
}
END_TEST

static int
count_channel(void *ctx, const struct store_channel *c)
{
	ck_assert(str_is(c->name, "stays"));
	++*(unsigned *)ctx;
	return SW_OK;
}

START_TEST(the_store_has_forgotten_them_as_well)
{
	struct house h;
	unsigned channels = 0;
	const struct store_visitor visitor = { count_channel, engine_skip_row,
		&channels };
	struct store_state state;
	struct store *s;

	open_house(&h, ENGINE_SQLITE + _i);
	store_old(&h, "aged-1", 3);
	house_store(&h, "stays", 1, 10, h.now_ms);
	sweep(&h);
	mark(&h, 4);
	house_second(&h);
	s = h.writer.store;
	ck_assert_int_eq(s->ops->settle(s), SW_OK);
	ck_assert_int_eq(s->ops->load(s, &state, &visitor), SW_OK);
	ck_assert_uint_eq(channels, 1);
	ck_assert_uint_eq(state.forgotten, 3);
	ck_assert_uint_eq(state.mark, 4);
	ck_assert_uint_eq(state.mark_ms, h.writer.state.mark_ms);
	house_close(&h);
}
END_TEST

SUITE("storage/forget",
    LOOP(an_idle_channel_without_history_is_forgotten, ENGINES),
    LOOP(what_is_in_use_stays, ENGINES),
    LOOP(the_newest_end_of_those_that_are_forgotten_is_known, ENGINES),
    LOOP(a_channel_that_is_not_saved_yet_stays, ENGINES),
    LOOP(cursors_from_before_are_told_of_a_loss, ENGINES),
    LOOP(channels_in_memory_are_forgotten_too, ENGINES),
    LOOP(many_are_forgotten_in_small_steps, ENGINES),
    LOOP(never_means_never, ENGINES),
    LOOP(a_clock_that_was_wrong_does_not_matter_for_long, ENGINES),
    LOOP(a_key_that_was_taken_in_vain_is_not_the_highest, ENGINES),
    LOOP(rows_that_are_left_over_are_swept, ENGINES),
    LOOP(a_channel_that_is_asked_for_meanwhile_stays_as_it_is, ENGINES),
    LOOP(a_store_that_fails_forgets_nothing, ENGINES),
    LOOP(the_store_has_forgotten_them_as_well, ENGINES - ENGINE_SQLITE))
