#include "storage/tail.h"

#include <signal.h>
#include <sys/resource.h>

#include "storage/history.h"
#include "tests/storage/engines.h"
#include "tests/suite.h"

static const struct epoch epoch = { "e1" }, other_epoch = { "e2" };

/* As the process that writes it does. */
static struct tail *
make_tail(uint64_t number)
{
	char reason[256] = "";
	struct tail *t = NULL;

	ck_assert_int_eq(tail_open(&t, scratch_path("tail"), TAIL_MAKE, &epoch,
			     number, reason),
	    SW_OK);
	ck_assert_int_eq(tail_renew(t, number, reason), SW_OK);
	ck_assert(tail_is_empty(t));
	ck_assert_uint_eq(tail_number(t), number);
	return t;
}

/* As the next process does. */
static struct tail *
find_tail(void)
{
	char reason[256] = "";
	struct tail *t = NULL;

	ck_assert_int_eq(
	    tail_open(&t, scratch_path("tail"), TAIL_READ, &epoch, 77, reason),
	    SW_OK);
	return t;
}

/* Row number `id`, of any shape. */
static struct tail_row
row(uint64_t id)
{
	static const struct str types[] = { { "", 0 }, { "message", 7 } };

	return (struct tail_row){
		.row = {
			.id = id,
			.channel = 3,
			.number = id + 1,
			.total = id * 10,
			.previous = id - 1,
			.jump = id / 2,
			.time_ms = id * 1000,
		},
		.kind = id % 3,
		.type = types[id % 2],
		.content_type = STR("text/plain"),
		.data = { "0123456789", id % 11 },
	};
}

