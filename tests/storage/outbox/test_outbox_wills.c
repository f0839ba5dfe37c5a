#include "storage/outbox/outbox.h"

#include <fcntl.h>
#include <unistd.h>

#include "tests/oom.h"
#include "tests/storage/outbox/carrier.h"
#include "tests/suite.h"

/* Each life of the outbox has the same file; none tells of its end. */

static void
live(const char *script)
{
	start_at(scratch_path("store"), script, &limits);
}

static void
put_all(enum outbox_what what, uint64_t connection, const char *lane,
    const char *text)
{
	struct outbox_put *p = outbox_put_new(str_of(lane), str_of(text));

	ck_assert_ptr_nonnull(p);
	p->what = what;
	p->connection = connection;
	p->must = true;
	p->stored = on_stored;
	p->loop = carrier.loop;
	ck_assert_int_eq(outbox_put(outbox, p), SW_OK);
}

static void
will(uint64_t connection, const char *lane, const char *text)
{
	put_all(OUTBOX_WILL, connection, lane, text);
}

static void
make_void(uint64_t connection)
{
	put_all(OUTBOX_REVOKE, connection, "", "");
}

static struct outbox_stats
stats(void)
{
	struct outbox_stats s;

	outbox_stats(outbox, &s);
	return s;
}

static int
count_rows(const char *table)
{
	char query[64];
	sqlite3_stmt *s;
	sqlite3 *db;
	int count = -1;

	snprintf(query, sizeof(query), "SELECT count(*) FROM %s", table);
	if (sqlite3_open(scratch_path("store-outbox"), &db) == SQLITE_OK &&
	    sqlite3_prepare_v2(db, query, -1, &s, NULL) == SQLITE_OK) {
		if (sqlite3_step(s) == SQLITE_ROW)
			count = sqlite3_column_int(s, 0);
		sqlite3_finalize(s);
	}
	sqlite3_close(db);
	return count;
}

static void
fail_executions(void)
{
	run_sql("CREATE TRIGGER broken BEFORE DELETE ON will "
		"BEGIN SELECT RAISE(ABORT, 'a test says so'); END");
}

static void
mend_executions(void)
{
	run_sql("DROP TRIGGER broken");
}

START_TEST(a_will_is_executed_behind_the_letters_of_its_lane)
{
	scratch_make();
	live("wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww");
	will(7, "a", "z");
	will(8, "b", "y");
	ck_assert_int_eq(put("a", "1", true), SW_OK);
	ck_assert_int_eq(put("a", "2", true), SW_OK);
	await_stored(4);
	ck_assert_uint_eq(stats().wills, 2);
	ck_assert_uint_eq(stats().waiting, 2);
	stop();
	log_set(LOG_ERROR, false);
	live("");
	await_seen(4);
	ck_assert_uint_eq(stats().executed, 2);
	ck_assert_uint_eq(stats().wills, 0);
	ck_assert(strchr(carrier.seen, '1') < strchr(carrier.seen, '2'));
	ck_assert(strchr(carrier.seen, '2') < strchr(carrier.seen, 'z'));
	ck_assert_ptr_nonnull(strchr(carrier.seen, 'y'));
	stop();
	/* And not again. */
	live("");
	ck_assert_uint_eq(stats().executed, 0);
	ck_assert_uint_eq(stats().waiting, 0);
	stop();
	scratch_remove();
}
END_TEST

START_TEST(the_letter_that_tells_of_the_end_makes_the_will_void)
{
	scratch_make();
	live("");
	will(1, "a", "z");
	will(2, "b", "y");
	will(3, "c", "x");
	await_stored(3);
	put_all(OUTBOX_LETTER, 1, "a", "e");
	make_void(2);
	/* One that never had a will is no harm. */
	put_all(OUTBOX_LETTER, 4, "d", "f");
	make_void(5);
	await_stored(7);
	ck_assert_uint_eq(stats().wills, 1);
	await_seen(2);
	stop();
	live("");
	await_seen(1);
	ck_assert_str_eq(carrier.seen, "x");
	ck_assert_uint_eq(stats().executed, 1);
	stop();
	scratch_remove();
}
END_TEST

START_TEST(a_will_takes_the_place_of_the_one_before)
{
	scratch_make();
	live("");
	will(1, "a", "z");
	will(1, "a", "y");
	await_stored(2);
	will(1, "b", "x");
	await_stored(3);
	ck_assert_uint_eq(stats().wills, 1);
	stop();
	live("");
	await_seen(1);
	ck_assert_str_eq(carrier.seen, "x");
	stop();
	ck_assert_int_eq(count_rows("will"), 0);
	scratch_remove();
}
END_TEST

START_TEST(numbers_of_connections_are_set_aside)
{
	uint64_t first;

	scratch_make();
	live("");
	ck_assert_uint_eq(outbox_connections(outbox), 0);
	will(1, "a", "z");
	await_stored(1);
	stop();
	live("");
	first = outbox_connections(outbox);
	ck_assert_uint_gt(first, 1);
	await_seen(1);
	/* More than were set aside. */
	will(first + (5 << 20), "b", "y");
	await_stored(1);
	stop();
	live("");
	ck_assert_uint_gt(outbox_connections(outbox), first + (5 << 20));
	await_seen(1);
	stop();
	scratch_remove();
}
END_TEST

