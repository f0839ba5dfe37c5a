#include "storage/sqlite/payloads_sqlite.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/storage/engines.h"
#include "tests/suite.h"

static _Atomic bool disk_fails;

/* In place of the system's, for all of this program. */
int
fdatasync(int fd)
{
	if (!atomic_load(&disk_fails))
		return (int)syscall(SYS_fdatasync, fd);
	errno = EIO;
	return -1;
}

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
	/* Its key is not the number of a file. */
	scribe_init(&t->room, t->store, world_channel(&t->world, "room"), 7);
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

/* Enough for several files, of sixteen events each. */
enum { MEGA = 1 << 20, PER_FILE = 16, MANY = 150, FILES = 10 };

static void
put_megas(struct depot *t, uint64_t first, uint64_t last)
{
	for (uint64_t id = first; id <= last; id++) {
		ck_assert_int_eq(
		    t->store->ops->begin(t->store, id % 50 == 0), SW_OK);
		put(t, id, MEGA);
		engine_commit_unseen(t->store);
	}
}

static void
fill(struct depot *t)
{
	size_t bytes;

	put_megas(t, 1, MANY);
	ck_assert_uint_eq(count_files(&bytes), FILES);
}

static void
take_away(struct depot *t, uint64_t first, uint64_t last)
{
	engine_begin(t->store);
	ck_assert_int_eq(t->store->ops->remove(t->store, first, last), SW_OK);
	engine_commit(t->store);
}

static void
assert_megas(struct depot *t, uint64_t first, uint64_t last)
{
	for (uint64_t id = first; id <= last; id++)
		assert_stored(t, id, MEGA);
}

START_TEST(a_file_goes_with_the_last_row_that_refers_to_it)
{
	const struct store_ops *ops;
	size_t bytes;
	uint64_t used;
	struct depot t;

	depot_open(&t);
	fill(&t);
	ops = t.store->ops;
	used = ops->used_bytes(t.store);
	ck_assert_uint_ge(used, (uint64_t)MANY * MEGA);
	take_away(&t, 1, PER_FILE - 1);
	depot_reopen(&t);
	ck_assert_uint_eq(count_files(&bytes), FILES);
	engine_begin(t.store);
	ck_assert_int_eq(ops->remove(t.store, PER_FILE, PER_FILE), SW_OK);
	/* Not with a transaction that fails. */
	ops->rollback(t.store);
	put_megas(&t, 1000, 1000);
	assert_stored(&t, PER_FILE, MEGA);
	take_away(&t, PER_FILE, PER_FILE);
	ck_assert_uint_lt(
	    ops->used_bytes(t.store), used - (PER_FILE - 2) * MEGA);
	depot_reopen(&t);
	ck_assert_uint_eq(count_files(&bytes), FILES - 1);
	assert_megas(&t, PER_FILE + 1, MANY);
	assert_stored(&t, 1000, MEGA);
	depot_close(&t);
}
END_TEST

START_TEST(a_file_that_is_not_needed_is_written_over)
{
	size_t bytes;
	struct depot t;

	depot_open(&t);
	fill(&t);
	take_away(&t, 1, 2 * PER_FILE);
	put_megas(&t, MANY + 1, MANY + 2 * PER_FILE);
	ck_assert_uint_eq(count_files(&bytes), FILES);
	assert_megas(&t, 2 * PER_FILE + 1, MANY + 2 * PER_FILE);
	depot_reopen(&t);
	ck_assert_uint_eq(count_files(&bytes), FILES);
	assert_megas(&t, 2 * PER_FILE + 1, MANY + 2 * PER_FILE);
	depot_close(&t);
}
END_TEST

/* Files of payloads that this process has open. */
static unsigned
count_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	unsigned n = 0;

	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d)) != NULL) {
		char link[300], target[4096];
		ssize_t len;

		snprintf(link, sizeof(link), "/proc/self/fd/%s", e->d_name);
		len = readlink(link, target, sizeof(target) - 1);
		target[len < 0 ? 0 : len] = '\0';
		n += strstr(target, "store.db-payloads/") != NULL;
	}
	closedir(d);
	return n;
}

