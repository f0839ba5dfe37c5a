#include "storage/payloads_sqlite.h"

#include <dirent.h>
#include <unistd.h>

#include "tests/storage/engines.h"
#include "tests/suite.h"

/* A store with one channel, whose events are large. */
struct depot {
	struct world world;
	struct store *store;
	struct scribe room;
};

static void
depot_open(struct depot *t)
{
	scratch_make();
	world_init(&t->world);
	t->store = engine_open(ENGINE_SQLITE);
	engine_begin(t->store);
	scribe_init(&t->room, t->store, world_channel(&t->world, "room"), 1);
	engine_commit(t->store);
}

static void
depot_close(struct depot *t)
{
	t->store->ops->close(t->store);
	scribe_fini(&t->room);
	ck_assert_uint_eq(event_memory(), 0);
	world_fini(&t->world);
	scratch_remove();
}

static void
depot_reopen(struct depot *t)
{
	t->store->ops->close(t->store);
	t->store = engine_open(ENGINE_SQLITE);
}

/* An event whose bytes tell which one it is. */
static struct event *
make_large(struct channel *c, uint64_t id, size_t size)
{
	struct event *e = make_sized_event(c, size);
	char *p = event_payload(e);

	for (size_t i = 0; i < size; i++)
		p[i] = (char)(id * 31 + i * 7 + i / 251);
	return e;
}

/* Inside a transaction. */
static void
put(struct depot *t, uint64_t id, size_t size)
{
	scribe_write(
	    &t->room, t->store, make_large(t->room.channel, id, size), id, id);
}

static int
look(struct depot *t, uint64_t id, struct event **out)
{
	const struct store_ops *ops = t->store->ops;
	struct store_reader *r = engine_reader(t->store);
	int err;

	ck_assert_int_eq(ops->reader_begin(r), SW_OK);
	err = ops->reader_event(r, id, t->room.channel, out);
	ops->reader_end(r);
	ops->reader_close(r);
	return err;
}

static void
assert_stored(struct depot *t, uint64_t id, size_t size)
{
	struct event *want = make_large(t->room.channel, id, size), *got;

	ck_assert_int_eq(look(t, id, &got), SW_OK);
	ck_assert_uint_eq(got->size, size);
	ck_assert_int_eq(got->kind, EVENT_BINARY);
	ck_assert_mem_eq(event_payload(got), event_payload(want), size);
	event_unref(got);
	event_unref(want);
}

/* Files of payloads there are, and the bytes in them. */
static unsigned
count_files(size_t *bytes)
{
	DIR *d = opendir(scratch_path("store.db-payloads"));
	struct dirent *e;
	unsigned n = 0;

	*bytes = 0;
	while (d != NULL && (e = readdir(d)) != NULL) {
		char name[64];

		if (e->d_name[0] == '.')
			continue;
		snprintf(
		    name, sizeof(name), "store.db-payloads/%.40s", e->d_name);
		*bytes += scratch_size(name);
		n++;
	}
	if (d != NULL)
		closedir(d);
	return n;
}

START_TEST(a_payload_of_any_size_reads_back)
{
	static const size_t sizes[] = { 0, 1, PAYLOAD_LARGE - 1, PAYLOAD_LARGE,
		PAYLOAD_LARGE + 1, 100000, 1 << 20, 5 << 20 };
	struct depot t;

	depot_open(&t);
	engine_begin(t.store);
	for (uint64_t i = 0; i < COUNT(sizes); i++)
		put(&t, i + 1, sizes[i]);
	engine_commit(t.store);
	for (uint64_t i = 0; i < COUNT(sizes); i++)
		assert_stored(&t, i + 1, sizes[i]);
	depot_reopen(&t);
	for (uint64_t i = 0; i < COUNT(sizes); i++)
		assert_stored(&t, i + 1, sizes[i]);
	depot_close(&t);
}
END_TEST

