#include "storage/janitor.h"

#include "tests/storage/house.h"
#include "tests/suite.h"

START_TEST(what_everybody_keeps_stays)
{
	struct house h;

	house_open(&h, _i);
	house_store(&h, "a", 5000, 10, 1);
	house_second(&h);
	house_second(&h);
	check_rows(&h, 1, 5000);
	ck_assert_uint_eq(atomic_load(&h.writer.janitor.removed), 0);
	ck_assert_uint_eq(atomic_load(&h.writer.floor), 0);
	house_close(&h);
}
END_TEST

START_TEST(old_rows_at_the_front_are_gone_after_a_second)
{
	struct house h;

	house_open(&h, _i);
	world_keep(&h.world, "short", 10);
	house_store(&h, "short", 3000, 10, h.now_ms);
	house_second(&h);
	check_rows(&h, 2991, 3000);
	ck_assert_uint_eq(atomic_load(&h.writer.janitor.removed), 2990);
	/* Nothing was taken before its time. */
	ck_assert_uint_eq(atomic_load(&h.writer.floor), 0);
	ck_assert_uint_eq(h.writer.state.floor, 0);
	house_close(&h);
}
END_TEST

START_TEST(age_counts_from_the_time_of_the_event)
{
	struct house h;

	house_open(&h, _i);
	world_rule(&h.world, "aged",
	    (struct policy){
		.history_events = UINT64_MAX,
		.history_age_ms = 3600 * 1000,
		.durability = DURABILITY_NORMAL,
	    });
	house_store(&h, "aged", 700, 10, h.now_ms - 3700 * 1000);
	house_store(&h, "aged", 7, 10, h.now_ms);
	house_second(&h);
	check_rows(&h, 701, 707);
	house_close(&h);
}
END_TEST

/* A channel that is kept for ever hides the others' rows from the front. */
START_TEST(the_patrol_finds_what_lies_between_kept_rows)
{
	struct house h;
	static struct seen s;

	house_open(&h, _i);
	world_keep(&h.world, "short", 1);
	for (unsigned i = 0; i < 10; i++) {
		house_store(&h, "long", 300, 1, h.now_ms);
		house_store(&h, "short", 300, 1, h.now_ms);
	}
	for (unsigned i = 0; i < 12; i++)
		house_second(&h);
	house_look(&h, &s);
	ck_assert_uint_eq(s.count, 10 * 300 + 1);
	ck_assert_uint_eq(s.ids[s.count - 1], 6000);
	ck_assert_uint_eq(h.writer.janitor.garbage, 0);
	house_close(&h);
}
END_TEST

START_TEST(much_garbage_is_swept_before_the_second_is_over)
{
	struct house h;
	unsigned steps = 0;

	house_open(&h, _i);
	world_keep(&h.world, "short", 1);
	house_store(&h, "long", 300, 1, h.now_ms);
	house_store(&h, "short", 6000, 1, h.now_ms);
	ck_assert_uint_eq(h.writer.janitor.garbage, 5999);
	h.writer.janitor.rows_due = 0; /* they did not come at once */
	while (janitor_step(&h.writer.janitor, &h.writer, steps % 2 == 0) == 0)
		steps++;
	/* Some hundred rows at a time, until too little is left to be worth it.
	 */
	ck_assert_uint_ge(steps, 4);
	ck_assert_uint_lt(h.writer.janitor.garbage, 4096);
	ck_assert_uint_gt(h.writer.janitor.garbage, 2048);
	house_close(&h);
}
END_TEST

/* The newest row says after a crash where the chain ends. */
START_TEST(the_last_row_of_a_channel_stays_until_its_end_is_saved)
{
	struct house h;

	house_open(&h, _i);
	world_rule(&h.world, "aged",
	    (struct policy){
		.history_events = UINT64_MAX,
		.history_age_ms = 1000,
		.durability = DURABILITY_NORMAL,
	    });
	house_store(&h, "aged", 5, 1, h.now_ms - 5000);
	h.writer.janitor.at_front = true;
	ck_assert_uint_eq(janitor_step(&h.writer.janitor, &h.writer, false), 0);
	check_rows(&h, 5, 5);
	house_second(&h); /* saves */
	ck_assert_uint_eq(h.writer.state.saved, 5);
	ck_assert(list_empty(&h.writer.records.dirty));
	house_second(&h);
	check_rows(&h, 1, 0);
	house_close(&h);
}
END_TEST

