#include <pthread.h>
#include <stdatomic.h>

#include "tests/storage/shop.h"
#include "tests/suite.h"

static void
write_rows(struct shop *t, uint64_t first, uint64_t last)
{
	engine_begin(t->store);
	for (uint64_t id = first; id <= last; id++)
		shop_write(t, id);
	engine_commit(t->store);
}

static int
look_for(struct shop *t, uint64_t id, struct store_row *row)
{
	int err;

	ck_assert_int_eq(t->ops->reader_begin(t->reader), SW_OK);
	err = t->ops->reader_row(t->reader, id, row);
	t->ops->reader_end(t->reader);
	return err;
}

static bool
is_there(struct shop *t, uint64_t id)
{
	struct store_row row;
	int err = look_for(t, id, &row);

	ck_assert(err == SW_OK || err == SW_ENOENT);
	ck_assert(err != SW_OK || row.id == id);
	return err == SW_OK;
}

START_TEST(a_committed_row_reads_back_as_it_was)
{
	struct store_row row;
	struct shop t;

	shop_open(&t, _i);
	write_rows(&t, 5, 8);
	ck_assert_int_eq(look_for(&t, 8, &row), SW_OK);
	ck_assert_uint_eq(row.id, 8);
	ck_assert_uint_eq(row.channel, 1);
	ck_assert_uint_eq(row.number, 4);
	ck_assert_uint_eq(row.total, 4);
	ck_assert_uint_eq(row.previous, 7);
	ck_assert_uint_eq(row.jump, 7);
	ck_assert_uint_eq(row.time_ms, 800);
	ck_assert_int_eq(look_for(&t, 9, &row), SW_ENOENT);
	ck_assert_int_eq(look_for(&t, 0, &row), SW_ENOENT);
	shop_close(&t);
}
END_TEST

/* Write one event of any shape, and read it back. */
static void
check_event(struct shop *t, uint64_t id, enum event_kind kind, struct str type,
    struct str content_type, struct str data)
{
	struct event *e, *back;

	ck_assert_int_eq(
	    event_new(&e, t->room.channel, kind, type, content_type, data.len),
	    SW_OK);
	if (data.len > 0)
		memcpy(event_payload(e), data.p, data.len);
	engine_begin(t->store);
	scribe_write(&t->room, t->store, event_ref(e), id, id * 7);
	engine_commit(t->store);
	ck_assert_int_eq(t->ops->reader_begin(t->reader), SW_OK);
	ck_assert_int_eq(
	    t->ops->reader_event(t->reader, id, t->room.channel, &back), SW_OK);
	t->ops->reader_end(t->reader);
	ck_assert_uint_eq(back->id, e->id);
	ck_assert_uint_eq(back->kind, kind);
	ck_assert_uint_eq(back->previous, e->previous);
	ck_assert_uint_eq(back->jump, e->jump);
	ck_assert_uint_eq(back->number, e->number);
	ck_assert_uint_eq(back->total, e->total);
	ck_assert_uint_eq(back->time_ms, e->time_ms);
	ck_assert_ptr_eq(back->channel, t->room.channel);
	ck_assert_uint_eq(event_type(back).len, type.len);
	ck_assert_mem_eq(event_type(back).p, type.p, type.len);
	ck_assert_uint_eq(event_content_type(back).len, content_type.len);
	ck_assert_mem_eq(
	    event_content_type(back).p, content_type.p, content_type.len);
	ck_assert_uint_eq(event_data(back).len, data.len);
	ck_assert_mem_eq(event_data(back).p, data.p, data.len);
	event_unref(back);
	event_unref(e);
}

