#include "storage/payloads_sqlite.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/err.h"
#include "proxy/base/log.h"

enum statement { SQL_SAVE, SQL_FORGET, SQL_RELEASE, STATEMENTS };

static const char *const sql[STATEMENTS] = {
	[SQL_SAVE] = "INSERT OR REPLACE INTO payload_file (number, size, live)"
		     " VALUES (?, ?, ?)",
	[SQL_FORGET] = "DELETE FROM payload_file WHERE number = ?",
	[SQL_RELEASE] = "SELECT data FROM log"
			" WHERE id >= ? AND id <= ? AND kind >= 16",
};

enum {
	UNSYNCED_MAX = 8, /* files that were left before they were synced */
	READERS_MAY_LOOK_S = 5,
};

struct file {
	uint64_t number;
	uint64_t size; /* as of this transaction, and as committed */
	uint64_t live;
	uint64_t committed_size;
	uint64_t committed_live;
	time_t gone; /* when no row referred to it any more; 0: one does */
};

struct place {
	uint64_t number, offset, size;
};

struct payloads {
	struct payload_dir dir;
	struct db *db;
	sqlite3_stmt *statements[STATEMENTS];
	struct file *files; /* by number; the last one is written to */
	size_t count, room;
	int fd;       /* of the last one, once it is written to; else -1 */
	bool written; /* since the last sync by the writer */
	/* For whoever syncs: copies of descriptors. */
	pthread_mutex_t lock;
	int unsynced[UNSYNCED_MAX];
	size_t unsynced_count;
	bool last_unsynced; /* the one that is written to */
};

/* The next number of a place, up to a blank, or to the end if it is the last.
 */
static bool
parse_number(struct str *text, bool last, uint64_t *out)
{
	const char *blank = memchr(text->p, ' ', text->len);
	struct str digits = *text;

	if ((blank == NULL) != last)
		return false;
	if (!last) {
		digits.len = (size_t)(blank - text->p);
		text->len -= digits.len + 1;
		text->p = blank + 1;
	}
	return str_to_u64(out, digits, UINT64_MAX) == SW_OK;
}

static int
parse_place(struct str text, struct place *out)
{
	return text.p != NULL && parse_number(&text, false, &out->number) &&
		parse_number(&text, false, &out->offset) &&
		parse_number(&text, true, &out->size) ?
	    SW_OK :
	    SW_ECORRUPT;
}

