#include "storage/sqlite/sqlite_db.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/err.h"

enum {
	REASON_SIZE = 256,
	/* How long another process's lock is waited for: a shell, a backup. */
	BUSY_TIMEOUT_MS = 5000,
	LOOK_MS = 1000, /* at where the files are, so often */
};

static int
classify(int code)
{
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
	case SQLITE_ROW:
		return SW_OK;
	case SQLITE_NOMEM:
		return SW_ENOMEM;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return SW_ECORRUPT;
	default:
		return SW_ESTORE;
	}
}

int
db_error(struct db *d, int code)
{
	int err = classify(code), system = 0, last = errno;
	const char *what;

	if (err == SW_OK)
		return SW_OK;
	what = d->handle == NULL ? sqlite3_errstr(code) :
				   sqlite3_errmsg(d->handle);
	/* SQLite keeps none of a commit that fails. */
	if (d->handle != NULL)
		system = sqlite3_system_errno(d->handle);
	if (system == 0)
		system = last;
	/* SQLite's own word for a full disk depends on who found it out. */
	if ((code & 0xff) == SQLITE_FULL ||
	    ((code & 0xff) == SQLITE_IOERR && system == ENOSPC))
		snprintf(d->reason, REASON_SIZE, "no space left for the store");
	else if ((code & 0xff) == SQLITE_IOERR && system != 0)
		snprintf(
		    d->reason, REASON_SIZE, "%s: %s", what, strerror(system));
	else
		snprintf(d->reason, REASON_SIZE, "%s", what);
	return err;
}

int
db_exec(struct db *d, const char *sql)
{
	errno = 0;
	return db_error(d, sqlite3_exec(d->handle, sql, NULL, NULL, NULL));
}

int
db_prepare(struct db *d, sqlite3_stmt **out, const char *sql)
{
	return db_error(d,
	    sqlite3_prepare_v3(
		d->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL));
}

int
db_run(struct db *d, sqlite3_stmt *s)
{
	int code, err;

	errno = 0;
	code = sqlite3_step(s);
	err = db_error(d, code);
	sqlite3_reset(s);
	return err;
}

int
db_row(struct db *d, sqlite3_stmt *s)
{
	int code, err;

	errno = 0;
	code = sqlite3_step(s);
	if (code == SQLITE_ROW)
		return SW_OK;
	err = db_error(d, code);
	sqlite3_reset(s);
	return err == SW_OK ? SW_ENOENT : err;
}

int
db_begin(struct db *d, sqlite3_stmt *s)
{
	int err = db_run(d, s);
	bool locked =
	    err != SW_OK && (sqlite3_errcode(d->handle) & 0xff) == SQLITE_BUSY;

	if (locked != d->locked)
		sqlite3_busy_timeout(d->handle, locked ? 0 : BUSY_TIMEOUT_MS);
	d->locked = locked;
	return err;
}

struct str
db_text(sqlite3_stmt *s, int i)
{
	const char *p = (const char *)sqlite3_column_text(s, i);

	return (struct str){ p, (size_t)sqlite3_column_bytes(s, i) };
}

static pthread_once_t configured = PTHREAD_ONCE_INIT;

/* Statistics that nobody asks for would cost a lock with every allocation. */
static void
configure(void)
{
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

/*
 * SQLite would let everybody read it; the files beside it get its mode. One
 * that is there is left alone: to close it would drop the locks of a
 * connection.
 */
static void
make_private(const char *path)
{
	int fd;

	if (strcmp(path, ":memory:") == 0)
		return;
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (fd >= 0)
		close(fd);
}

int
db_open(struct db *d, const char *path, enum db_mode mode, char *reason)
{
	bool writes = mode == DB_WRITER || mode == DB_WRITER_ALONE;
	bool alone = mode == DB_WRITER_ALONE || mode == DB_READER_ALONE;
	int flags = SQLITE_OPEN_NOMUTEX;
	int code, err;

	pthread_once(&configured, configure);
	*d = (struct db){ .reason = reason };
	flags |= writes ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE :
			  SQLITE_OPEN_READONLY;
	if (writes)
		make_private(path);
	code = sqlite3_open_v2(
	    path, &d->handle, flags, alone ? "unix-excl" : NULL);
	if (code != SQLITE_OK) {
		err = db_error(d, code);
		db_close(d);
		return err;
	}
	sqlite3_extended_result_codes(d->handle, 1);
	sqlite3_busy_timeout(d->handle, BUSY_TIMEOUT_MS);
	d->read_only = sqlite3_db_readonly(d->handle, "main") != 0;
	return SW_OK;
}

void
db_close(struct db *d)
{
	sqlite3_close(d->handle);
	d->handle = NULL;
}

/* SW_ENOENT: the name leads nowhere. */
static int
find_file(struct db_file *out, const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return errno == ENOENT || errno == ENOTDIR ? SW_ENOENT : SW_EIO;
	*out = (struct db_file){ st.st_dev, st.st_ino };
	return SW_OK;
}

/* Who may not look any more does not know better. */
static bool
is_elsewhere(const struct db_file *was, const char *path)
{
	struct db_file now = *was;

	return was->number != 0 &&
	    (find_file(&now, path) == SW_ENOENT || now.number != was->number ||
		now.device != was->device);
}

void
db_remember_files(struct db *d)
{
	const char *path = sqlite3_db_filename(d->handle, "main");

	d->file = d->log = (struct db_file){ 0 };
	/* What is not there is not missed later. */
	if (path != NULL && path[0] != '\0' &&
	    find_file(&d->file, path) == SW_OK)
		(void)find_file(&d->log, sqlite3_filename_wal(path));
	d->looked_ms = clock_monotonic_ms();
	d->displaced = false;
}

bool
db_is_displaced(const struct db *d)
{
	const char *path = sqlite3_db_filename(d->handle, "main");

	return d->file.number != 0 &&
	    (is_elsewhere(&d->file, path) ||
		is_elsewhere(&d->log, sqlite3_filename_wal(path)));
}

int
db_check_files(struct db *d)
{
	uint64_t now = clock_monotonic_ms();

	if (now - d->looked_ms >= LOOK_MS) {
		d->looked_ms = now;
		d->displaced = db_is_displaced(d);
	}
	if (!d->displaced)
		return SW_OK;
	snprintf(d->reason, REASON_SIZE,
	    "the database file was removed, renamed or replaced while it is "
	    "in use: put it back, or restart to go on with what is there");
	return SW_ESTORE;
}

int
db_sync_log(struct db *d)
{
	sqlite3_file *file = NULL;
	int code = sqlite3_file_control(
	    d->handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);

	if (code == SQLITE_OK && file != NULL && file->pMethods != NULL)
		code = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
	return db_error(d, code);
}