START_TEST(an_event_of_any_shape_reads_back)
{
	static char big[300000];
	char texts[256];
	struct shop t;

	memset(big, 'b', sizeof(big));
	memset(texts, 't', sizeof(texts));
	shop_open(&t, _i);
	check_event(&t, 1, EVENT_JSON, STR("message"), STR("application/json"),
	    STR("{\"a\":1}"));
	check_event(&t, 2, EVENT_TEXT, STR("message"), STR("text/plain"),
	    STR("\xc3\xa9t\xc3\xa9"));
	check_event(
	    &t, 3, EVENT_BINARY, STR("x"), STR("a/b"), STR("\0\xff\0\x80 \0"));
	check_event(
	    &t, 4, EVENT_TEXT, STR("message"), STR("text/plain"), STR(""));
	check_event(&t, 5, EVENT_TEXT, STR(""), STR(""), STR("no texts"));
	check_event(&t, 6, EVENT_TEXT, (struct str){ texts, EVENT_TYPE_MAX },
	    (struct str){ texts, EVENT_CONTENT_TYPE_MAX }, STR("x"));
	check_event(&t, 7, EVENT_BINARY, STR("message"), STR("a/b"),
	    (struct str){ big, sizeof(big) });
	check_event(&t, SEQ_MAX, EVENT_TEXT, STR("message"), STR("text/plain"),
	    STR("the last id of all"));
	shop_close(&t);
}
END_TEST

START_TEST(nobody_sees_a_row_before_its_commit)
{
	struct shop t;

	shop_open(&t, _i);
	write_rows(&t, 1, 3);
	engine_begin(t.store);
	shop_write(&t, 4);
	ck_assert(is_there(&t, 3));
	ck_assert(!is_there(&t, 4));
	engine_commit(t.store);
	ck_assert(is_there(&t, 4));
	shop_close(&t);
}
END_TEST

static bool
remember_last(void *ctx, const struct store_row *row)
{
	*(uint64_t *)ctx = row->id;
	return true;
}

static uint64_t
last_scanned(struct shop *t)
{
	uint64_t id = 0;

	ck_assert_int_eq(t->ops->scan(t->store, 0, remember_last, &id), SW_OK);
	return id;
}

START_TEST(a_rollback_takes_rows_back)
{
	struct scribe before;
	struct shop t;

	shop_open(&t, _i);
	write_rows(&t, 1, 3);
	before = t.room;
	engine_begin(t.store);
	for (uint64_t id = 4; id < 3000; id++) {
		struct event *e = make_event(t.room.channel, STR("x"));

		e->id = id;
		ck_assert_int_eq(t.ops->append(t.store, 1, e), SW_OK);
		event_unref(e);
	}
	t.ops->rollback(t.store);
	ck_assert(is_there(&t, 3));
	ck_assert(!is_there(&t, 4));
	ck_assert_uint_eq(last_scanned(&t), 3);
	/* The same ids are free again, as far as the engine goes. */
	ck_assert_uint_eq(t.room.head, before.head);
	write_rows(&t, 4, 5);
	ck_assert_uint_eq(last_scanned(&t), 5);
	shop_close(&t);
}
END_TEST

START_TEST(a_rollback_without_anything_done_is_harmless)
{
	struct shop t;

	shop_open(&t, _i);
	write_rows(&t, 1, 3);
	engine_begin(t.store);
	t.ops->rollback(t.store);
	t.ops->rollback(t.store);
	ck_assert_uint_eq(last_scanned(&t), 3);
	write_rows(&t, 4, 4);
	shop_close(&t);
}
END_TEST

static void
add_key(struct shop *t, const char *channel, const char *key, uint64_t id,
    uint64_t time_ms)
{
	ck_assert_int_eq(t->ops->add_key(t->store, str_of(channel), str_of(key),
			     id, time_ms),
	    SW_OK);
}

/* The id that the key has; 0: it is new. Inside a transaction or outside. */
static uint64_t
find_key(struct shop *t, const char *channel, const char *key)
{
	uint64_t id = 0, time_ms = 0;
	int err = t->ops->find_key(
	    t->store, str_of(channel), str_of(key), &id, &time_ms);

	ck_assert(err == SW_ENOENT || (err == SW_OK && id > 0));
	return id;
}

