#include "storage/outbox/outbox.h"

#include <sched.h>
#include <sqlite3.h>

#include "proxy/base/clock.h"
#include "proxy/base/utf8.h"
#include "tests/storage/outbox/carrier.h"
#include "tests/suite.h"

/* What an operator asks. */

static int
see(void *ctx, const struct outbox_letter *letter)
{
	(void)letter;
	return *(const int *)ctx;
}

/* The outbox's thread waits, so that what comes meanwhile comes together. */
static int
linger(void *ctx, const struct outbox_letter *letter)
{
	(void)ctx;
	(void)letter;
	pthread_mutex_lock(&carrier.lock);
	carrier.asked++;
	pthread_cond_signal(&carrier.changed);
	while (!carrier.go_on)
		pthread_cond_wait(&carrier.changed, &carrier.lock);
	pthread_mutex_unlock(&carrier.lock);
	return SW_OK;
}

static void
on_answer(struct outbox_query *q)
{
	pthread_mutex_lock(&carrier.lock);
	carrier.answered++;
	carrier.err = q->err;
	carrier.found = q->count;
	pthread_cond_signal(&carrier.changed);
	pthread_mutex_unlock(&carrier.lock);
}

static void
ask(struct outbox_query *q, enum outbox_order order,
    int (*visit)(void *ctx, const struct outbox_letter *letter), void *ctx)
{
	*q = (struct outbox_query){
		.order = order,
		.limit = 10,
		.visit = visit,
		.ctx = ctx,
		.loop = carrier.loop,
		.done = on_answer,
	};
	ck_assert_int_eq(outbox_ask(outbox, q), SW_OK);
}

static void
fail_stores(void)
{
	run_sql("CREATE TRIGGER broken BEFORE INSERT ON letter "
		"BEGIN SELECT RAISE(ABORT, 'a test says so'); END");
}

static void
mend_stores(void)
{
	run_sql("DROP TRIGGER broken");
}

START_TEST(letters_of_a_lane_arrive_in_their_order)
{
	start("", &limits);
	for (int i = 0; i < 8; i++) {
		const char text[] = { (char)('0' + i), '\0' };

		ck_assert_int_eq(put("a", text, true), SW_OK);
	}
	await_stored(8);
	await_seen(8);
	ck_assert_str_eq(carrier.seen, "01234567");
	ck_assert_uint_eq(carrier.stored, 8);
	stop();
}
END_TEST

START_TEST(one_that_fails_is_carried_again_before_its_successor)
{
	start("awad", &limits);
	ck_assert_int_eq(put("a", "1", false), SW_OK);
	ck_assert_int_eq(put("a", "2", false), SW_OK);
	await_seen(5);
	ck_assert_str_eq(carrier.seen, "11112");
	stop();
}
END_TEST

START_TEST(one_that_is_refused_is_not_carried_again)
{
	start("r", &limits);
	ck_assert_int_eq(put("a", "1", false), SW_OK);
	ck_assert_int_eq(put("a", "2", false), SW_OK);
	await_seen(2);
	ck_assert_str_eq(carrier.seen, "12");
	stop();
}
END_TEST

START_TEST(one_that_is_too_old_makes_room_for_the_next)
{
	struct outbox_limits l = limits;

	l.max_age_ms = 0;
	start("a", &l);
	ck_assert_int_eq(put("a", "1", false), SW_OK);
	ck_assert_int_eq(put("a", "2", false), SW_OK);
	await_seen(2);
	ck_assert_str_eq(carrier.seen, "12");
	stop();
}
END_TEST

START_TEST(what_has_no_room_is_refused_unless_it_must_be_taken)
{
	struct outbox_put *last =
	    outbox_put_new(str_of("d"), str_of("0123456789"));
	struct outbox_stats s;

	ck_assert_ptr_nonnull(last);
	last->must = true;

	start("wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww", &limits);
	ck_assert_int_eq(put("a", "0123456789", true), SW_OK);
	ck_assert_int_eq(put("b", "0123456789", true), SW_EBUSY);
	ck_assert_int_eq(put("c", "0123456789", false), SW_EBUSY);
	ck_assert_int_eq(outbox_put(outbox, last), SW_OK);
	await_stored(1);
	outbox_stats(outbox, &s);
	ck_assert_uint_eq(s.bytes, 20);
	stop();
}
END_TEST

/* SQLite moves it into the database at 4 MB, and begins it anew. */
START_TEST(the_write_ahead_log_starts_over)
{
	enum { LETTERS = 1500, SIZE = 8000 };
	struct outbox_limits l = limits;
	static char text[SIZE + 1];

	memset(text, 'x', SIZE);
	l.max_bytes = 1 << 20;
	scratch_make();
	start_at(scratch_path("store"), "", &l);
	for (size_t i = 1; i <= LETTERS; i++) {
		ck_assert_int_eq(put("a", text, false), SW_OK);
		await_seen(i);
	}
	ck_assert_uint_gt(scratch_size("store-outbox-wal"), 0);
	ck_assert_uint_lt(scratch_size("store-outbox-wal"), LETTERS * SIZE / 2);
	stop();
	scratch_remove();
}
END_TEST

