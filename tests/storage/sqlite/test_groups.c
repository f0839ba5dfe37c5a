#include "storage/sqlite/groups_sqlite.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "storage/history.h"
#include "tests/storage/shop.h"
#include "tests/suite.h"

static _Atomic bool disk_fails;

static int
sync_or_fail(long call, int fd)
{
	if (!atomic_load(&disk_fails))
		return (int)syscall(call, fd);
	errno = EIO;
	return -1;
}

/* In place of the system's, for all of this program. */
int
fdatasync(int fd)
{
	return sync_or_fail(SYS_fdatasync, fd);
}

int
fsync(int fd)
{
	return sync_or_fail(SYS_fsync, fd);
}

/* A group for each. */
static void
say(struct shop *t, uint64_t first, uint64_t last)
{
	for (uint64_t id = first; id <= last; id++) {
		engine_begin(t->store);
		shop_write(t, id);
		engine_commit_unseen(t->store);
	}
}

static int
count_row(void *ctx, const struct store_row *row)
{
	uint64_t *n = ctx;

	ck_assert_uint_eq(row->id, ++*n);
	ck_assert_uint_eq(row->number, *n);
	return SW_OK;
}

/* How many rows are there when it is opened: those from 1 on. */
static uint64_t
rows_of(struct store *s)
{
	uint64_t n = 0;
	const struct store_visitor visitor = { engine_skip_channel, count_row,
		&n };
	struct store_state state;

	ck_assert_int_eq(s->ops->load(s, &state, &visitor), SW_OK);
	return n;
}

static struct store *
open_copy(const char *name)
{
	struct store *s = NULL;

	ck_assert_int_eq(
	    store_sqlite_open(&s, scratch_path(name), true), SW_OK);
	return s;
}

/* What a crash would leave now has so many rows, however often it is opened. */
static void
expect_rows_after_crash(uint64_t rows)
{
	struct store *s;

	scratch_copy_store("store.db", "copy.db");
	for (int i = 0; i < 2; i++) {
		s = open_copy("copy.db");
		ck_assert_uint_eq(rows_of(s), rows);
		ck_assert(!atomic_load(&s->unsettled));
		s->ops->close(s);
	}
	unlink(scratch_path("copy.db-tail"));
	unlink(scratch_path("copy.db"));
}

START_TEST(groups_that_come_at_once_outlive_the_process)
{
	struct shop t;

	shop_open(&t, ENGINE_BUSY);
	say(&t, 1, 30);
	ck_assert(atomic_load(&t.store->unsettled));
	engine_begin(t.store);
	shop_write(&t, 31); /* never committed */
	expect_rows_after_crash(30);
	engine_commit_unseen(t.store);
	expect_rows_after_crash(31);
	ck_assert_int_eq(t.ops->settle(t.store), SW_OK);
	ck_assert(!atomic_load(&t.store->unsettled));
	expect_rows_after_crash(31);
	say(&t, 32, 40);
	ck_assert(atomic_load(&t.store->unsettled));
	expect_rows_after_crash(40);
	shop_close(&t);
}
END_TEST

START_TEST(a_store_that_is_closed_has_all_but_the_open_group)
{
	struct shop t;

	shop_open(&t, ENGINE_BUSY);
	say(&t, 1, 10);
	engine_begin(t.store);
	shop_write(&t, 11); /* never committed */
	shop_reopen(&t);
	ck_assert_int_ne(access(scratch_path("store.db-tail"), F_OK), 0);
	ck_assert_uint_eq(rows_of(t.store), 10);
	shop_close(&t);
}
END_TEST

/* It was in one transaction with those before, which have been acknowledged. */
START_TEST(a_group_that_fails_takes_no_other_with_it)
{
	struct shop t;

	shop_open(&t, ENGINE_BUSY);
	say(&t, 1, 10);
	engine_begin(t.store);
	shop_write(&t, 11);
	t.ops->rollback(t.store);
	t.room.number--;
	t.room.head = 10;
	expect_rows_after_crash(10);
	engine_begin(t.store);
	scribe_fini(&t.room);
	scribe_init(&t.room, t.store, world_channel(&t.world, "room2"), 2);
	t.room.number = 10;
	t.room.head = 10;
	shop_write(&t, 11);
	engine_commit_unseen(t.store);
	expect_rows_after_crash(11);
	shop_close(&t);
}
END_TEST