START_TEST(a_store_that_is_too_large_loses_its_oldest_rows)
{
	struct house h;
	uint64_t used;
	static struct seen s;

	house_open(&h, _i);
	house_store(&h, "a", 4000, 1000, h.now_ms);
	used = h.writer.store->ops->used_bytes(h.writer.store);
	ck_assert_uint_gt(used, 4000 * 1000);
	atomic_store(&h.writer.janitor.max_bytes, used / 2);
	house_second(&h);
	ck_assert_uint_le(
	    h.writer.store->ops->used_bytes(h.writer.store), used / 2);
	house_look(&h, &s);
	ck_assert_uint_gt(s.count, 1000);
	ck_assert_uint_lt(s.count, 2500);
	ck_assert_uint_eq(s.ids[s.count - 1], 4000);
	/* Readers are told that this was history still, also after a start. */
	ck_assert_uint_eq(atomic_load(&h.writer.floor), s.ids[0] - 1);
	ck_assert_uint_eq(h.writer.state.floor, s.ids[0] - 1);
	if (_i != ENGINE_MEMORY)
		ck_assert_uint_eq(
		    engine_state(h.writer.store).floor, s.ids[0] - 1);
	house_close(&h);
}
END_TEST

/* In one commit: after a crash it would be missing without a word, or told. */
START_TEST(what_goes_before_its_time_is_told_from_then_on)
{
	struct house h;
	static struct seen s;

	house_open(&h, _i + ENGINE_SQLITE);
	house_store(&h, "a", 400, 1000, h.now_ms);
	house_second(&h); /* saves; nothing else does from here on */
	atomic_store(&h.writer.janitor.max_bytes,
	    h.writer.store->ops->used_bytes(h.writer.store) - 1000);
	h.writer.janitor.at_front = true;
	ck_assert_uint_eq(janitor_step(&h.writer.janitor, &h.writer, false), 0);
	house_look(&h, &s);
	ck_assert_uint_gt(s.ids[0], 1);
	ck_assert_uint_eq(engine_state(h.writer.store).floor, s.ids[0] - 1);
	house_close(&h);
}
END_TEST

START_TEST(chains_are_saved_after_many_events_and_at_the_end)
{
	struct house h;

	house_open(&h, _i);
	house_store(&h, "a", 3, 1, h.now_ms);
	janitor_notice(&h.writer.janitor, 100000);
	while (janitor_step(&h.writer.janitor, &h.writer, true) == 0)
		;
	ck_assert_uint_eq(h.writer.state.saved, 3);
	for (unsigned i = 0; i < 300; i++) {
		char name[16];

		snprintf(name, sizeof(name), "c%u", i);
		house_store(&h, name, 1, 1, h.now_ms);
	}
	janitor_finish(&h.writer.janitor, &h.writer);
	ck_assert_uint_eq(h.writer.state.saved, 303);
	ck_assert(list_empty(&h.writer.records.dirty));
	if (_i != ENGINE_MEMORY) {
		struct store_state state = engine_state(h.writer.store);

		ck_assert_uint_eq(state.saved, 303);
		ck_assert_uint_eq(state.head, 303);
		ck_assert_uint_eq(state.reserved, 303);
	}
	house_close(&h);
}
END_TEST