/* SQLite's length(), for which memory may run out. */

static _Atomic bool memory_is_out;

static void
measure(sqlite3_context *ctx, int count, sqlite3_value **values)
{
	(void)count;
	if (memory_is_out)
		sqlite3_result_error_nomem(ctx);
	else
		sqlite3_result_int64(ctx, sqlite3_value_bytes(values[0]));
}

static int
replace_length(
    sqlite3 *db, char **error, const struct sqlite3_api_routines *api)
{
	(void)error;
	(void)api;
	return sqlite3_create_function(
	    db, "length", 1, SQLITE_UTF8, NULL, measure, NULL, NULL);
}

/* Its reader says so, or SQLite, which then ends a transaction as well. */
START_TEST(a_list_that_fails_fails_nothing_else)
{
	static int said[] = { SW_ELIMIT, SW_OK };
	struct outbox_limits l = limits;
	struct outbox_query first, second;
	struct outbox_stats s;

	l.max_age_ms = 0;
	sqlite3_auto_extension((void (*)(void))replace_length);
	start("a", &l);
	ck_assert_int_eq(put("a", "1", false), SW_OK);
	ck_assert_int_eq(put("a", "2", false), SW_OK);
	await_seen(2);
	ask(&first, OUTBOX_LIST, linger, NULL);
	await(&carrier.asked, 1);
	ck_assert_int_eq(put("a", "3", true), SW_OK);
	memory_is_out = _i == 1;
	ask(&second, OUTBOX_LIST, see, &said[_i]);
	pthread_mutex_lock(&carrier.lock);
	carrier.go_on = true;
	pthread_cond_broadcast(&carrier.changed);
	pthread_mutex_unlock(&carrier.lock);
	await(&carrier.answered, 2);
	await_stored(1);
	ck_assert_int_eq(first.err, SW_OK);
	ck_assert_uint_eq(first.count, 1);
	ck_assert_int_eq(second.err, _i == 1 ? SW_ENOMEM : SW_ELIMIT);
	ck_assert_uint_eq(carrier.stored, 1);
	outbox_stats(outbox, &s);
	ck_assert(s.healthy);
	stop();
	memory_is_out = false;
	sqlite3_cancel_auto_extension((void (*)(void))replace_length);
}
END_TEST

START_TEST(a_letter_whose_revival_fails_is_dead_once)
{
	struct outbox_limits l = limits;
	struct outbox_query q;
	struct outbox_stats s;

	l.max_age_ms = 0;
	scratch_make();
	start_at(scratch_path("store"), "a", &l);
	ck_assert_int_eq(put("a", "1", false), SW_OK);
	ck_assert_int_eq(put("a", "2", false), SW_OK);
	await_seen(2);
	fail_stores();
	ask(&q, OUTBOX_RETRY, NULL, NULL);
	await(&carrier.answered, 1);
	ck_assert_int_eq(carrier.err, SW_ESTORE);
	outbox_stats(outbox, &s);
	ck_assert_uint_eq(s.dead, 1);
	mend_stores();
	ask(&q, OUTBOX_RETRY, NULL, NULL);
	await(&carrier.answered, 2);
	ck_assert_int_eq(carrier.err, SW_OK);
	ck_assert_uint_eq(carrier.found, 1);
	/* It comes behind all that its lane has. */
	ck_assert_int_eq(put("a", "3", false), SW_OK);
	await_seen(4);
	ck_assert_str_eq(carrier.seen, "1213");
	stop();
	scratch_remove();
}
END_TEST

struct told {
	char reason[300], lane[8];
	uint64_t created_ms, died_ms, size;
};

static int
tell(void *ctx, const struct outbox_letter *letter)
{
	struct told *t = ctx;

	t->created_ms = letter->created_ms;
	t->died_ms = letter->died_ms;
	t->size = letter->size;
	snprintf(t->reason, sizeof(t->reason), "%.*s", (int)letter->reason.len,
	    letter->reason.p);
	snprintf(t->lane, sizeof(t->lane), "%.*s", (int)letter->lane.len,
	    letter->lane.p);
	return SW_OK;
}

/* Its reason has at most so many bytes, and whole characters. */
START_TEST(a_dead_letter_is_told_with_its_times_and_its_reason)
{
	struct outbox_limits l = limits;
	uint64_t before = clock_unix_ms();
	struct told told = { .size = 0 };
	char why[400] = "";
	struct outbox_query q;

	/* Each place of a character is where it has to be cut. */
	memset(why, 'x', (size_t)_i);
	while (strlen(why) < 300)
		strcat(why, "\xe2\x82\xac");
	l.max_age_ms = 0;
	scratch_make();
	start_at(scratch_path("store"), "a", &l);
	carrier.why = why;
	ck_assert_int_eq(put("lane", "1", false), SW_OK);
	ck_assert_int_eq(put("lane", "2", false), SW_OK);
	await_seen(2);
	run_sql("UPDATE letter SET created = 5");
	ask(&q, OUTBOX_LIST, tell, &told);
	await(&carrier.answered, 1);
	ck_assert_uint_eq(carrier.found, 1);
	ck_assert_str_eq(told.lane, "lane");
	ck_assert_uint_eq(told.size, 1);
	ck_assert_uint_eq(told.created_ms, 5);
	ck_assert_uint_ge(told.died_ms, before);
	ck_assert_uint_le(told.died_ms, clock_unix_ms());
	ck_assert_uint_ge(strlen(told.reason), 253);
	ck_assert(utf8_valid(told.reason, strlen(told.reason)));
	stop();
	scratch_remove();
}
END_TEST