START_TEST(keys_are_found_by_channel_and_key)
{
	uint64_t id, time_ms;
	struct shop t;

	shop_open(&t, _i);
	engine_begin(t.store);
	ck_assert_uint_eq(find_key(&t, "a", "k"), 0);
	add_key(&t, "a", "k", 1, 10);
	ck_assert_uint_eq(find_key(&t, "a", "k"), 1);
	add_key(&t, "b", "k", 2, 20);
	engine_commit(t.store);
	ck_assert_uint_eq(find_key(&t, "a", "k"), 1);
	ck_assert_uint_eq(find_key(&t, "b", "k"), 2);
	ck_assert_uint_eq(find_key(&t, "b", "K"), 0);
	ck_assert_int_eq(
	    t.ops->find_key(t.store, STR("b"), STR("k"), &id, &time_ms), SW_OK);
	ck_assert_uint_eq(time_ms, 20);
	shop_close(&t);
}
END_TEST

START_TEST(an_expired_key_that_is_still_there_gives_way)
{
	struct shop t;

	shop_open(&t, _i);
	engine_begin(t.store);
	add_key(&t, "a", "k", 1, 10);
	engine_commit(t.store);
	engine_begin(t.store);
	add_key(&t, "a", "k", 2, 20);
	engine_commit(t.store);
	ck_assert_uint_eq(find_key(&t, "a", "k"), 2);
	shop_close(&t);
}
END_TEST

START_TEST(a_rollback_takes_keys_back)
{
	struct shop t;

	shop_open(&t, _i);
	engine_begin(t.store);
	shop_write(&t, 1);
	add_key(&t, "a", "k", 1, 10);
	engine_commit(t.store);
	engine_begin(t.store);
	add_key(&t, "a", "l", 2, 20);
	t.ops->rollback(t.store);
	ck_assert_uint_eq(find_key(&t, "a", "k"), 1);
	ck_assert_uint_eq(find_key(&t, "a", "l"), 0);
	shop_close(&t);
}
END_TEST

/* What is later was stored while the clock was ahead. */
enum { LATEST_MS = 120 };

static void
expire(struct shop *t, uint64_t before_ms, unsigned count)
{
	engine_begin(t->store);
	ck_assert_int_eq(
	    t->ops->expire_keys(t->store, before_ms, LATEST_MS, count), SW_OK);
	engine_commit(t->store);
}

/* Even keys are old. */
static void
add_many_keys(struct shop *t, unsigned count)
{
	char channel[16], key[16];

	engine_begin(t->store);
	for (unsigned pass = 0; pass < 2; pass++)
		for (unsigned i = pass; i < count; i += 2) {
			snprintf(channel, sizeof(channel), "c%u", i % 7);
			snprintf(key, sizeof(key), "k%u", i);
			add_key(t, channel, key, i + 1, pass == 0 ? 10 : 99);
		}
	engine_commit(t->store);
}

static void
check_many_keys(struct shop *t, unsigned count)
{
	char channel[16], key[16];

	for (unsigned i = 0; i < count; i++) {
		snprintf(channel, sizeof(channel), "c%u", i % 7);
		snprintf(key, sizeof(key), "k%u", i);
		ck_assert_uint_eq(
		    find_key(t, channel, key), i % 2 == 0 ? 0 : i + 1);
	}
}

START_TEST(old_keys_are_forgotten_in_one_round_of_steps)
{
	enum { KEYS = 500, STEP = 64 };
	struct shop t;

	shop_open(&t, _i);
	add_many_keys(&t, KEYS);
	for (unsigned i = 0; i <= KEYS / STEP; i++)
		expire(&t, 50, STEP);
	check_many_keys(&t, KEYS);
	shop_close(&t);
}
END_TEST

START_TEST(keys_of_a_clock_that_was_ahead_grow_old_like_others)
{
	struct shop t;

	shop_open(&t, _i);
	engine_begin(t.store);
	add_key(&t, "a", "ahead", 1, 900000);
	add_key(&t, "b", "ahead", 2, LATEST_MS + 1);
	engine_commit(t.store);
	for (unsigned i = 0; i < 2; i++)
		expire(&t, LATEST_MS, 10);
	ck_assert_uint_eq(find_key(&t, "a", "ahead"), 1);
	ck_assert_uint_eq(find_key(&t, "b", "ahead"), 2);
	for (unsigned i = 0; i < 2; i++)
		expire(&t, LATEST_MS + 1, 10);
	ck_assert_uint_eq(find_key(&t, "a", "ahead"), 0);
	ck_assert_uint_eq(find_key(&t, "b", "ahead"), 0);
	shop_close(&t);
}
END_TEST

