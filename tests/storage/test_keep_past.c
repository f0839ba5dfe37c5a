#include "storage/keep_past.h"

#include "tests/storage/house.h"
#include "tests/suite.h"

/* One that keeps nothing over a start has nothing to say of before. */
enum { FILES = ENGINES - ENGINE_SQLITE };

static struct house h;

static void
set_rules(const char *rules)
{
	ck_assert_int_eq(writer_set_rules(&h.writer, str_of(rules)), SW_OK);
}

/* What the file has, whatever the writer believes. */
static void
check_stored(const char *text)
{
	struct store *s = h.writer.store;
	struct buf out;

	buf_init(&out, 4096);
	ck_assert_int_eq(s->ops->load_past(s, &out), SW_OK);
	buf_put(&out, "", 1);
	ck_assert_int_eq(buf_error(&out), SW_OK);
	ck_assert_str_eq((const char *)buf_head(&out), text);
	buf_fini(&out);
}

static void
set_head(const char *name, uint64_t head)
{
	struct record *r = house_record(&h, name);

	r->head = head;
	atomic_store(&r->channel->head, head);
}

static uint64_t
head_of(const char *name)
{
	struct channel *c = world_channel(&h.world, name);
	uint64_t head = channel_head(c);

	channel_unref(c);
	return head;
}

START_TEST(nothing_is_said_where_memory_keeps_nothing)
{
	house_open(&h, _i);
	check_stored("");
	set_rules("");
	house_second(&h);
	check_stored("");
	house_close(&h);
}
END_TEST

START_TEST(rules_are_in_the_store_at_once)
{
	house_open(&h, ENGINE_SQLITE + _i);
	set_rules("memory a\n");
	check_stored("0 0\nmemory a\n\n");
	h.writer.last_id = 5;
	/* They have not changed. */
	set_rules("memory a\n");
	check_stored("0 0\nmemory a\n\n");
	set_rules("");
	check_stored("0 5\nmemory a\n\n");
	house_close(&h);
}
END_TEST

START_TEST(a_store_that_fails_is_told_later)
{
	house_open(&h, ENGINE_SQLITE + _i);
	house_change(&h)->commit = refuse_commit;
	set_rules("memory a\n");
	ck_assert(h.writer.health.failing);
	house_second(&h);
	check_stored("");
	house_mend(&h);
	house_second(&h); /* asks, and is told that it works again */
	house_second(&h);
	check_stored("0 0\nmemory a\n\n");
	house_close(&h);
}
END_TEST

START_TEST(what_is_dropped_counts_for_all_that_come)
{
	char rules[64];

	house_open(&h, ENGINE_SQLITE + _i);
	for (unsigned i = 0; i < PAST_SPANS + 2; i++) {
		h.writer.last_id = i * 10;
		snprintf(rules, sizeof(rules), "memory a%u\n", i);
		set_rules(rules);
	}
	ck_assert_uint_eq(h.writer.state.forgotten, 10);
	ck_assert_uint_eq(engine_state(h.writer.store).forgotten, 10);
	house_close(&h);
}
END_TEST

START_TEST(channels_end_where_memory_kept_them)
{
	house_open(&h, ENGINE_SQLITE + _i);
	h.writer.last_id = 20;
	set_rules("memory a*\n");
	/* What a row follows on, it says itself. */
	house_store(&h, "a.since", 1, 10, 1);
	h.writer.last_id = 30;
	set_head("a.idle", 7);
	set_head("a.border", 20);
	/* The head was saved when memory had the channel already. */
	set_head("a.saved", 22);
	set_head("b", 7);
	ck_assert_int_eq(
	    keep_past_load(&h.writer.past, &h.writer, h.world.channels), SW_OK);
	ck_assert_uint_eq(head_of("a.idle"), 30);
	ck_assert_uint_eq(head_of("a.border"), 30);
	ck_assert_uint_eq(head_of("a.since"), 21);
	ck_assert_uint_eq(head_of("a.saved"), 30);
	ck_assert_uint_eq(head_of("b"), 7);
	/* Those that the store does not know begin there. */
	ck_assert_uint_eq(head_of("a.new"), 30);
	ck_assert_uint_eq(head_of("c"), 0);
	/* What this run gives out is known. */
	h.writer.last_id = 40;
	ck_assert_uint_eq(head_of("a.newer"), 30);
	channels_set_past(h.world.channels, NULL, NULL);
	ck_assert_uint_eq(head_of("a.newest"), 0);
	house_close(&h);
}
END_TEST

SUITE("storage/keep_past",
    LOOP(nothing_is_said_where_memory_keeps_nothing, ENGINES),
    LOOP(rules_are_in_the_store_at_once, FILES),
    LOOP(a_store_that_fails_is_told_later, FILES),
    LOOP(what_is_dropped_counts_for_all_that_come, FILES),
    LOOP(channels_end_where_memory_kept_them, FILES))