static void
check_text(struct str a, struct str b)
{
	ck_assert_uint_eq(a.len, b.len);
	ck_assert(a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static int
check_row(void *ctx, const struct tail_row *r)
{
	uint64_t *seen = ctx;
	struct tail_row as = row(++*seen);

	ck_assert_uint_eq(r->row.id, as.row.id);
	ck_assert_uint_eq(r->row.channel, as.row.channel);
	ck_assert_uint_eq(r->row.number, as.row.number);
	ck_assert_uint_eq(r->row.previous, as.row.previous);
	ck_assert_uint_eq(r->row.jump, as.row.jump);
	ck_assert_uint_eq(r->row.total, as.row.total);
	ck_assert_uint_eq(r->row.time_ms, as.row.time_ms);
	ck_assert_uint_eq(r->kind, as.kind);
	check_text(r->type, as.type);
	check_text(r->content_type, as.content_type);
	check_text(r->data, as.data);
	return SW_OK;
}

/* How many rows it has: those from 1 on. */
static uint64_t
count(const struct tail *t)
{
	uint64_t seen = 0;

	ck_assert_int_eq(tail_visit(t, check_row, &seen), SW_OK);
	return seen;
}

/* A group for each. */
static void
write_rows(struct tail *t, uint64_t first, uint64_t last)
{
	for (uint64_t id = first; id <= last; id++) {
		struct tail_row r = row(id);

		ck_assert(tail_stage(t, &r));
		ck_assert(tail_publish(t));
	}
}

/* The next process finds so many rows. */
static void
expect_found(uint64_t rows)
{
	struct tail *t = find_tail();

	ck_assert_uint_eq(count(t), rows);
	tail_close(t);
}

START_TEST(rows_are_there_when_the_process_has_gone)
{
	struct tail_row r = row(99), found;
	struct tail *t, *again;

	scratch_make();
	t = make_tail(5);
	expect_found(0);
	write_rows(t, 1, 20);
	ck_assert(!tail_is_empty(t));
	/* What was not published is not. */
	ck_assert(!tail_has_staged(t));
	ck_assert(tail_stage(t, &r));
	ck_assert(tail_has_staged(t));
	again = find_tail();
	ck_assert_uint_eq(tail_number(again), 5);
	ck_assert_uint_eq(count(again), 20);
	ck_assert(tail_find(again, 7, &found));
	ck_assert_uint_eq(found.row.previous, 6);
	ck_assert(!tail_find(again, 21, &found));
	tail_close(again);
	tail_unstage(t);
	ck_assert(!tail_has_staged(t));
	write_rows(t, 21, 22);
	ck_assert_uint_eq(count(t), 22);
	expect_found(22);
	tail_begin(t, 6);
	ck_assert(tail_is_empty(t));
	ck_assert_uint_eq(count(t), 0);
	ck_assert_uint_eq(tail_number(t), 6);
	tail_close(t);
	/* An empty one needs no file. */
	ck_assert_int_ne(access(scratch_path("tail"), F_OK), 0);
	scratch_remove();
}
END_TEST

START_TEST(a_tail_is_made_only_if_one_is_wanted)
{
	char reason[256] = "";
	struct tail *t = NULL;

	scratch_make();
	ck_assert_int_eq(
	    tail_open(&t, scratch_path("tail"), TAIL_WRITE, &epoch, 1, reason),
	    SW_ENOENT);
	ck_assert_int_eq(tail_open(&t, scratch_path("none/tail"), TAIL_WRITE,
			     &epoch, 1, reason),
	    SW_ENOENT);
	ck_assert_int_eq(mkdir(scratch_path("folder"), 0700), 0);
	ck_assert_int_eq(
	    tail_open(&t, scratch_path("folder"), TAIL_MAKE, &epoch, 1, reason),
	    SW_ESTORE);
	ck_assert_ptr_nonnull(strstr(reason, "cannot open"));
	ck_assert_ptr_null(t);
	ck_assert_int_eq(rmdir(scratch_path("folder")), 0);
	scratch_remove();
}
END_TEST

START_TEST(the_tail_of_another_log_is_none)
{
	char reason[256] = "";
	struct tail *t;

	scratch_make();
	t = make_tail(1);
	write_rows(t, 1, 3);
	tail_close(t);
	expect_found(3);
	ck_assert_int_eq(tail_open(&t, scratch_path("tail"), TAIL_WRITE,
			     &other_epoch, 9, reason),
	    SW_OK);
	ck_assert(tail_is_empty(t));
	ck_assert_uint_eq(tail_number(t), 9);
	tail_close(t);
	/* Nor is anything else taken for one. */
	scratch_write("tail", "not a tail at all", 17);
	t = find_tail();
	ck_assert(tail_is_empty(t));
	ck_assert_uint_eq(tail_number(t), 77);
	tail_close(t);
	scratch_remove();
}
END_TEST

/* As after a loss of power: a byte of one row did not reach the disk. */
START_TEST(a_row_that_is_not_whole_ends_the_tail)
{
	struct tail *t;
	size_t len;
	char *bytes;

	scratch_make();
	t = make_tail(1);
	write_rows(t, 1, 10);
	bytes = scratch_read("tail", &len);
	for (size_t at = 0; at < len; at++) {
		char wrong = (char)(bytes[at] + 1);
		struct tail *found;

		scratch_overwrite("tail", (off_t)at, &wrong, 1);
		found = find_tail();
		/* The head has a few bytes that mean nothing. */
		if (at >= 64)
			ck_assert_uint_le(count(found), at / 100);
		ck_assert(at < 64 || count(found) < 10);
		tail_close(found);
		scratch_overwrite("tail", (off_t)at, &bytes[at], 1);
	}
	expect_found(10);
	free(bytes);
	tail_close(t);
	scratch_remove();
}
END_TEST

START_TEST(a_group_is_there_as_a_whole_or_not_at_all)
{
	struct tail *t;
	size_t len;

	scratch_make();
	t = make_tail(1);
	write_rows(t, 1, 2);
	for (uint64_t id = 3; id <= 7; id++) {
		struct tail_row r = row(id);

		ck_assert(tail_stage(t, &r));
	}
	ck_assert(tail_publish(t));
	expect_found(7);
	free(scratch_read("tail", &len));
	for (int rest = (int)len - 1; rest > (int)len - 300; rest--) {
		ck_assert_int_eq(truncate(scratch_path("tail"), rest), 0);
		expect_found(2);
	}
	tail_close(t);
	scratch_remove();
}
END_TEST

/* Of the tail before this one, and of a process before this one. */
START_TEST(what_others_left_behind_the_end_is_not_taken_for_rows)
{
	struct tail *t;
	size_t len, short_len;
	char *bytes;

	scratch_make();
	t = make_tail(1);
	write_rows(t, 1, 10);
	bytes = scratch_read("tail", &len);
	tail_begin(t, 2);
	write_rows(t, 1, 3);
	expect_found(3);
	tail_close(t);
	t = make_tail(1);
	write_rows(t, 1, 3);
	free(scratch_read("tail", &short_len));
	ck_assert_uint_lt(short_len, len);
	scratch_overwrite(
	    "tail", (off_t)short_len, bytes + short_len, len - short_len);
	expect_found(3);
	free(bytes);
	tail_close(t);
	scratch_remove();
}
END_TEST

/* Files may not grow beyond it; nothing may be asserted meanwhile. */
static void
limit_files(rlim_t bytes)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = bytes;
	setrlimit(RLIMIT_FSIZE, &limit);
}

START_TEST(a_disk_that_is_full_takes_none)
{
	struct tail_row r = row(1);
	char reason[256] = "";
	bool staged, published;
	struct tail *t;
	int err;

	scratch_make();
	signal(SIGXFSZ, SIG_IGN);
	t = make_tail(1);
	limit_files(100);
	staged = tail_stage(t, &r);
	published = tail_publish(t);
	limit_files(10);
	err = tail_renew(t, 2, reason);
	limit_files(RLIM_INFINITY);
	ck_assert(staged);
	ck_assert(!published);
	ck_assert(tail_is_empty(t));
	ck_assert_int_eq(err, SW_ESTORE);
	ck_assert_ptr_nonnull(strstr(reason, "cannot write"));
	expect_found(0);
	ck_assert_int_eq(tail_renew(t, 2, reason), SW_OK);
	write_rows(t, 1, 3);
	expect_found(3);
	tail_close(t);
	scratch_remove();
}
END_TEST

START_TEST(a_full_tail_takes_no_more)
{
	static char big[20000];
	struct tail_row large = { .row.id = 1, .data = { big, sizeof(big) } };
	struct tail *t;
	unsigned n = 0;

	scratch_make();
	t = make_tail(1);
	ck_assert(tail_stage(t, &large));
	/* Of one group. */
	ck_assert(!tail_stage(t, &large));
	do
		ck_assert(tail_publish(t));
	while (++n < 100 && tail_stage(t, &large));
	ck_assert_uint_gt(n, 5);
	ck_assert_uint_lt(n, 100);
	tail_begin(t, 2);
	ck_assert(tail_stage(t, &large));
	tail_close(t);
	scratch_remove();
}
END_TEST

/* A store in a hurry, with one channel. */
struct shop {
	struct world world;
	struct store *store;
	const struct store_ops *ops;
	struct scribe room;
};

static void
shop_open(struct shop *t)
{
	scratch_make();
	world_init(&t->world);
	t->store = engine_open(ENGINE_BUSY);
	t->ops = t->store->ops;
	engine_begin(t->store);
	scribe_init(&t->room, t->store, world_channel(&t->world, "room"), 1);
	engine_commit(t->store);
}

static void
shop_close(struct shop *t)
{
	t->ops->close(t->store);
	scribe_fini(&t->room);
	ck_assert_uint_eq(event_memory(), 0);
	world_fini(&t->world);
	scratch_remove();
}

/* Inside a transaction. */
static void
write_event(struct shop *t, uint64_t id)
{
	scribe_write(&t->room, t->store, make_event(t->room.channel, STR("x")),
	    id, id * 100);
}

/* A group for each. */
static void
say(struct shop *t, uint64_t first, uint64_t last)
{
	for (uint64_t id = first; id <= last; id++) {
		engine_begin(t->store);
		write_event(t, id);
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

	shop_open(&t);
	say(&t, 1, 30);
	ck_assert(atomic_load(&t.store->unsettled));
	engine_begin(t.store);
	write_event(&t, 31); /* never committed */
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

	shop_open(&t);
	say(&t, 1, 10);
	engine_begin(t.store);
	write_event(&t, 11); /* never committed */
	t.ops->close(t.store);
	ck_assert_int_ne(access(scratch_path("store.db-tail"), F_OK), 0);
	t.store = engine_open(ENGINE_SQLITE);
	ck_assert_uint_eq(rows_of(t.store), 10);
	shop_close(&t);
}
END_TEST

/* It was in one transaction with those before, which have been acknowledged. */
START_TEST(a_group_that_fails_takes_no_other_with_it)
{
	struct shop t;

	shop_open(&t);
	say(&t, 1, 10);
	engine_begin(t.store);
	write_event(&t, 11);
	t.ops->rollback(t.store);
	t.room.number--;
	t.room.head = 10;
	expect_rows_after_crash(10);
	engine_begin(t.store);
	scribe_fini(&t.room);
	scribe_init(&t.room, t.store, world_channel(&t.world, "room2"), 2);
	t.room.number = 10;
	t.room.head = 10;
	write_event(&t, 11);
	engine_commit_unseen(t.store);
	expect_rows_after_crash(11);
	shop_close(&t);
}
END_TEST

START_TEST(readers_see_what_was_settled)
{
	struct store_reader *r;
	struct store_row found;
	struct shop t;

	shop_open(&t);
	r = engine_reader(t.store);
	say(&t, 1, 10);
	ck_assert_int_eq(t.ops->reader_begin(r), SW_OK);
	ck_assert_int_eq(t.ops->reader_row(r, 10, &found), SW_ENOENT);
	t.ops->reader_end(r);
	ck_assert_int_eq(t.ops->settle(t.store), SW_OK);
	ck_assert_int_eq(t.ops->reader_begin(r), SW_OK);
	ck_assert_int_eq(t.ops->reader_row(r, 10, &found), SW_OK);
	t.ops->reader_end(r);
	t.ops->reader_close(r);
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

	shop_open(&b.shop);
	say(&b.shop, 1, 10);
	atomic_store(&b.shop.room.channel->head, 10);
	r = engine_reader(b.shop.store);
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
	b.shop.ops->reader_close(r);
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

	shop_open(&t);
	say(&t, 1, 2);
	engine_begin(t.store);
	write_event(&t, 3);
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

/* More than rows: channels, what is removed, what is to be synced. */
START_TEST(what_is_not_rows_alone_is_committed_at_once)
{
	struct shop t;

	shop_open(&t);
	say(&t, 1, 10);
	engine_begin(t.store);
	write_event(&t, 11);
	ck_assert_int_eq(t.ops->add_channel(t.store, 7, STR("other")), SW_OK);
	engine_commit_unseen(t.store);
	ck_assert(!atomic_load(&t.store->unsettled));
	say(&t, 12, 20);
	ck_assert(atomic_load(&t.store->unsettled));
	engine_begin(t.store);
	write_event(&t, 21);
	ck_assert_int_eq(t.ops->commit(t.store, true), SW_OK);
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

/* The process ended when the database had the rows, and the tail as well. */
START_TEST(rows_that_the_database_has_are_not_added_again)
{
	struct store *s;
	struct shop t;

	shop_open(&t);
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

	shop_open(&t);
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

SUITE("storage/tail", TEST(rows_are_there_when_the_process_has_gone),
    TEST(a_tail_is_made_only_if_one_is_wanted),
    TEST(the_tail_of_another_log_is_none),
    TEST(a_row_that_is_not_whole_ends_the_tail),
    TEST(a_group_is_there_as_a_whole_or_not_at_all),
    TEST(what_others_left_behind_the_end_is_not_taken_for_rows),
    TEST(a_disk_that_is_full_takes_none), TEST(a_full_tail_takes_no_more),
    TEST(groups_that_come_at_once_outlive_the_process),
    TEST(a_store_that_is_closed_has_all_but_the_open_group),
    TEST(a_group_that_fails_takes_no_other_with_it),
    TEST(readers_see_what_was_settled),
    TEST(history_has_no_hole_while_more_is_said),
    TEST(keys_outlive_the_process_with_their_events),
    TEST(what_is_not_rows_alone_is_committed_at_once),
    TEST(rows_that_the_database_has_are_not_added_again),
    TEST(a_tail_without_what_it_follows_on_is_left_out))