START_TEST(forgetting_keys_goes_round_and_round)
{
	enum { KEYS = 100 };
	struct shop t;

	shop_open(&t, _i);
	for (unsigned round = 0; round < 5; round++) {
		add_many_keys(&t, KEYS);
		/* All of them, the end, and from the start as far again. */
		for (unsigned i = 0; i < 2 * (KEYS + 1); i++)
			expire(&t, 50, 1);
		check_many_keys(&t, KEYS);
	}
	shop_close(&t);
}
END_TEST

START_TEST(keys_at_the_limit_of_age_stay)
{
	struct shop t;

	shop_open(&t, _i);
	engine_begin(t.store);
	add_key(&t, "a", "k", 1, 50);
	engine_commit(t.store);
	for (unsigned i = 0; i < 3; i++)
		expire(&t, 50, 10);
	ck_assert_uint_eq(find_key(&t, "a", "k"), 1);
	for (unsigned i = 0; i < 3; i++)
		expire(&t, 51, 10);
	ck_assert_uint_eq(find_key(&t, "a", "k"), 0);
	shop_close(&t);
}
END_TEST

/* What a scan saw. */
struct seen {
	uint64_t ids[64];
	unsigned count, limit;
};

static bool
see(void *ctx, const struct store_row *row)
{
	struct seen *s = ctx;

	s->ids[s->count++] = row->id;
	ck_assert_uint_eq(row->channel, 1);
	ck_assert_uint_eq(row->time_ms, row->id * 100);
	return s->count < s->limit;
}

START_TEST(a_scan_goes_through_committed_rows_in_order)
{
	struct seen s = { .limit = 64 };
	struct shop t;

	shop_open(&t, _i);
	write_rows(&t, 10, 29);
	ck_assert_int_eq(t.ops->scan(t.store, 0, see, &s), SW_OK);
	ck_assert_uint_eq(s.count, 20);
	for (unsigned i = 0; i < s.count; i++)
		ck_assert_uint_eq(s.ids[i], 10 + i);
	s = (struct seen){ .limit = 5 };
	ck_assert_int_eq(t.ops->scan(t.store, 14, see, &s), SW_OK);
	ck_assert_uint_eq(s.count, 5);
	ck_assert_uint_eq(s.ids[0], 15);
	s = (struct seen){ .limit = 5 };
	ck_assert_int_eq(t.ops->scan(t.store, 29, see, &s), SW_OK);
	ck_assert_uint_eq(s.count, 0);
	shop_close(&t);
}
END_TEST

static void
remove_rows(struct shop *t, uint64_t first, uint64_t last)
{
	engine_begin(t->store);
	ck_assert_int_eq(t->ops->remove(t->store, first, last), SW_OK);
	engine_commit(t->store);
}

START_TEST(a_removed_range_is_gone_with_both_its_ends)
{
	struct seen s = { .limit = 64 };
	struct event *e;
	struct shop t;

	shop_open(&t, _i);
	write_rows(&t, 1, 40);
	remove_rows(&t, 11, 20);
	remove_rows(&t, 11, 20);
	remove_rows(&t, 100, 200);
	for (uint64_t id = 1; id <= 40; id++)
		ck_assert_int_eq(is_there(&t, id), id < 11 || id > 20);
	ck_assert_int_eq(t.ops->reader_begin(t.reader), SW_OK);
	ck_assert_int_eq(
	    t.ops->reader_event(t.reader, 15, t.room.channel, &e), SW_ENOENT);
	t.ops->reader_end(t.reader);
	ck_assert_int_eq(t.ops->scan(t.store, 0, see, &s), SW_OK);
	ck_assert_uint_eq(s.count, 30);
	ck_assert_uint_eq(s.ids[9], 10);
	ck_assert_uint_eq(s.ids[10], 21);
	shop_close(&t);
}
END_TEST

