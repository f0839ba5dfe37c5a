#include "storage/sqlite/payloads_sqlite.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/err.h"
#include "proxy/base/log.h"
#include "storage/sqlite/payload_dir.h"
#include "storage/sqlite/payload_loss_sqlite.h"
#include "storage/sqlite/payload_unsynced.h"

enum statement { SQL_SAVE, SQL_FORGET, SQL_RELEASE, SQL_MARK, STATEMENTS };

static const char *const sql[STATEMENTS] = {
	[SQL_SAVE] = "INSERT OR REPLACE INTO payload_file (number, size, live)"
		     " VALUES (?, ?, ?)",
	[SQL_FORGET] = "DELETE FROM payload_file WHERE number = ?",
	[SQL_RELEASE] = "SELECT data FROM log"
			" WHERE id >= ? AND id <= ? AND kind >= 16",
	[SQL_MARK] = "UPDATE state SET value = ?"
		     " WHERE name = 'payloads_synced'",
};

enum {
	LEFT_MAX = 4,
	/* One whose last payload was huge is not worth its room. */
	SPARE_BYTES_MAX = PAYLOAD_FILE_BYTES + PAYLOAD_FILE_BYTES / 4,
};

struct file {
	uint64_t number;
	uint64_t size; /* as of this transaction, and as committed */
	uint64_t live;
	uint64_t committed_size;
	uint64_t committed_live;
	uint64_t gone; /* the state without rows that refer to it; 0: none */
};

struct payloads {
	struct payload_dir dir;
	struct db *db;
	struct views *views;
	sqlite3_stmt *statements[STATEMENTS];
	struct file *files; /* by number; the last one is written to */
	size_t count, room;
	int fd;       /* of the last one, once it is written to; else -1 */
	bool written; /* by this transaction */
	int left[LEFT_MAX]; /* files that it wrote to before the last one */
	size_t left_count;
	bool left_failed; /* one of them could not be synced */
	bool pressing;    /* many wait for a sync */
	uint64_t spares[PAYLOAD_SPARES];
	size_t spare_count;
	struct payload_mark saved,
	    saving; /* in the table; by this transaction */
	/* For whoever syncs: copies of descriptors. */
	pthread_mutex_t lock;
	struct payload_unsynced unsynced;
	bool last_unsynced;         /* the one that is written to */
	bool sync_failed;           /* what was not synced then never is */
	struct payload_mark end;    /* of what is committed */
	struct payload_mark synced; /* all before survives the loss of power */
};