/* Nothing is taken for saved, removed or healthy that is not. */
START_TEST(a_store_that_fails_keeps_everything_for_the_next_time)
{
	struct house h;

	house_open(&h, ENGINE_SQLITE);
	world_keep(&h.world, "short", 1);
	house_store(&h, "short", 200, 1, h.now_ms);
	house_change(&h)->commit = refuse_commit;
	house_second(&h);
	ck_assert(h.writer.health.failing);
	ck_assert_str_eq(h.writer.health.reason, "No room.");
	ck_assert(!list_empty(&h.writer.records.dirty));
	ck_assert(!h.writer.janitor.saving);
	ck_assert_uint_eq(atomic_load(&h.writer.janitor.removed), 0);
	check_rows(&h, 1, 200);
	house_mend(&h);
	house_second(&h); /* asks, and is told that it works again */
	ck_assert(!h.writer.health.failing);
	house_second(&h);
	ck_assert_uint_eq(h.writer.state.saved, 200);
	check_rows(&h, 200, 200);
	house_close(&h);
}
END_TEST

static unsigned begun;

static int
fail_begin(struct store *s, bool sync)
{
	(void)sync;
	begun++;
	snprintf(s->reason, sizeof(s->reason), "No room.");
	return SW_ESTORE;
}

/* Much is to be done, and nothing can be. */
START_TEST(a_store_that_fails_is_tried_again_a_second_later)
{
	struct house h;

	house_open(&h, ENGINE_SQLITE);
	world_keep(&h.world, "short", 1);
	house_store(&h, "short", 6000, 1, h.now_ms);
	house_change(&h)->begin = fail_begin;
	h.writer.janitor.at_front = true;
	begun = 0;
	for (unsigned i = 0; i < 100; i++)
		janitor_step(&h.writer.janitor, &h.writer, false);
	ck_assert_uint_eq(begun, 1);
	house_mend(&h);
	house_second(&h);
	house_second(&h);
	check_rows(&h, 6000, 6000);
	house_close(&h);
}
END_TEST

static bool
count_row(void *ctx, const struct store_row *row)
{
	(void)row;
	++*(size_t *)ctx;
	return true;
}

/* Nothing can be kept then: somebody should know. */
START_TEST(a_store_that_is_full_without_events_says_so_once)
{
	struct house h;
	struct store *s;
	char *said;

	house_open(&h, ENGINE_SQLITE);
	s = h.writer.store;
	engine_begin(s);
	for (uint64_t i = 0; i < 5000; i++) {
		char key[32];

		snprintf(key, sizeof(key), "a key of a retry %u", (unsigned)i);
		ck_assert_int_eq(s->ops->add_key(s, STR("a"), str_of(key),
				     i + 1, h.now_ms + 60000),
		    SW_OK);
	}
	engine_commit(s);
	atomic_store(&h.writer.janitor.max_bytes, s->ops->used_bytes(s) - 4096);
	house_store(&h, "a", 100, 1, h.now_ms);
	said_listen();
	house_second(&h); /* the newest row stays until it is saved */
	house_second(&h);
	said_check("store: no event is kept: ");
	said_listen();
	house_second(&h);
	said = said_end();
	ck_assert_ptr_null(strstr(said, "no event is kept"));
	free(said);
	atomic_store(&h.writer.janitor.max_bytes, 0);
	house_second(&h);
	ck_assert(!h.writer.janitor.overfull);
	house_close(&h);
}
END_TEST

/* One step for each group, as when publishers never pause. */
START_TEST(large_groups_are_swept_as_fast_as_they_come)
{
	size_t rows = 0;
	struct house h;

	house_open(&h, _i);
	world_keep(&h.world, "short", 1);
	for (size_t group = usually(30, 12); group > 0; group--) {
		house_store(&h, "short", 2048, 1, h.now_ms);
		for (unsigned i = 0; i < 2048; i++)
			janitor_notice_key(&h.writer.janitor);
		janitor_step(&h.writer.janitor, &h.writer, true);
	}
	ck_assert_int_eq(
	    h.writer.store->ops->scan(h.writer.store, 0, count_row, &rows),
	    SW_OK);
	ck_assert_uint_lt(rows, 8 * 2048);
	house_close(&h);
}
END_TEST