/* Nobody had the number yet, and nobody may get it from the next start. */
START_TEST(a_number_that_could_not_be_set_aside_is_set_aside_later)
{
	scratch_make();
	live("");
	run_sql("CREATE TRIGGER broken BEFORE UPDATE ON connections "
		"BEGIN SELECT RAISE(ABORT, 'a test says so'); END");
	will(5 << 20, "a", "z");
	await(&carrier.failed, 1);
	ck_assert_uint_eq(stats().bytes, 0); /* it takes no letter's room */
	run_sql("DROP TRIGGER broken");
	will(5 << 20, "a", "y");
	await(&carrier.stored, 1);
	stop();
	live("");
	ck_assert_uint_gt(outbox_connections(outbox), 5 << 20);
	await_seen(1);
	stop();
	scratch_remove();
}
END_TEST

/* As the version before this one has left it. */
START_TEST(a_file_of_the_first_version_is_taken_over)
{
	scratch_make();
	run_sql("CREATE TABLE letter ("
		" id INTEGER PRIMARY KEY AUTOINCREMENT, lane TEXT NOT NULL,"
		" created INTEGER NOT NULL, died INTEGER NOT NULL DEFAULT 0,"
		" reason TEXT NOT NULL DEFAULT '', data BLOB NOT NULL);"
		"CREATE INDEX dead ON letter (id) WHERE died > 0;"
		"INSERT INTO letter (lane, created, data) VALUES ('a', 1, 'l');"
		"PRAGMA application_id = 0x53504c4f; PRAGMA user_version = 1;");
	/* It is as old as can be, and tried all the same. */
	live("d");
	will(1, "a", "z");
	await_stored(1);
	await_seen(1);
	ck_assert_str_eq(carrier.seen, "l");
	stop();
	live("");
	await_seen(1);
	ck_assert_str_eq(carrier.seen, "z");
	stop();
	scratch_remove();
}
END_TEST

START_TEST(a_file_that_fails_has_neither_the_letter_nor_the_void_will)
{
	scratch_make();
	live("");
	will(1, "a", "z");
	await_stored(1);
	fail_executions();
	put_all(OUTBOX_LETTER, 1, "a", "e");
	await(&carrier.failed, 1);
	ck_assert(outbox_failing(outbox));
	ck_assert_uint_eq(stats().wills, 1);
	ck_assert_uint_eq(stats().waiting, 0);
	mend_executions();
	will(2, "b", "y");
	await_stored(3);
	ck_assert(!outbox_failing(outbox));
	ck_assert_uint_eq(stats().wills, 2);
	ck_assert_uint_eq(carrier.count, 0);
	stop();
	scratch_remove();
}
END_TEST

START_TEST(wills_of_this_run_are_not_taken_for_those_of_the_one_before)
{
	scratch_make();
	live("");
	will(1, "a", "z");
	await_stored(1);
	fail_executions();
	stop();
	live("");
	will(9, "b", "y");
	await(&carrier.failed, 1);
	ck_assert_uint_eq(stats().executed, 0);
	mend_executions();
	will(10, "c", "x");
	await_stored(2);
	await_seen(1);
	ck_assert_str_eq(carrier.seen, "z");
	ck_assert_uint_eq(stats().executed, 1);
	ck_assert_uint_eq(stats().wills, 1);
	ck_assert_int_eq(count_rows("will"), 1);
	stop();
	scratch_remove();
}
END_TEST

/* Memory. */

static bool
copy(const char *from, const char *to)
{
	int in = open(from, O_RDONLY), out;
	char bytes[65536];
	ssize_t n;
	bool good;

	unlink(scratch_path("store-outbox-wal"));
	unlink(scratch_path("store-outbox-shm"));
	out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	good = in >= 0 && out >= 0;
	while (good && (n = read(in, bytes, sizeof(bytes))) > 0)
		good = write(out, bytes, (size_t)n) == n;
	close(in);
	close(out);
	return good;
}

enum { LEFT = 5 };

/* A start that finds letters and wills. */
static int
story(void *arg)
{
	struct outbox *o = NULL;
	int err;

	(void)arg;
	if (!copy(scratch_path("kept"), scratch_path("store-outbox")))
		return SW_EIO;
	err = outbox_open(&o, scratch_path("store"), &limits);
	outbox_close(o);
	if (count_rows("letter") + count_rows("will") != LEFT)
		return SW_ECORRUPT;
	return err;
}

START_TEST(a_start_without_memory_loses_no_will)
{
	char *said;

	scratch_make();
	live("wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww");
	for (unsigned i = 1; i <= LEFT - 2; i++)
		will(i, i == 1 ? "a" : "b", "z");
	ck_assert_int_eq(put("a", "1", true), SW_OK);
	ck_assert_int_eq(put("b", "2", true), SW_OK);
	await_stored(LEFT);
	stop();
	ck_assert(copy(scratch_path("store-outbox"), scratch_path("kept")));
	said_listen();
	oom_tell_coping(story, NULL);
	said = said_end();
	/* Each line says why. */
	ck_assert_ptr_nonnull(strstr(said, "outbox: memory ran out\n"));
	ck_assert_ptr_nonnull(strstr(said, "wills: memory ran out; it is"));
	ck_assert_ptr_null(strstr(said, "outbox: \n"));
	ck_assert_ptr_null(strstr(said, ": ;"));
	free(said);
	scratch_remove();
}
END_TEST

SUITE("outbox_wills", TEST(a_will_is_executed_behind_the_letters_of_its_lane),
    TEST(the_letter_that_tells_of_the_end_makes_the_will_void),
    TEST(a_will_takes_the_place_of_the_one_before),
    TEST(numbers_of_connections_are_set_aside),
    TEST(a_number_that_could_not_be_set_aside_is_set_aside_later),
    TEST(a_file_of_the_first_version_is_taken_over),
    TEST(a_file_that_fails_has_neither_the_letter_nor_the_void_will),
    TEST(wills_of_this_run_are_not_taken_for_those_of_the_one_before),
    TEST(a_start_without_memory_loses_no_will))