/* Many times round: what is removed leaves room for what is new. */
START_TEST(a_log_that_loses_its_oldest_rows_goes_on)
{
	struct shop t;
	uint64_t first = 1, next = 1;

	shop_open(&t, _i);
	for (unsigned round = 0; round < 50; round++) {
		write_rows(&t, next, next + 199);
		next += 200;
		remove_rows(&t, first, first + 149);
		first += 150;
		ck_assert(!is_there(&t, first - 1));
		ck_assert(is_there(&t, first));
		ck_assert(is_there(&t, next - 1));
	}
	remove_rows(&t, 0, next);
	ck_assert_uint_eq(last_scanned(&t), 0);
	write_rows(&t, next, next);
	ck_assert(is_there(&t, next));
	shop_close(&t);
}
END_TEST

START_TEST(removing_rows_makes_the_store_smaller)
{
	uint64_t empty, full;
	struct shop t;

	shop_open(&t, _i);
	empty = t.ops->used_bytes(t.store);
	engine_begin(t.store);
	for (uint64_t id = 1; id <= 100; id++)
		scribe_write(&t.room, t.store,
		    make_sized_event(t.room.channel, 10000), id, 1);
	engine_commit(t.store);
	full = t.ops->used_bytes(t.store);
	ck_assert_uint_ge(full, empty + 1000000);
	remove_rows(&t, 1, 90);
	ck_assert_uint_le(t.ops->used_bytes(t.store), empty + 200000);
	remove_rows(&t, 1, 100);
	ck_assert_uint_le(t.ops->used_bytes(t.store), empty);
	shop_close(&t);
}
END_TEST

START_TEST(a_store_that_works_says_so_when_probed)
{
	struct shop t;

	shop_open(&t, _i);
	ck_assert_int_eq(t.ops->probe(t.store), SW_OK);
	ck_assert_int_eq(t.ops->probe(t.store), SW_OK);
	write_rows(&t, 1, 1);
	shop_close(&t);
}
END_TEST

/* Readers of their own threads, while rows come and go. */
struct crowd {
	struct shop *shop;
	_Atomic uint64_t oldest; /* nothing below is asked for */
	_Atomic uint64_t newest; /* committed */
	_Atomic bool done;
	_Atomic unsigned looked;
};

static void *
crowd_main(void *arg)
{
	struct crowd *c = arg;
	const struct store_ops *ops = c->shop->ops;
	struct store_reader *r = engine_reader(c->shop->store);

	while (!atomic_load(&c->done)) {
		uint64_t id = atomic_load(&c->newest);
		struct store_row row;
		int err = SW_OK;

		ck_assert_int_eq(ops->reader_begin(r), SW_OK);
		/* Down the chain: no row is missing above the oldest. */
		while (
		    id > 0 && (err = ops->reader_row(r, id, &row)) == SW_OK) {
			ck_assert_uint_eq(row.id, id);
			id = row.previous;
		}
		ck_assert(err == SW_OK || err == SW_ENOENT);
		ck_assert_uint_le(id, atomic_load(&c->oldest));
		ops->reader_end(r);
		atomic_fetch_add(&c->looked, 1);
	}
	ops->reader_close(r);
	return NULL;
}

START_TEST(readers_follow_the_chain_while_the_writer_writes)
{
	struct crowd c = { .oldest = 0 };
	pthread_t threads[3];
	struct shop t;

	shop_open(&t, _i);
	c.shop = &t;
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, crowd_main, &c);
	for (uint64_t id = 1; id <= 600 || atomic_load(&c.looked) < 50; id++) {
		write_rows(&t, id, id);
		atomic_store(&c.newest, id);
		if (id % 50 == 0) {
			atomic_store(&c.oldest, id - 25);
			remove_rows(&t, 0, id - 25);
		}
	}
	atomic_store(&c.done, true);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	shop_close(&t);
}
END_TEST