/* The front has nothing to do: who is kept for ever stands there. */
START_TEST(rows_that_are_too_old_go_as_fast_as_they_come)
{
	size_t rows = 0;
	struct house h;

	house_open(&h, _i);
	world_rule(&h.world, "aged",
	    (struct policy){
		.history_events = UINT64_MAX,
		.history_age_ms = 3600 * 1000,
		.durability = DURABILITY_NORMAL,
	    });
	house_store(&h, "long", 300, 1, h.now_ms);
	for (size_t second = usually(10, 5); second > 0; second--) {
		house_store(&h, "aged", 5000, 1, h.now_ms - 7200 * 1000);
		house_second(&h);
	}
	ck_assert_int_eq(
	    h.writer.store->ops->scan(h.writer.store, 0, count_row, &rows),
	    SW_OK);
	ck_assert_uint_lt(rows, 3 * 5000);
	house_close(&h);
}
END_TEST

/* Nobody counted them, and nothing is published any more. */
START_TEST(what_a_lower_limit_leaves_is_removed_in_one_go)
{
	size_t rows = 0;
	struct house h;

	house_open(&h, _i);
	house_store(&h, "long", 300, 1, h.now_ms);
	house_store(&h, "short", (unsigned)usually(20000, 4000), 1, h.now_ms);
	house_second(&h);
	world_keep(&h.world, "short", 10);
	for (unsigned second = 0; second < 3; second++)
		house_second(&h);
	ck_assert_int_eq(
	    h.writer.store->ops->scan(h.writer.store, 0, count_row, &rows),
	    SW_OK);
	ck_assert_uint_eq(rows, 310);
	house_close(&h);
}
END_TEST

/* Large rows go one by one, not by the hundred. */
START_TEST(no_more_is_removed_than_the_store_is_too_large)
{
	struct house h;
	uint64_t used;
	static struct seen s;

	house_open(&h, _i);
	house_store(&h, "a", 600, 10000, h.now_ms);
	used = h.writer.store->ops->used_bytes(h.writer.store);
	atomic_store(&h.writer.janitor.max_bytes, used - 100000);
	house_second(&h);
	house_look(&h, &s);
	ck_assert_uint_gt(s.count, 570);
	ck_assert_uint_lt(s.count, 600);
	house_close(&h);
}
END_TEST

/* Also where a file holds them that stays as large until the last is gone. */
START_TEST(no_more_large_payloads_are_removed_than_the_store_is_too_large)
{
	enum { SIZE = 100000, COUNT = 300 };
	struct house h;
	uint64_t used;
	static struct seen s;

	house_open(&h, _i);
	house_store(&h, "a", COUNT, SIZE, h.now_ms);
	for (unsigned round = 1; round <= 2; round++) {
		used = h.writer.store->ops->used_bytes(h.writer.store);
		atomic_store(&h.writer.janitor.max_bytes, used - 10 * SIZE + 1);
		house_second(&h);
		house_look(&h, &s);
		ck_assert_uint_ge(s.count, COUNT - 13 * round);
		ck_assert_uint_le(s.count, COUNT - 10 * round);
	}
	house_close(&h);
}
END_TEST

/* What else was in a file comes free with the oldest ones. */
START_TEST(what_comes_free_at_once_is_not_removed_again)
{
	enum { SIZE = 100000 };
	struct house h;
	static struct seen s;

	house_open(&h, _i + ENGINE_SQLITE);
	world_rule(&h.world, "brief",
	    (struct policy){
		.history_events = 1,
		.durability = DURABILITY_NORMAL,
	    });
	house_store(&h, "a", 168, SIZE, h.now_ms); /* the first file */
	house_store(&h, "brief", 140, SIZE, h.now_ms);
	house_store(&h, "a", 20, SIZE, h.now_ms);
	house_second(&h);
	house_look(&h, &s);
	ck_assert_uint_le(s.count, 168 + 1 + 20);
	atomic_store(&h.writer.janitor.max_bytes, 100 * SIZE);
	house_second(&h);
	ck_assert_uint_le(
	    h.writer.store->ops->used_bytes(h.writer.store), 100 * SIZE);
	house_look(&h, &s);
	ck_assert_uint_gt(s.count, 10);
	house_close(&h);
}
END_TEST