START_TEST(all_dead_letters_are_sent_again_however_many)
{
	enum { LETTERS = OUTBOX_LETTERS_MAX + 10 };
	static char script[LETTERS + 1];
	struct outbox_limits l = limits;
	struct outbox_query q;
	struct outbox_stats s;

	memset(script, 'a', LETTERS);
	l.max_age_ms = 0;
	l.max_bytes = LETTERS;
	start(script, &l);
	for (size_t i = 0; i < LETTERS; i++)
		ck_assert_int_eq(put("a", "x", false), SW_OK);
	await_seen(LETTERS);
	/* The last of them has been carried, and is about to die. */
	do
		outbox_stats(outbox, &s);
	while (s.dead < LETTERS);
	ask(&q, OUTBOX_RETRY, NULL, NULL);
	await(&carrier.answered, 1);
	ck_assert_int_eq(carrier.err, SW_OK);
	ck_assert_uint_eq(carrier.found, LETTERS);
	await_seen(2 * LETTERS);
	do
		outbox_stats(outbox, &s);
	while (s.delivered < LETTERS || s.waiting + s.bytes > 0);
	ck_assert_uint_eq(s.dead, 0);
	ck_assert_uint_eq(s.stored, 2 * LETTERS);
	stop();
}
END_TEST

static int
put_of(struct outbox_backlog *b, const char *text)
{
	struct outbox_put *p = outbox_put_new(str_of("a"), str_of(text));
	int err;

	ck_assert_ptr_nonnull(p);
	p->backlog = outbox_backlog_ref(b);
	if ((err = outbox_put(outbox, p)) != SW_OK)
		outbox_put_free(p);
	return err;
}

/* What is refused, or given up, is not waited for. */
START_TEST(a_backlog_is_over_when_the_last_of_it_is)
{
	struct outbox_limits l = limits;
	struct outbox_backlog *b = outbox_backlog_new();

	ck_assert_ptr_nonnull(b);
	l.max_age_ms = 0;
	start("ard", &l);
	ck_assert_int_eq(put_of(b, "a letter of no room"), SW_EBUSY);
	ck_assert(outbox_backlog_is_empty(b));
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(put_of(b, "x"), SW_OK);
	await_seen(3);
	while (!outbox_backlog_is_empty(b))
		sched_yield();
	stop();
	outbox_backlog_unref(b);
}
END_TEST

START_TEST(a_backlog_lasts_as_long_as_its_letters)
{
	struct outbox_backlog *b = outbox_backlog_new();

	ck_assert_ptr_nonnull(b);
	start("wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww", &limits);
	ck_assert_int_eq(put_of(b, "x"), SW_OK);
	await_seen(2);
	ck_assert(!outbox_backlog_is_empty(b));
	stop();
	ck_assert(outbox_backlog_is_empty(b));
	outbox_backlog_unref(b);
}
END_TEST

START_TEST(what_waits_for_a_file_that_failed_is_answered_at_the_end)
{
	scratch_make();
	start_at(scratch_path("store"), "", &limits);
	fail_stores();
	ck_assert_int_eq(put("a", "1", true), SW_OK);
	await(&carrier.failed, 1);
	mend_stores();
	/* The file is left alone now. */
	ck_assert_int_eq(put("a", "2", true), SW_OK);
	stop();
	ck_assert_uint_eq(carrier.stored, 1);
	scratch_remove();
}
END_TEST

SUITE("outbox", TEST(letters_of_a_lane_arrive_in_their_order),
    TEST(one_that_fails_is_carried_again_before_its_successor),
    TEST(one_that_is_refused_is_not_carried_again),
    TEST(one_that_is_too_old_makes_room_for_the_next),
    TEST(what_has_no_room_is_refused_unless_it_must_be_taken),
    TEST(the_write_ahead_log_starts_over),
    LOOP(a_list_that_fails_fails_nothing_else, 2),
    TEST(a_letter_whose_revival_fails_is_dead_once),
    LOOP(a_dead_letter_is_told_with_its_times_and_its_reason, 3),
    TEST(all_dead_letters_are_sent_again_however_many),
    TEST(a_backlog_is_over_when_the_last_of_it_is),
    TEST(a_backlog_lasts_as_long_as_its_letters),
    TEST(what_waits_for_a_file_that_failed_is_answered_at_the_end))