/* Only what rows refer to has to reach the disk. */
START_TEST(a_file_that_is_not_needed_waits_for_no_sync)
{
	struct depot t;

	depot_open(&t);
	put_megas(&t, 1, 4 * PER_FILE + 1);
	ck_assert_uint_eq(count_open(), 5);
	take_away(&t, 1, 3 * PER_FILE);
	ck_assert_uint_eq(count_open(), 2);
	put_megas(&t, 1000, 1000 + 3 * PER_FILE);
	assert_megas(&t, 3 * PER_FILE + 1, 4 * PER_FILE + 1);
	assert_megas(&t, 1000, 1000 + 3 * PER_FILE);
	depot_reopen(&t);
	ck_assert_uint_eq(count_open(), 0);
	assert_megas(&t, 1000, 1000 + 3 * PER_FILE);
	depot_close(&t);
}
END_TEST

START_TEST(only_so_many_spare_files_are_kept)
{
	size_t bytes;
	struct depot t;

	depot_open(&t);
	fill(&t);
	take_away(&t, 1, 8 * PER_FILE);
	ck_assert_uint_eq(count_files(&bytes), FILES - 8 + PAYLOAD_SPARES);
	ck_assert_uint_lt(
	    t.store->ops->used_bytes(t.store), (MANY - 7 * PER_FILE) * MEGA);
	depot_reopen(&t);
	ck_assert_uint_eq(count_files(&bytes), FILES - 8);
	depot_close(&t);
}
END_TEST

START_TEST(a_reader_keeps_what_its_view_shows)
{
	const struct store_ops *ops;
	struct store_reader *r;
	struct event *e, *want;
	size_t bytes;
	struct depot t;

	depot_open(&t);
	ops = t.store->ops;
	fill(&t);
	r = engine_reader(t.store);
	ck_assert_int_eq(ops->reader_begin(r), SW_OK);
	ck_assert_int_eq(ops->reader_event(r, 10, t.room.channel, &e), SW_OK);
	event_unref(e);
	take_away(&t, 1, PER_FILE);
	put_megas(&t, MANY + 1, MANY + 2 * PER_FILE);
	/* Another file was made, and the old one left as it is. */
	ck_assert_uint_eq(count_files(&bytes), FILES + 2);
	ck_assert_int_eq(ops->reader_event(r, 11, t.room.channel, &e), SW_OK);
	want = make_large(t.room.channel, 11, MEGA);
	ck_assert_mem_eq(event_payload(e), event_payload(want), MEGA);
	event_unref(want);
	event_unref(e);
	ops->reader_end(r);
	ck_assert_int_eq(ops->reader_begin(r), SW_OK);
	ck_assert_int_eq(
	    ops->reader_event(r, 11, t.room.channel, &e), SW_ENOENT);
	ops->reader_end(r);
	ops->reader_close(r);
	/* Nobody looks at it any more. */
	put_megas(&t, MANY + 2 * PER_FILE + 1, MANY + 3 * PER_FILE);
	ck_assert_uint_eq(count_files(&bytes), FILES + 2);
	depot_close(&t);
}
END_TEST