START_TEST(small_payloads_need_no_files)
{
	size_t bytes;
	struct depot t;

	depot_open(&t);
	engine_begin(t.store);
	put(&t, 1, PAYLOAD_LARGE - 1);
	engine_commit(t.store);
	ck_assert_uint_eq(count_files(&bytes), 0);
	engine_begin(t.store);
	put(&t, 2, PAYLOAD_LARGE);
	engine_commit(t.store);
	ck_assert_uint_eq(count_files(&bytes), 1);
	ck_assert_uint_eq(bytes, PAYLOAD_LARGE);
	depot_close(&t);
}
END_TEST

START_TEST(what_was_rolled_back_is_written_over)
{
	size_t bytes;
	struct depot t;

	depot_open(&t);
	engine_begin(t.store);
	put(&t, 1, 50000);
	engine_commit(t.store);
	engine_begin(t.store);
	put(&t, 2, 70000);
	t.store->ops->rollback(t.store);
	engine_begin(t.store);
	put(&t, 3, 60000);
	engine_commit(t.store);
	assert_stored(&t, 1, 50000);
	assert_stored(&t, 3, 60000);
	ck_assert_uint_eq(count_files(&bytes), 1);
	ck_assert_uint_eq(bytes, 120000);
	/* The files' lengths are forgotten with the process. */
	depot_reopen(&t);
	engine_begin(t.store);
	put(&t, 4, 40000);
	engine_commit(t.store);
	assert_stored(&t, 3, 60000);
	assert_stored(&t, 4, 40000);
	depot_close(&t);
}
END_TEST

/* Enough for several files. */
enum { MEGA = 1 << 20, MANY = 150 };

static void
fill(struct depot *t)
{
	for (uint64_t id = 1; id <= MANY; id++) {
		engine_begin(t->store);
		put(t, id, MEGA);
		ck_assert_int_eq(
		    t->store->ops->commit(t->store, id % 50 == 0), SW_OK);
	}
}

START_TEST(a_file_goes_with_the_last_row_that_refers_to_it)
{
	const struct store_ops *ops;
	size_t bytes;
	uint64_t used;
	struct depot t;

	depot_open(&t);
	ops = t.store->ops;
	fill(&t);
	ck_assert_uint_eq(count_files(&bytes), 3);
	used = ops->used_bytes(t.store);
	ck_assert_uint_ge(used, (uint64_t)MANY * MEGA);
	engine_begin(t.store);
	ck_assert_int_eq(ops->remove(t.store, 1, 63), SW_OK);
	engine_commit(t.store);
	depot_reopen(&t);
	ck_assert_uint_eq(count_files(&bytes), 3);
	engine_begin(t.store);
	ck_assert_int_eq(ops->remove(t.store, 64, 64), SW_OK);
	/* Not with a transaction that fails. */
	ops->rollback(t.store);
	engine_begin(t.store);
	put(&t, 1000, MEGA);
	engine_commit(t.store);
	assert_stored(&t, 64, MEGA);
	engine_begin(t.store);
	ck_assert_int_eq(ops->remove(t.store, 64, 64), SW_OK);
	engine_commit(t.store);
	ck_assert_uint_lt(ops->used_bytes(t.store), used - 60 * MEGA);
	/* Readers may still be at an older state: the file stays a while. */
	ck_assert_uint_eq(count_files(&bytes), 3);
	depot_reopen(&t);
	ck_assert_uint_eq(count_files(&bytes), 2);
	for (uint64_t id = 65; id <= MANY; id++)
		assert_stored(&t, id, MEGA);
	assert_stored(&t, 1000, MEGA);
	depot_close(&t);
}
END_TEST

START_TEST(a_reader_keeps_what_its_view_shows)
{
	const struct store_ops *ops;
	struct store_reader *r;
	struct event *e;
	struct depot t;

	depot_open(&t);
	ops = t.store->ops;
	fill(&t);
	r = engine_reader(t.store);
	ck_assert_int_eq(ops->reader_begin(r), SW_OK);
	ck_assert_int_eq(ops->reader_event(r, 10, t.room.channel, &e), SW_OK);
	event_unref(e);
	engine_begin(t.store);
	ck_assert_int_eq(ops->remove(t.store, 1, 64), SW_OK);
	engine_commit(t.store);
	ck_assert_int_eq(ops->reader_event(r, 11, t.room.channel, &e), SW_OK);
	event_unref(e);
	ops->reader_end(r);
	ck_assert_int_eq(ops->reader_begin(r), SW_OK);
	ck_assert_int_eq(
	    ops->reader_event(r, 11, t.room.channel, &e), SW_ENOENT);
	ops->reader_end(r);
	ops->reader_close(r);
	depot_close(&t);
}
END_TEST