START_TEST(readers_see_what_was_settled)
{
	struct store_row found;
	struct shop t;

	shop_open(&t, ENGINE_BUSY);
	say(&t, 1, 10);
	ck_assert_int_eq(t.ops->reader_begin(t.reader), SW_OK);
	ck_assert_int_eq(t.ops->reader_row(t.reader, 10, &found), SW_ENOENT);
	t.ops->reader_end(t.reader);
	ck_assert_int_eq(t.ops->settle(t.store), SW_OK);
	ck_assert_int_eq(t.ops->reader_begin(t.reader), SW_OK);
	ck_assert_int_eq(t.ops->reader_row(t.reader, 10, &found), SW_OK);
	t.ops->reader_end(t.reader);
	shop_close(&t);
}
END_TEST

struct busy_shop {
	struct shop shop;
	uint64_t said;
};

/* What was said is settled, and then more is said, as the writer does. */
static int
settle_and_go_on(void *ctx)
{
	struct busy_shop *b = ctx;

	ck_assert_int_eq(b->shop.ops->settle(b->shop.store), SW_OK);
	b->said++;
	say(&b->shop, b->said, b->said);
	atomic_store(&b->shop.room.channel->head, b->said);
	return SW_OK;
}

/* An event that comes when all before it are visible hides none of them. */
START_TEST(history_has_no_hole_while_more_is_said)
{
	struct busy_shop b = { .said = 10 };
	struct store_reader *r;

	shop_open(&b.shop, ENGINE_BUSY);
	say(&b.shop, 1, 10);
	atomic_store(&b.shop.room.channel->head, 10);
	r = b.shop.reader;
	r->settle = settle_and_go_on;
	r->settle_ctx = &b;
	for (unsigned round = 0; round < 5; round++) {
		struct history_part part = { .channel = b.shop.room.channel,
			.newest = b.said };
		struct history_query q = { .parts = &part,
			.part_count = 1,
			.limit = 100,
			.max_bytes = 1 << 20 };

		ck_assert_int_eq(history_read(r, b.shop.ops, &q), SW_OK);
		ck_assert_uint_eq(q.count, 10 + round);
		history_query_fini(&q);
	}
	shop_close(&b.shop);
}
END_TEST

static uint64_t
find_key(struct store *s, const char *key)
{
	uint64_t id = 0, time_ms = 0;
	int err = s->ops->find_key(s, STR("room"), str_of(key), &id, &time_ms);

	ck_assert(err == SW_OK || err == SW_ENOENT);
	ck_assert_uint_eq(time_ms, id * 10);
	return id;
}

/* The key of event 3, at once and after a crash. */
START_TEST(keys_outlive_the_process_with_their_events)
{
	struct store *s;
	struct shop t;

	shop_open(&t, ENGINE_BUSY);
	say(&t, 1, 2);
	engine_begin(t.store);
	shop_write(&t, 3);
	ck_assert_int_eq(
	    t.ops->add_key(t.store, STR("room"), STR("k"), 3, 30), SW_OK);
	engine_commit_unseen(t.store);
	say(&t, 4, 5);
	ck_assert(atomic_load(&t.store->unsettled));
	ck_assert_uint_eq(find_key(t.store, "k"), 3);
	expect_rows_after_crash(5);
	scratch_copy_store("store.db", "copy.db");
	s = open_copy("copy.db");
	ck_assert_uint_eq(find_key(s, "k"), 3);
	ck_assert_uint_eq(find_key(s, "other"), 0);
	s->ops->close(s);
	engine_begin(t.store);
	t.ops->rollback(t.store);
	engine_begin(t.store);
	ck_assert_uint_eq(find_key(t.store, "k"), 3);
	t.ops->rollback(t.store);
	shop_close(&t);
}
END_TEST

START_TEST(a_commit_does_not_wait_for_ever)
{
	struct shop t;

	shop_open(&t, ENGINE_BUSY);
	store_sqlite_hurry(t.store, 0);
	/* The first one is the ground for a tail. */
	say(&t, 1, 1);
	ck_assert(!atomic_load(&t.store->unsettled));
	say(&t, 2, 2);
	ck_assert(atomic_load(&t.store->unsettled));
	say(&t, 3, 3);
	ck_assert(!atomic_load(&t.store->unsettled));
	say(&t, 4, 4);
	ck_assert(atomic_load(&t.store->unsettled));
	shop_close(&t);
}
END_TEST