static struct file *
find_file(struct payloads *p, uint64_t number)
{
	size_t low = 0, high = p->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (p->files[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < p->count && p->files[low].number == number ?
	    &p->files[low] :
	    NULL;
}

static int
is_known(void *ctx, uint64_t number)
{
	return find_file(ctx, number) != NULL;
}

static int
add_file(struct payloads *p, uint64_t number, uint64_t size, uint64_t live)
{
	if (p->count == p->room) {
		size_t room = p->room == 0 ? 8 : p->room * 2;
		struct file *files = realloc(p->files, room * sizeof(*files));

		if (files == NULL)
			return SW_ENOMEM;
		p->files = files;
		p->room = room;
	}
	p->files[p->count++] = (struct file){
		.number = number,
		.size = size,
		.live = live,
		.committed_size = size,
		.committed_live = live,
	};
	return SW_OK;
}

static int
load_files(struct payloads *p)
{
	sqlite3_stmt *q = NULL;
	int err = db_prepare(p->db, &q,
	    "SELECT number, size, live FROM payload_file ORDER BY number");

	while (err == SW_OK && (err = db_row(p->db, q)) == SW_OK)
		err = add_file(p, db_u64(q, 0), db_u64(q, 1), db_u64(q, 2));
	sqlite3_finalize(q);
	return err == SW_ENOENT ? SW_OK : err;
}

static bool
is_behind(const struct payload_mark *a, const struct payload_mark *b)
{
	return a->number < b->number ||
	    (a->number == b->number && a->offset < b->offset);
}

/* How far syncs got, for who opens the store next. */
static int
save_mark(struct payloads *p)
{
	sqlite3_stmt *q = p->statements[SQL_MARK];
	char text[PAYLOAD_MARK_MAX];

	pthread_mutex_lock(&p->lock);
	p->saving = p->synced;
	pthread_mutex_unlock(&p->lock);
	if (!is_behind(&p->saved, &p->saving))
		return SW_OK;
	payload_mark_print(text, &p->saving);
	db_bind_text(q, 1, str_of(text));
	return db_run(p->db, q);
}

/* Where the last file ends. */
static struct payload_mark
end_of_files(const struct payloads *p)
{
	const struct file *last;

	if (p->count == 0)
		return (struct payload_mark){ 0, 0 };
	last = &p->files[p->count - 1];
	return (struct payload_mark){ last->number, last->committed_size };
}

static int
check_files(struct payloads *p)
{
	bool shorter = false;

	for (size_t i = 0; i < p->count && !shorter; i++)
		shorter = payload_dir_size(&p->dir, p->files[i].number) <
		    p->files[i].size;
	p->end = end_of_files(p);
	return shorter || is_behind(&p->synced, &p->end) ?
	    payload_loss_settle(p->db, &p->dir, &p->synced, shorter) :
	    SW_OK;
}

static void
forget_left(struct payloads *p)
{
	while (p->left_count > 0)
		close(p->left[--p->left_count]);
	p->left_failed = false;
}

static void
remove_spares(struct payloads *p)
{
	while (p->spare_count > 0)
		payload_dir_remove(&p->dir, p->spares[--p->spare_count]);
}

int
payloads_open(struct payloads **out, struct db *db, const char *store,
    struct views *views)
{
	struct payloads *p = calloc(1, sizeof(*p));
	int err;

	if (p == NULL)
		return SW_ENOMEM;
	p->db = db;
	p->views = views;
	p->fd = -1;
	pthread_mutex_init(&p->lock, NULL);
	if ((err = payload_dir_init(&p->dir, store, db->reason)) != SW_OK)
		goto fail;
	for (size_t i = 0; i < STATEMENTS; i++)
		if ((err = db_prepare(db, &p->statements[i], sql[i])) != SW_OK)
			goto fail;
	if ((err = load_files(p)) != SW_OK ||
	    (err = payload_mark_load(db, &p->synced)) != SW_OK)
		goto fail;
	p->saved = p->saving = p->synced;
	if (!db->read_only) {
		if ((err = check_files(p)) != SW_OK)
			goto fail;
		payload_dir_clean(&p->dir, is_known, p);
	}
	*out = p;
	return SW_OK;

fail:
	payloads_close(p);
	return err;
}

void
payloads_close(struct payloads *p)
{
	if (p == NULL)
		return;
	forget_left(p);
	payloads_sync(p);
	if (!p->db->read_only && save_mark(p) != SW_OK)
		log_warn("store: %s: %s", p->dir.path, p->db->reason);
	for (size_t i = 0; i < p->count; i++)
		if (p->files[i].gone != 0)
			payload_dir_remove(&p->dir, p->files[i].number);
	remove_spares(p);
	if (p->fd >= 0)
		close(p->fd);
	for (size_t i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(p->statements[i]);
	pthread_mutex_destroy(&p->lock);
	payload_dir_fini(&p->dir);
	free(p->files);
	free(p);
}

/* Of a failure the system speaks once: whoever syncs next hears of none. */
static bool
sync_file(struct payloads *p, int fd)
{
	bool known;

	if (fdatasync(fd) == 0)
		return true;
	pthread_mutex_lock(&p->lock);
	known = p->sync_failed;
	p->sync_failed = true;
	pthread_mutex_unlock(&p->lock);
	if (!known)
		log_error(
		    "store: %s: cannot sync: %s", p->dir.path, strerror(errno));
	return false;
}

static bool
sync_and_close(struct payloads *p, int fd)
{
	bool ok = sync_file(p, fd);

	close(fd);
	return ok;
}

/*
 * The file that was written to is full. Its descriptor waits for the next sync,
 * and a copy for the end of this transaction, which may want to be synced.
 */
static void
leave_file(struct payloads *p)
{
	int fd = p->fd;
	bool unsynced;

	if (p->written && p->left_count < LEFT_MAX &&
	    (p->left[p->left_count] = dup(fd)) >= 0)
		p->left_count++;
	else if (p->written && !sync_file(p, fd))
		p->left_failed = true;
	pthread_mutex_lock(&p->lock);
	unsynced = p->written || p->last_unsynced;
	if (unsynced &&
	    payload_unsynced_add(
		&p->unsynced, p->files[p->count - 1].number, fd))
		fd = -1;
	p->pressing = payload_unsynced_many(&p->unsynced);
	p->last_unsynced = false;
	p->fd = -1;
	pthread_mutex_unlock(&p->lock);
	if (fd >= 0)
		sync_and_close(p, fd);
}

/* What this transaction wrote; false if that did not work. */
static bool
sync_written(struct payloads *p)
{
	bool ok = !p->left_failed;

	for (size_t i = 0; i < p->left_count; i++)
		ok = sync_file(p, p->left[i]) && ok;
	return (!p->written || sync_file(p, p->fd)) && ok;
}

/*
 * Give a spare the next number. That no row refers to it any more must have
 * survived the loss of power before it is written over.
 */
static int
reuse_spare(struct payloads *p, uint64_t number)
{
	int err;

	if (p->spare_count == 0)
		return SW_OK;
	if ((err = db_sync_log(p->db)) != SW_OK)
		return err;
	payload_dir_rename(&p->dir, p->spares[--p->spare_count], number);
	return SW_OK;
}

static int
open_file(struct payloads *p, uint64_t number)
{
	int fd, err = payload_dir_create(&p->dir, number, &fd);

	if (err != SW_OK)
		return err;
	pthread_mutex_lock(&p->lock);
	p->fd = fd;
	pthread_mutex_unlock(&p->lock);
	return SW_OK;
}

/* The file to append to. */
static int
current_file(struct payloads *p, struct file **out)
{
	uint64_t number = p->saved.number + 1;
	int err;

	if (p->count > 0) {
		struct file *last = &p->files[p->count - 1];

		if (last->size < PAYLOAD_FILE_BYTES) {
			*out = last;
			return p->fd >= 0 ? SW_OK : open_file(p, last->number);
		}
		number = last->number + 1;
	}
	if (p->fd >= 0)
		leave_file(p);
	if ((err = reuse_spare(p, number)) != SW_OK ||
	    (err = open_file(p, number)) != SW_OK ||
	    (err = add_file(p, number, 0, 0)) != SW_OK)
		return err;
	*out = &p->files[p->count - 1];
	return SW_OK;
}

int
payloads_append(
    struct payloads *p, struct str data, char place[PAYLOAD_PLACE_MAX])
{
	struct payload_place at;
	struct file *f;
	int err;

	if ((err = current_file(p, &f)) != SW_OK)
		return err;
	err = payload_dir_write(&p->dir, p->fd, data.p, data.len, f->size);
	if (err != SW_OK && p->spare_count > 0) {
		/* Their room may be what is missing. */
		remove_spares(p);
		err = payload_dir_write(
		    &p->dir, p->fd, data.p, data.len, f->size);
	}
	if (err != SW_OK)
		return err;
	at = (struct payload_place){
		.number = f->number,
		.offset = f->size,
		.size = data.len,
		.sum = payload_sum(data),
	};
	payload_place_print(place, &at);
	f->size += data.len;
	f->live += data.len;
	p->written = true;
	return SW_OK;
}

int
payloads_release(struct payloads *p, uint64_t first, uint64_t last)
{
	sqlite3_stmt *q = p->statements[SQL_RELEASE];
	int err = SW_ENOENT;

	if (p->count == 0)
		return SW_OK;
	db_bind_u64(q, 1, first);
	db_bind_u64(q, 2, last);
	while ((err = db_row(p->db, q)) == SW_OK) {
		struct payload_place at;
		struct file *f;

		/* A place that is none frees nothing. */
		if (payload_place_parse(&at, db_text(q, 0)) == SW_OK &&
		    (f = find_file(p, at.number)) != NULL && f->live >= at.size)
			f->live -= at.size;
	}
	sqlite3_reset(q);
	return err == SW_ENOENT ? SW_OK : err;
}

/* No row refers to it, and none will: it is not written to any more. */
static bool
is_finished(const struct payloads *p, const struct file *f)
{
	return f->live == 0 && f != &p->files[p->count - 1];
}

static int
save_file(struct payloads *p, const struct file *f)
{
	sqlite3_stmt *q =
	    p->statements[is_finished(p, f) ? SQL_FORGET : SQL_SAVE];

	db_bind_u64(q, 1, f->number);
	if (!is_finished(p, f)) {
		db_bind_u64(q, 2, f->size);
		db_bind_u64(q, 3, f->live);
	}
	return db_run(p->db, q);
}

static bool
is_changed(const struct payloads *p, const struct file *f)
{
	return f->size != f->committed_size || f->live != f->committed_live ||
	    (is_finished(p, f) && f->gone == 0);
}

int
payloads_prepare(struct payloads *p, bool sync)
{
	int err = save_mark(p);

	for (size_t i = 0; i < p->count && err == SW_OK; i++)
		if (is_changed(p, &p->files[i]))
			err = save_file(p, &p->files[i]);
	if (err == SW_OK && sync && !sync_written(p)) {
		snprintf(
		    p->db->reason, 256, "%.160s: cannot sync", p->dir.path);
		err = SW_ESTORE;
	}
	return err;
}

/*
 * Nothing of it is asked for, whatever the power does: a state in which rows
 * refer to it is older than any in which the mark has passed it. So it need not
 * reach the disk.
 */
static void
forget_unsynced(struct payloads *p, uint64_t number)
{
	int fd;

	pthread_mutex_lock(&p->lock);
	fd = payload_unsynced_forget(&p->unsynced, number);
	pthread_mutex_unlock(&p->lock);
	if (fd >= 0)
		close(fd);
}

/* Nobody looks at it any more. */
static void
retire(struct payloads *p, const struct file *f)
{
	forget_unsynced(p, f->number);
	if (p->spare_count < PAYLOAD_SPARES && f->size <= SPARE_BYTES_MAX)
		p->spares[p->spare_count++] = f->number;
	else
		payload_dir_remove(&p->dir, f->number);
}

static void
remove_gone(struct payloads *p, uint64_t state)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->count; i++) {
		struct file *f = &p->files[i];

		if (is_finished(p, f) && f->gone == 0)
			f->gone = state;
		if (f->gone != 0 && views_reached(p->views, f->gone))
			retire(p, f);
		else
			p->files[kept++] = *f;
	}
	p->count = kept;
}

void
payloads_committed(struct payloads *p)
{
	uint64_t state = views_committed(p->views);
	bool changed = false;

	p->saved = p->saving;
	for (size_t i = 0; i < p->count; i++) {
		struct file *f = &p->files[i];

		changed = changed || is_changed(p, f) || f->gone != 0;
		f->committed_size = f->size;
		f->committed_live = f->live;
	}
	forget_left(p);
	if (p->written) {
		p->written = false;
		pthread_mutex_lock(&p->lock);
		p->last_unsynced = true;
		p->end = end_of_files(p);
		pthread_mutex_unlock(&p->lock);
	}
	if (changed)
		remove_gone(p, state);
}

bool
payloads_pressing(struct payloads *p)
{
	bool pressing = p->pressing;

	p->pressing = false;
	return pressing;
}

void
payloads_rolled_back(struct payloads *p)
{
	for (size_t i = 0; i < p->count; i++) {
		p->files[i].size = p->files[i].committed_size;
		p->files[i].live = p->files[i].committed_live;
	}
	p->written = false;
	forget_left(p);
}

void
payloads_sync(struct payloads *p)
{
	int fds[PAYLOAD_UNSYNCED_MAX + 1];
	struct payload_mark end;
	bool ok = true;
	size_t n;

	pthread_mutex_lock(&p->lock);
	end = p->end;
	n = payload_unsynced_take(&p->unsynced, fds);
	if (p->last_unsynced && p->fd >= 0) {
		ok = (fds[n] = dup(p->fd)) >= 0;
		n += ok;
	}
	p->last_unsynced = !ok;
	pthread_mutex_unlock(&p->lock);
	for (size_t i = 0; i < n; i++)
		ok = sync_and_close(p, fds[i]) && ok;
	pthread_mutex_lock(&p->lock);
	if (ok && !p->sync_failed && is_behind(&p->synced, &end))
		p->synced = end;
	pthread_mutex_unlock(&p->lock);
}

uint64_t
payloads_bytes(const struct payloads *p)
{
	uint64_t sum = 0;
	bool oldest = true;

	for (size_t i = 0; i < p->count; i++) {
		const struct file *f = &p->files[i];

		if (f->gone != 0)
			continue;
		sum += oldest ? f->live : f->size;
		oldest = false;
	}
	return sum;
}