/* What only an engine can do that does not hold writers up meanwhile. */
START_TEST(a_view_stays_as_it_was_until_it_ends)
{
	struct store_row row;
	struct shop t;

	shop_open(&t, ENGINE_SQLITE);
	write_rows(&t, 1, 10);
	ck_assert_int_eq(t.ops->reader_begin(t.reader), SW_OK);
	ck_assert_int_eq(t.ops->reader_row(t.reader, 10, &row), SW_OK);
	write_rows(&t, 11, 11);
	remove_rows(&t, 1, 5);
	ck_assert_int_eq(t.ops->reader_row(t.reader, 11, &row), SW_ENOENT);
	ck_assert_int_eq(t.ops->reader_row(t.reader, 3, &row), SW_OK);
	t.ops->reader_end(t.reader);
	ck_assert(is_there(&t, 11));
	ck_assert(!is_there(&t, 3));
	shop_close(&t);
}
END_TEST

START_TEST(a_rollback_takes_back_what_was_removed)
{
	struct shop t;

	shop_open(&t, ENGINE_SQLITE);
	write_rows(&t, 1, 10);
	engine_begin(t.store);
	ck_assert_int_eq(t.ops->remove(t.store, 1, 5), SW_OK);
	t.ops->rollback(t.store);
	for (uint64_t id = 1; id <= 10; id++)
		ck_assert(is_there(&t, id));
	shop_close(&t);
}
END_TEST

/* What is loaded when a store is opened. */
struct loaded {
	struct store_channel channels[8];
	char names[8][32];
	unsigned channel_count;
	struct store_row rows[64];
	unsigned row_count;
	int fail_at_row; /* 0: never */
};

static int
load_channel(void *ctx, const struct store_channel *c)
{
	struct loaded *l = ctx;

	ck_assert_uint_lt(c->name.len, 32);
	memcpy(l->names[l->channel_count], c->name.p, c->name.len);
	l->channels[l->channel_count++] = *c;
	return SW_OK;
}

static int
load_row(void *ctx, const struct store_row *row)
{
	struct loaded *l = ctx;

	l->rows[l->row_count++] = *row;
	return (int)l->row_count == l->fail_at_row ? SW_ENOMEM : SW_OK;
}

static int
load(struct store *s, struct store_state *state, struct loaded *l)
{
	const struct store_visitor visitor = { load_channel, load_row, l };

	return s->ops->load(s, state, &visitor);
}

START_TEST(a_new_store_is_empty_and_has_an_epoch)
{
	struct loaded l = { .row_count = 0 };
	struct store_state state;
	struct epoch epoch;
	struct store *s;

	scratch_make();
	s = engine_open(_i);
	ck_assert_int_eq(load(s, &state, &l), SW_OK);
	ck_assert_int_eq(epoch_parse(&epoch, str_of(state.epoch.text)), SW_OK);
	ck_assert_uint_eq(state.reserved, 0);
	ck_assert_uint_eq(state.head, 0);
	ck_assert_uint_eq(state.floor, 0);
	ck_assert_uint_eq(state.saved, 0);
	ck_assert_uint_eq(l.channel_count, 0);
	ck_assert_uint_eq(l.row_count, 0);
	s->ops->close(s);
	scratch_remove();
}
END_TEST