/* More than rows: channels, what is removed, what is to be synced. */
START_TEST(what_is_not_rows_alone_is_committed_at_once)
{
	struct shop t;

	shop_open(&t, ENGINE_BUSY);
	say(&t, 1, 10);
	engine_begin(t.store);
	shop_write(&t, 11);
	ck_assert_int_eq(t.ops->add_channel(t.store, 7, STR("other")), SW_OK);
	engine_commit_unseen(t.store);
	ck_assert(!atomic_load(&t.store->unsettled));
	say(&t, 12, 20);
	ck_assert(atomic_load(&t.store->unsettled));
	ck_assert_int_eq(t.ops->begin(t.store, true), SW_OK);
	ck_assert(!atomic_load(&t.store->unsettled));
	shop_write(&t, 21);
	engine_commit_unseen(t.store);
	ck_assert(!atomic_load(&t.store->unsettled));
	say(&t, 22, 30);
	engine_begin(t.store);
	ck_assert_int_eq(t.ops->remove(t.store, 30, 30), SW_OK);
	engine_commit_unseen(t.store);
	ck_assert(!atomic_load(&t.store->unsettled));
	expect_rows_after_crash(29);
	shop_close(&t);
}
END_TEST

static int
note_row(void *ctx, const struct store_row *row)
{
	uint64_t *ids = ctx;

	*ids |= UINT64_C(1) << row->id;
	return SW_OK;
}

/* All of it stands in the log's file, and would be found there after a crash.
 */
START_TEST(no_tail_follows_on_a_group_that_could_not_be_synced)
{
	uint64_t ids = 0;
	const struct store_visitor visitor = { engine_skip_channel, note_row,
		&ids };
	struct store_state state;
	struct store *s;
	struct shop t;

	shop_open(&t, ENGINE_BUSY);
	say(&t, 1, 10);
	ck_assert_int_eq(t.ops->begin(t.store, true), SW_OK);
	shop_write(&t, 11);
	atomic_store(&disk_fails, true);
	ck_assert_int_eq(t.ops->commit(t.store), SW_ESTORE);
	t.ops->rollback(t.store);
	atomic_store(&disk_fails, false);
	say(&t, 12, 13);
	scratch_copy_store("store.db", "copy.db");
	s = open_copy("copy.db");
	ck_assert_int_eq(s->ops->load(s, &state, &visitor), SW_OK);
	ck_assert_uint_eq(ids, 0x37fe);
	s->ops->close(s);
	shop_close(&t);
}
END_TEST

/* The process ended when the database had the rows, and the tail as well. */
START_TEST(rows_that_the_database_has_are_not_added_again)
{
	struct store *s;
	struct shop t;

	shop_open(&t, ENGINE_BUSY);
	say(&t, 1, 10);
	scratch_copy("store.db-tail", "old-tail");
	ck_assert_int_eq(t.ops->settle(t.store), SW_OK);
	scratch_copy_store("store.db", "copy.db");
	scratch_copy("old-tail", "copy.db-tail");
	s = open_copy("copy.db");
	ck_assert_uint_eq(rows_of(s), 10);
	s->ops->close(s);
	shop_close(&t);
}
END_TEST

/* The power went: commits were lost that the tail follows on. */
START_TEST(a_tail_without_what_it_follows_on_is_left_out)
{
	struct store *s;
	struct shop t;

	shop_open(&t, ENGINE_BUSY);
	say(&t, 1, 10);
	ck_assert_int_eq(t.ops->settle(t.store), SW_OK);
	scratch_copy_store("store.db", "copy.db");
	say(&t, 11, 20);
	ck_assert_int_eq(t.ops->settle(t.store), SW_OK);
	say(&t, 21, 30);
	scratch_copy("store.db-tail", "copy.db-tail");
	s = open_copy("copy.db");
	ck_assert_uint_eq(rows_of(s), 10);
	s->ops->close(s);
	shop_close(&t);
}
END_TEST

SUITE("storage/groups", TEST(groups_that_come_at_once_outlive_the_process),
    TEST(a_store_that_is_closed_has_all_but_the_open_group),
    TEST(a_group_that_fails_takes_no_other_with_it),
    TEST(readers_see_what_was_settled),
    TEST(history_has_no_hole_while_more_is_said),
    TEST(keys_outlive_the_process_with_their_events),
    TEST(a_commit_does_not_wait_for_ever),
    TEST(what_is_not_rows_alone_is_committed_at_once),
    TEST(no_tail_follows_on_a_group_that_could_not_be_synced),
    TEST(rows_that_the_database_has_are_not_added_again),
    TEST(a_tail_without_what_it_follows_on_is_left_out))