/* What is read next may be in another file than what was read just now. */
START_TEST(a_reader_goes_from_file_to_file)
{
	static const uint64_t ids[] = { 1, PER_FILE + 1, MANY, 2 };
	struct store_reader *r;
	struct depot t;

	depot_open(&t);
	fill(&t);
	r = engine_reader(t.store);
	ck_assert_int_eq(t.store->ops->reader_begin(r), SW_OK);
	for (size_t i = 0; i < COUNT(ids); i++) {
		struct event *want = make_large(t.room.channel, ids[i], MEGA);
		struct event *e;

		ck_assert_int_eq(
		    t.store->ops->reader_event(r, ids[i], t.room.channel, &e),
		    SW_OK);
		ck_assert_mem_eq(event_payload(e), event_payload(want), MEGA);
		event_unref(want);
		event_unref(e);
	}
	t.store->ops->reader_end(r);
	t.store->ops->reader_close(r);
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

/* In the table, as text; or set it, if there is one. */
static void
synced_mark(const char *set, char *out, size_t size)
{
	sqlite3 *db;
	sqlite3_stmt *q;
	char sql[128];

	snprintf(sql, sizeof(sql),
	    set == NULL ? "SELECT value FROM state"
			  " WHERE name = 'payloads_synced'" :
			  "UPDATE state SET value = '%.40s'"
			  " WHERE name = 'payloads_synced'",
	    set);
	ck_assert_int_eq(
	    sqlite3_open(scratch_path("store.db"), &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
	ck_assert_int_eq(
	    sqlite3_step(q), set == NULL ? SQLITE_ROW : SQLITE_DONE);
	if (set == NULL)
		snprintf(out, size, "%s", sqlite3_column_text(q, 0));
	sqlite3_finalize(q);
	ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
}

START_TEST(payloads_that_were_not_written_are_told_from_what_was_there)
{
	const struct store_visitor visitor = { note_floor, engine_skip_row,
		NULL };
	struct store_state state;
	char mark[64];
	struct depot t;
	int fd;

	depot_open(&t);
	engine_begin(t.store);
	for (uint64_t id = 1; id <= 5; id++)
		put(&t, id, 100000);
	engine_commit(t.store);
	t.store->ops->close(t.store);
	synced_mark(NULL, mark, sizeof(mark));
	ck_assert_str_eq(mark, "1 500000");
	/* As the loss of power may leave a file that was written over. */
	fd = open(scratch_path("store.db-payloads/0000000000000001"), O_WRONLY);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, "old", 3, 150000), 3);
	ck_assert_int_eq(pwrite(fd, "old", 3, 350000), 3);
	close(fd);
	/* What a sync had covered is not looked at. */
	synced_mark("1 200000", NULL, 0);
	said_listen();
	t.store = engine_open(ENGINE_SQLITE);
	said_check("payloads of 1 events are missing");
	ck_assert_int_eq(t.store->ops->load(t.store, &state, &visitor), SW_OK);
	ck_assert_uint_eq(seen_floor, 4);
	assert_stored(&t, 5, 100000);
	depot_close(&t);
}
END_TEST

/* The system tells of it once, and forgets what it could not write. */
START_TEST(what_a_sync_failed_to_cover_is_never_taken_for_synced)
{
	char mark[64];
	struct depot t;

	depot_open(&t);
	engine_begin(t.store);
	put(&t, 1, 100000);
	engine_commit(t.store);
	atomic_store(&disk_fails, true);
	ck_assert_int_eq(t.store->ops->begin(t.store, true), SW_OK);
	put(&t, 2, 100000);
	ck_assert_int_eq(t.store->ops->commit(t.store), SW_ESTORE);
	t.store->ops->rollback(t.store);
	atomic_store(&disk_fails, false);
	t.store->ops->close(t.store);
	synced_mark(NULL, mark, sizeof(mark));
	ck_assert_str_eq(mark, "0 0");
	/* Now all of it is compared. */
	t.store = engine_open(ENGINE_SQLITE);
	assert_stored(&t, 1, 100000);
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

SUITE("storage/payloads", TEST(a_payload_of_any_size_reads_back),
    TEST(small_payloads_need_no_files),
    TEST(what_was_rolled_back_is_written_over),
    TEST(a_file_goes_with_the_last_row_that_refers_to_it),
    TEST(a_file_that_is_not_needed_is_written_over),
    TEST(a_file_that_is_not_needed_waits_for_no_sync),
    TEST(only_so_many_spare_files_are_kept),
    TEST(a_reader_keeps_what_its_view_shows),
    TEST(a_reader_goes_from_file_to_file),
    TEST(history_begins_behind_payloads_that_were_lost),
    TEST(payloads_that_were_not_written_are_told_from_what_was_there),
    TEST(what_a_sync_failed_to_cover_is_never_taken_for_synced),
    TEST(a_payload_that_is_missing_is_an_error),
    TEST(files_that_nothing_refers_to_are_removed))