static uint64_t seen_floor;

static int
note_floor(void *ctx, const struct store_channel *c)
{
	(void)ctx;
	seen_floor = c->floor;
	return SW_OK;
}

START_TEST(history_begins_behind_payloads_that_were_lost)
{
	const struct store_visitor visitor = { note_floor, engine_skip_row,
		NULL };
	struct store_state state;
	struct depot t;

	depot_open(&t);
	engine_begin(t.store);
	for (uint64_t id = 1; id <= 6; id++)
		put(&t, id, id == 5 ? 10 : 100000);
	engine_commit(t.store);
	t.store->ops->close(t.store);
	/* As the loss of power may leave it: the file is shorter. */
	ck_assert_int_eq(
	    truncate(
		scratch_path("store.db-payloads/0000000000000001"), 350000),
	    0);
	said_listen();
	t.store = engine_open(ENGINE_SQLITE);
	said_check("payloads of 2 events are missing");
	ck_assert_int_eq(t.store->ops->load(t.store, &state, &visitor), SW_OK);
	ck_assert_uint_eq(seen_floor, 6);
	/* It goes on behind what it believed to be there. */
	engine_begin(t.store);
	put(&t, 7, 100000);
	engine_commit(t.store);
	depot_reopen(&t);
	assert_stored(&t, 7, 100000);
	depot_close(&t);
}
END_TEST

START_TEST(a_payload_that_is_missing_is_an_error)
{
	struct event *e;
	struct depot t;

	depot_open(&t);
	engine_begin(t.store);
	put(&t, 1, 100000);
	engine_commit(t.store);
	ck_assert_int_eq(
	    unlink(scratch_path("store.db-payloads/0000000000000001")), 0);
	ck_assert_int_eq(look(&t, 1, &e), SW_ECORRUPT);
	depot_close(&t);
}
END_TEST

START_TEST(files_that_nothing_refers_to_are_removed)
{
	size_t bytes;
	struct depot t;

	depot_open(&t);
	engine_begin(t.store);
	put(&t, 1, 100000);
	engine_commit(t.store);
	scratch_write("store.db-payloads/00000000000000ff", "left", 4);
	scratch_write("store.db-payloads/README", "keep", 4);
	depot_reopen(&t);
	ck_assert_uint_eq(count_files(&bytes), 2);
	ck_assert_uint_eq(bytes, 100004);
	assert_stored(&t, 1, 100000);
	depot_close(&t);
}
END_TEST

START_TEST(a_place_is_three_numbers)
{
	static const char *const bad[] = { "", "1", "1 2", "1 2 3 4", "1 2 3 ",
		"x 2 3", "1 2 x", "18446744073709551616 1 1", "1  2 3",
		"+1 2 3" };
	size_t size;

	ck_assert_int_eq(payload_place_size(STR("7 512 100000"), &size), SW_OK);
	ck_assert_uint_eq(size, 100000);
	for (size_t i = 0; i < COUNT(bad); i++)
		ck_assert_int_eq(
		    payload_place_size(str_of(bad[i]), &size), SW_ECORRUPT);
}
END_TEST

SUITE("storage/payloads", TEST(a_payload_of_any_size_reads_back),
    TEST(small_payloads_need_no_files),
    TEST(what_was_rolled_back_is_written_over),
    TEST(a_file_goes_with_the_last_row_that_refers_to_it),
    TEST(a_reader_keeps_what_its_view_shows),
    TEST(history_begins_behind_payloads_that_were_lost),
    TEST(a_payload_that_is_missing_is_an_error),
    TEST(files_that_nothing_refers_to_are_removed),
    TEST(a_place_is_three_numbers))