static struct file *
find_file(struct payloads *p, uint64_t number)
{
	for (size_t i = p->count; i > 0; i--)
		if (p->files[i - 1].number == number)
			return &p->files[i - 1];
	return NULL;
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

/* Does the file reach to the end of the place? */
static bool
is_there(const struct payloads *p, const struct place *at)
{
	return payload_dir_size(&p->dir, at->number) >= at->offset + at->size;
}

/* History of the channels begins behind the payloads that are not there. */
static int
give_up_lost(struct payloads *p)
{
	sqlite3_stmt *q = NULL, *raise = NULL;
	struct place at;
	unsigned lost = 0;
	int err = db_prepare(p->db, &q,
	    "SELECT id, channel, data FROM log WHERE kind >= 16 ORDER BY id");

	if (err == SW_OK)
		err = db_prepare(p->db, &raise,
		    "UPDATE channel SET floor = ?1"
		    " WHERE key = ?2 AND floor < ?1");
	while (err == SW_OK && (err = db_row(p->db, q)) == SW_OK) {
		if ((err = parse_place(db_text(q, 2), &at)) != SW_OK)
			break;
		if (is_there(p, &at))
			continue;
		lost++;
		db_bind_u64(raise, 1, db_u64(q, 0));
		db_bind_u64(raise, 2, db_u64(q, 1));
		err = db_run(p->db, raise);
	}
	sqlite3_finalize(q);
	sqlite3_finalize(raise);
	if (lost > 0)
		log_error("store: payloads of %u events are missing in %s: "
			  "their channels begin behind them now",
		    lost, p->dir.path);
	return err == SW_ENOENT ? SW_OK : err;
}

static int
check_files(struct payloads *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (payload_dir_size(&p->dir, p->files[i].number) <
		    p->files[i].size)
			return give_up_lost(p);
	return SW_OK;
}

int
payloads_open(struct payloads **out, struct db *db, const char *store)
{
	struct payloads *p = calloc(1, sizeof(*p));
	int err;

	if (p == NULL)
		return SW_ENOMEM;
	p->db = db;
	p->fd = -1;
	pthread_mutex_init(&p->lock, NULL);
	if ((err = payload_dir_init(&p->dir, store, db->reason)) != SW_OK)
		goto fail;
	for (size_t i = 0; i < STATEMENTS; i++)
		if ((err = db_prepare(db, &p->statements[i], sql[i])) != SW_OK)
			goto fail;
	if ((err = load_files(p)) != SW_OK)
		goto fail;
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
	payloads_sync(p);
	for (size_t i = 0; i < p->count; i++)
		if (p->files[i].gone != 0)
			payload_dir_remove(&p->dir, p->files[i].number);
	if (p->fd >= 0)
		close(p->fd);
	for (size_t i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(p->statements[i]);
	pthread_mutex_destroy(&p->lock);
	payload_dir_fini(&p->dir);
	free(p->files);
	free(p);
}

/* The file that was written to is full: its descriptor waits for the sync. */
static void
leave_file(struct payloads *p)
{
	int fd = p->fd;

	pthread_mutex_lock(&p->lock);
	/* What this transaction wrote is synced now: it may ask for that. */
	if (p->last_unsynced && !p->written &&
	    p->unsynced_count < UNSYNCED_MAX) {
		p->unsynced[p->unsynced_count++] = fd;
		fd = -1;
	}
	p->last_unsynced = false;
	p->fd = -1;
	pthread_mutex_unlock(&p->lock);
	if (fd >= 0) {
		if (fdatasync(fd) != 0)
			log_error("store: %s: cannot sync", p->dir.path);
		close(fd);
	}
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
	uint64_t number = 1;
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
	if ((err = open_file(p, number)) != SW_OK ||
	    (err = add_file(p, number, 0, 0)) != SW_OK)
		return err;
	*out = &p->files[p->count - 1];
	return SW_OK;
}

int
payloads_append(
    struct payloads *p, struct str data, char place[PAYLOAD_PLACE_MAX])
{
	struct file *f;
	int err;

	if ((err = current_file(p, &f)) != SW_OK ||
	    (err = payload_dir_write(
		 &p->dir, p->fd, data.p, data.len, f->size)) != SW_OK)
		return err;
	snprintf(place, PAYLOAD_PLACE_MAX, "%" PRIu64 " %" PRIu64 " %zu",
	    f->number, f->size, data.len);
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
		struct place at;
		struct file *f;

		/* A place that is none frees nothing. */
		if (parse_place(db_text(q, 0), &at) == SW_OK &&
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
	int err = SW_OK;

	for (size_t i = 0; i < p->count && err == SW_OK; i++)
		if (is_changed(p, &p->files[i]))
			err = save_file(p, &p->files[i]);
	if (err == SW_OK && p->written && sync && fdatasync(p->fd) != 0) {
		snprintf(
		    p->db->reason, 256, "%.160s: cannot sync", p->dir.path);
		err = SW_ESTORE;
	}
	return err;
}

static void
remove_gone(struct payloads *p)
{
	time_t now = time(NULL);
	size_t kept = 0;

	for (size_t i = 0; i < p->count; i++) {
		struct file *f = &p->files[i];

		if (is_finished(p, f) && f->gone == 0)
			f->gone = now;
		if (f->gone != 0 && f->gone + READERS_MAY_LOOK_S <= now)
			payload_dir_remove(&p->dir, f->number);
		else
			p->files[kept++] = *f;
	}
	p->count = kept;
}

void
payloads_committed(struct payloads *p)
{
	bool changed = false;

	for (size_t i = 0; i < p->count; i++) {
		struct file *f = &p->files[i];

		changed = changed || is_changed(p, f) || f->gone != 0;
		f->committed_size = f->size;
		f->committed_live = f->live;
	}
	if (p->written) {
		p->written = false;
		pthread_mutex_lock(&p->lock);
		p->last_unsynced = true;
		pthread_mutex_unlock(&p->lock);
	}
	if (changed)
		remove_gone(p);
}

void
payloads_rolled_back(struct payloads *p)
{
	for (size_t i = 0; i < p->count; i++) {
		p->files[i].size = p->files[i].committed_size;
		p->files[i].live = p->files[i].committed_live;
	}
	p->written = false;
}

void
payloads_sync(struct payloads *p)
{
	int fds[UNSYNCED_MAX + 1];
	size_t n = 0;

	pthread_mutex_lock(&p->lock);
	for (; n < p->unsynced_count; n++)
		fds[n] = p->unsynced[n];
	p->unsynced_count = 0;
	if (p->last_unsynced && p->fd >= 0 && (fds[n] = dup(p->fd)) >= 0)
		n++;
	p->last_unsynced = false;
	pthread_mutex_unlock(&p->lock);
	for (size_t i = 0; i < n; i++) {
		if (fdatasync(fds[i]) != 0)
			log_error("store: %s: cannot sync", p->dir.path);
		close(fds[i]);
	}
}

uint64_t
payloads_bytes(const struct payloads *p)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < p->count; i++)
		sum += p->files[i].gone == 0 ? p->files[i].size : 0;
	return sum;
}

int
payload_reader_init(struct payload_reader *r, const char *store, char *reason)
{
	r->fd = -1;
	return payload_dir_init(&r->dir, store, reason);
}

void
payload_reader_fini(struct payload_reader *r)
{
	/* Also when it was never initialised: descriptor 0 is not ours. */
	if (r->dir.path == NULL)
		return;
	if (r->fd >= 0)
		close(r->fd);
	payload_dir_fini(&r->dir);
}

int
payload_place_size(struct str place, size_t *out)
{
	struct place at;
	int err = parse_place(place, &at);

	if (err == SW_OK)
		*out = at.size;
	return err;
}

int
payload_read(struct payload_reader *r, struct str place, void *out)
{
	struct place at;
	int err;

	if ((err = parse_place(place, &at)) != SW_OK)
		return err;
	if (r->fd < 0 || r->number != at.number) {
		if (r->fd >= 0)
			close(r->fd);
		r->fd = -1;
		err = payload_dir_open(&r->dir, at.number, &r->fd);
		r->number = at.number;
	}
	if (err == SW_OK)
		err = payload_dir_read(r->fd, out, at.size, at.offset);
	if (err == SW_ENOENT) {
		snprintf(r->dir.reason, 256,
		    "a payload is missing in %.160s: were its files removed?",
		    r->dir.path);
		err = SW_ECORRUPT;
	}
	return err;
}