START_TEST(a_reopened_store_has_what_was_committed)
{
	const struct store_channel saved = { 1, STR("room"), 4, 4, 4, 2 };
	struct loaded l = { .row_count = 0 };
	struct store_state state, before;
	struct shop t;

	shop_open(&t, ENGINE_SQLITE);
	before = engine_state(t.store);
	write_rows(&t, 1, 6);
	state = before;
	state.reserved = 1000;
	state.head = 6;
	state.floor = 1;
	state.saved = 4;
	engine_begin(t.store);
	ck_assert_int_eq(t.ops->add_channel(t.store, 7, STR("other")), SW_OK);
	ck_assert_int_eq(t.ops->save_channel(t.store, &saved), SW_OK);
	ck_assert_int_eq(t.ops->save_state(t.store, &state), SW_OK);
	add_key(&t, "room", "k", 3, 30);
	ck_assert_int_eq(t.ops->commit(t.store), SW_OK);
	engine_begin(t.store);
	shop_write(&t, 7); /* never committed */

	shop_reopen(&t);
	ck_assert_int_eq(load(t.store, &state, &l), SW_OK);
	ck_assert_str_eq(state.epoch.text, before.epoch.text);
	ck_assert_uint_eq(state.reserved, 1000);
	ck_assert_uint_eq(state.head, 6);
	ck_assert_uint_eq(state.floor, 1);
	ck_assert_uint_eq(state.saved, 4);
	ck_assert_uint_eq(l.channel_count, 2);
	ck_assert_str_eq(l.names[0], "room");
	ck_assert_uint_eq(l.channels[0].key, 1);
	ck_assert_uint_eq(l.channels[0].head, 4);
	ck_assert_uint_eq(l.channels[0].number, 4);
	ck_assert_uint_eq(l.channels[0].total, 4);
	ck_assert_uint_eq(l.channels[0].floor, 2);
	ck_assert_str_eq(l.names[1], "other");
	ck_assert_uint_eq(l.channels[1].key, 7);
	ck_assert_uint_eq(l.channels[1].head, 0);
	/* Only the rows above `saved` are visited. */
	ck_assert_uint_eq(l.row_count, 2);
	ck_assert_uint_eq(l.rows[0].id, 5);
	ck_assert_uint_eq(l.rows[1].id, 6);
	ck_assert_uint_eq(l.rows[1].number, 6);
	ck_assert_uint_eq(l.rows[1].previous, 5);
	ck_assert_uint_eq(find_key(&t, "room", "k"), 3);
	ck_assert(is_there(&t, 1));
	ck_assert(!is_there(&t, 7));
	shop_close(&t);
}
END_TEST

START_TEST(a_visitor_that_fails_ends_the_loading)
{
	struct loaded l = { .fail_at_row = 2 };
	struct store_state state;
	struct shop t;

	shop_open(&t, ENGINE_SQLITE);
	write_rows(&t, 1, 6);
	shop_reopen(&t);
	said_listen();
	ck_assert_int_eq(load(t.store, &state, &l), SW_ENOMEM);
	free(said_end());
	ck_assert_uint_eq(l.row_count, 2);
	write_rows(&t, 7, 7);
	shop_close(&t);
}
END_TEST

START_TEST(a_closed_store_leaves_one_file_and_its_lock)
{
	struct shop t;

	shop_open(&t, ENGINE_SQLITE);
	write_rows(&t, 1, 1000);
	ck_assert_uint_gt(scratch_size("store.db-wal"), 0);
	t.ops->reader_close(t.reader);
	t.ops->close(t.store);
	t.ops->close(NULL);
	t.ops->reader_close(NULL);
	ck_assert_int_ne(access(scratch_path("store.db-wal"), F_OK), 0);
	ck_assert_int_ne(access(scratch_path("store.db-shm"), F_OK), 0);
	ck_assert_int_eq(access(scratch_path("store.db"), F_OK), 0);
	t.store = engine_open(ENGINE_SQLITE);
	t.reader = engine_reader(t.store);
	ck_assert(is_there(&t, 1000));
	shop_close(&t);
}
END_TEST

START_TEST(a_second_opener_is_told_who_has_the_store)
{
	struct store *second = NULL;
	char words[64];
	struct shop t;

	shop_open(&t, ENGINE_SQLITE);
	snprintf(
	    words, sizeof(words), "in use by process %ld:", (long)getpid());
	said_listen();
	ck_assert_int_eq(
	    store_sqlite_open(&second, scratch_path("store.db"), true),
	    SW_ELOCKED);
	said_check(words);
	ck_assert_ptr_null(second);
	/* The first one is as well as before. */
	write_rows(&t, 1, 3);
	ck_assert(is_there(&t, 3));
	said_listen();
	ck_assert_int_eq(
	    store_sqlite_open(&second, scratch_path("store.db"), true),
	    SW_ELOCKED);
	free(said_end());
	shop_close(&t);
}
END_TEST