START_TEST(keys_are_forgotten_when_they_are_old)
{
	struct house h;
	uint64_t id, time_ms;
	struct store *s;

	house_open(&h, _i);
	s = h.writer.store;
	engine_begin(s);
	ck_assert_int_eq(
	    s->ops->add_key(s, STR("a"), STR("old"), 1, h.now_ms - 5000),
	    SW_OK);
	ck_assert_int_eq(
	    s->ops->add_key(s, STR("a"), STR("new"), 2, h.now_ms + 60000),
	    SW_OK);
	engine_commit(s);
	house_second(&h);
	ck_assert_int_eq(
	    s->ops->find_key(s, STR("a"), STR("old"), &id, &time_ms),
	    SW_ENOENT);
	ck_assert_int_eq(
	    s->ops->find_key(s, STR("a"), STR("new"), &id, &time_ms), SW_OK);
	ck_assert_uint_eq(id, 2);
	house_close(&h);
}
END_TEST

/* However many there are a second, of an hour or of a minute. */
START_TEST(as_many_keys_are_forgotten_as_come)
{
	enum { KEYS = 2000, KEPT = 3 };
	unsigned seconds = (unsigned)usually(30, 10);
	struct house h;
	unsigned left = 0;
	uint64_t id, time_ms;
	struct store *s;
	char key[32];

	house_open(&h, _i);
	s = h.writer.store;
	for (unsigned second = 0; second < seconds; second++) {
		/* Those of the last seconds are not too old yet. */
		uint64_t at = second < seconds - KEPT ? h.now_ms - 5000 :
							h.now_ms + 60000;

		engine_begin(s);
		for (unsigned n = 0; n < KEYS; n++) {
			snprintf(key, sizeof(key), "%u-%u", n, second);
			ck_assert_int_eq(s->ops->add_key(s, STR("a"),
					     str_of(key), second + 1, at),
			    SW_OK);
			janitor_notice_key(&h.writer.janitor);
		}
		engine_commit(s);
		house_second(&h);
	}
	for (unsigned second = 0; second < seconds; second++)
		for (unsigned n = 0; n < KEYS; n++) {
			snprintf(key, sizeof(key), "%u-%u", n, second);
			left += s->ops->find_key(s, STR("a"), str_of(key), &id,
				    &time_ms) == SW_OK;
		}
	ck_assert_uint_ge(left, KEPT * KEYS);
	ck_assert_uint_le(left, 2 * KEPT * KEYS);
	house_close(&h);
}
END_TEST

SUITE("storage/janitor", LOOP(what_everybody_keeps_stays, ENGINES),
    LOOP(old_rows_at_the_front_are_gone_after_a_second, ENGINES),
    LOOP(age_counts_from_the_time_of_the_event, ENGINES),
    LOOP(the_patrol_finds_what_lies_between_kept_rows, ENGINES),
    LOOP(much_garbage_is_swept_before_the_second_is_over, ENGINES),
    LOOP(the_last_row_of_a_channel_stays_until_its_end_is_saved, ENGINES),
    LOOP(a_store_that_is_too_large_loses_its_oldest_rows, ENGINES),
    LOOP(what_goes_before_its_time_is_told_from_then_on,
	ENGINES - ENGINE_SQLITE),
    LOOP(chains_are_saved_after_many_events_and_at_the_end, ENGINES),
    TEST(a_store_that_fails_keeps_everything_for_the_next_time),
    TEST(a_store_that_fails_is_tried_again_a_second_later),
    TEST(a_store_that_is_full_without_events_says_so_once),
    LOOP(large_groups_are_swept_as_fast_as_they_come, ENGINES),
    LOOP(rows_that_are_too_old_go_as_fast_as_they_come, ENGINES),
    LOOP(what_a_lower_limit_leaves_is_removed_in_one_go, ENGINES),
    LOOP(no_more_is_removed_than_the_store_is_too_large, ENGINES),
    LOOP(no_more_large_payloads_are_removed_than_the_store_is_too_large,
	ENGINES),
    LOOP(what_comes_free_at_once_is_not_removed_again, ENGINES - ENGINE_SQLITE),
    LOOP(keys_are_forgotten_when_they_are_old, ENGINES),
    LOOP(as_many_keys_are_forgotten_as_come, ENGINES))
