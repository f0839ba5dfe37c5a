#include "storage/sqlite/tail.h"

#include <signal.h>
#include <sys/resource.h>

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
		.data = { "0123456789", (size_t)(id % 11) },
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

/*
 * The file of a daemon that was ended without a word may be found by a newer
 * one: how it is built stays, or has another number.
 */
START_TEST(a_file_of_the_first_release_is_understood)
{
	static const uint64_t words[] = { 0x4c494154574c5053, 1, 0x3165, 0, 0,
		0x3eb91b4c4a902ba, 0x47a919ac34d579da, 0x3eb91b4c4a902ba, 7, 1,
		3, 2, 0, 0, 0xa, 0x3e8, 1, 0xa00000007, 0x8800000001, 1,
		0x746567617373656d, 0x69616c702f747865, 0x306e,
		0xa076a25bd9e9ca77, 0x3eb91b4c4a902ba, 7, 2, 3, 3, 1, 1, 0x14,
		0x7d0, 2, 0xa00000000, 0x8000000002, 1, 0x616c702f74786574,
		0x31306e69 };
	struct tail *t;

	scratch_make();
	scratch_write("tail", words, sizeof(words));
	t = find_tail();
	ck_assert_uint_eq(tail_number(t), 7);
	ck_assert_uint_eq(count(t), 2);
	tail_close(t);
	scratch_remove();
}
END_TEST

SUITE("storage/tail", TEST(rows_are_there_when_the_process_has_gone),
    TEST(a_tail_is_made_only_if_one_is_wanted),
    TEST(the_tail_of_another_log_is_none),
    TEST(a_row_that_is_not_whole_ends_the_tail),
    TEST(a_group_is_there_as_a_whole_or_not_at_all),
    TEST(what_others_left_behind_the_end_is_not_taken_for_rows),
    TEST(a_disk_that_is_full_takes_none), TEST(a_full_tail_takes_no_more),
    TEST(a_file_of_the_first_release_is_understood))