START_TEST(a_directory_that_does_not_exist_is_named)
{
	struct store *s = NULL;

	scratch_make();
	said_listen();
	ck_assert_int_eq(
	    store_sqlite_open(&s, scratch_path("none/store.db"), true),
	    SW_ESTORE);
	said_check("/none does not exist: create it");
	ck_assert_ptr_null(s);
	scratch_remove();
}
END_TEST

START_TEST(a_directory_in_the_place_of_the_file_is_named)
{
	struct store *s = NULL;

	scratch_make();
	ck_assert_int_eq(mkdir(scratch_path("store"), 0700), 0);
	said_listen();
	ck_assert_int_eq(
	    store_sqlite_open(&s, scratch_path("store"), true), SW_ESTORE);
	said_check("is a directory: set `store` to a file in it");
	ck_assert_ptr_null(s);
	scratch_remove();
}
END_TEST

START_TEST(files_that_are_moved_aside_stay_whole)
{
	struct store *s;
	struct shop t;

	shop_open(&t, ENGINE_SQLITE);
	write_rows(&t, 1, 1000);
	scratch_copy_store("store.db", "copy.db");
	said_listen();
	ck_assert_int_eq(
	    store_sqlite_move_aside(scratch_path("copy.db")), SW_OK);
	ck_assert_int_eq(
	    store_sqlite_move_aside(scratch_path("copy.db")), SW_ESTORE);
	free(said_end());
	ck_assert_int_ne(access(scratch_path("copy.db"), F_OK), 0);
	ck_assert_int_ne(access(scratch_path("copy.db-wal"), F_OK), 0);
	ck_assert_int_eq(
	    store_sqlite_open(&s, scratch_path("copy.db"), true), SW_OK);
	ck_assert_uint_eq(engine_state(s).reserved, 0);
	s->ops->close(s);
	shop_close(&t);
}
END_TEST

SUITE("storage/store", LOOP(a_committed_row_reads_back_as_it_was, ENGINES),
    LOOP(an_event_of_any_shape_reads_back, ENGINES),
    LOOP(nobody_sees_a_row_before_its_commit, ENGINES),
    LOOP(a_rollback_takes_rows_back, ENGINES),
    LOOP(a_rollback_without_anything_done_is_harmless, ENGINES),
    LOOP(keys_are_found_by_channel_and_key, ENGINES),
    LOOP(an_expired_key_that_is_still_there_gives_way, ENGINES),
    LOOP(a_rollback_takes_keys_back, ENGINES),
    LOOP(old_keys_are_forgotten_in_one_round_of_steps, ENGINES),
    LOOP(keys_of_a_clock_that_was_ahead_grow_old_like_others, ENGINES),
    LOOP(forgetting_keys_goes_round_and_round, ENGINES),
    LOOP(keys_at_the_limit_of_age_stay, ENGINES),
    LOOP(a_scan_goes_through_committed_rows_in_order, ENGINES),
    LOOP(a_removed_range_is_gone_with_both_its_ends, ENGINES),
    LOOP(a_log_that_loses_its_oldest_rows_goes_on, ENGINES),
    LOOP(removing_rows_makes_the_store_smaller, ENGINES),
    LOOP(a_store_that_works_says_so_when_probed, ENGINES),
    LOOP(readers_follow_the_chain_while_the_writer_writes, ENGINES),
    TEST(a_view_stays_as_it_was_until_it_ends),
    TEST(a_rollback_takes_back_what_was_removed),
    LOOP(a_new_store_is_empty_and_has_an_epoch, ENGINES),
    TEST(a_reopened_store_has_what_was_committed),
    TEST(a_visitor_that_fails_ends_the_loading),
    TEST(a_closed_store_leaves_one_file_and_its_lock),
    TEST(a_second_opener_is_told_who_has_the_store),
    TEST(a_directory_that_does_not_exist_is_named),
    TEST(a_directory_in_the_place_of_the_file_is_named),
    TEST(files_that_are_moved_aside_stay_whole))
