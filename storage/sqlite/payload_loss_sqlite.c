#include "storage/sqlite/payload_loss_sqlite.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/base/err.h"
#include "proxy/base/log.h"

void
payload_mark_print(char out[PAYLOAD_MARK_MAX], const struct payload_mark *mark)
{
	snprintf(out, PAYLOAD_MARK_MAX, "%" PRIu64 " %" PRIu64, mark->number,
	    mark->offset);
}

int
payload_mark_load(struct db *db, struct payload_mark *out)
{
	sqlite3_stmt *q = NULL;
	int err = db_prepare(
	    db, &q, "SELECT value FROM state WHERE name = 'payloads_synced'");
	struct str text, number, offset;

	if (err == SW_OK && (err = db_row(db, q)) == SW_OK) {
		text = db_text(q, 0);
		if (!str_cut(&text, ' ', &number) ||
		    !str_cut(&text, ' ', &offset) ||
		    str_to_u64(&out->number, number, UINT64_MAX) != SW_OK ||
		    str_to_u64(&out->offset, offset, UINT64_MAX) != SW_OK)
			err = SW_ECORRUPT;
	}
	sqlite3_finalize(q);
	return err == SW_ENOENT ? SW_OK : err;
}

static bool
is_synced(const struct payload_place *at, const struct payload_mark *synced)
{
	return at->number < synced->number ||
	    (at->number == synced->number &&
		at->offset + at->size <= synced->offset);
}

/* SW_OK, SW_ENOENT if it is not what was written, or a failure to look. */
static int
compare(const struct payload_dir *dir, const struct payload_place *at)
{
	char *data = malloc(at->size > 0 ? (size_t)at->size : 1);
	int fd = -1, err;

	if (data == NULL)
		return SW_ENOMEM;
	if ((err = payload_dir_open(dir, at->number, &fd)) == SW_OK)
		err = payload_dir_read(fd, data, (size_t)at->size, at->offset);
	if (err == SW_OK &&
	    payload_sum((struct str){ data, (size_t)at->size }) != at->sum)
		err = SW_ENOENT;
	if (fd >= 0)
		close(fd);
	free(data);
	return err;
}

/* Does the file reach to the end of the place, and is it that? */
static int
look(const struct payload_dir *dir, const struct payload_place *at, bool synced)
{
	if (payload_dir_size(dir, at->number) < at->offset + at->size)
		return SW_ENOENT;
	return synced || !at->summed ? SW_OK : compare(dir, at);
}

int
payload_loss_settle(struct db *db, const struct payload_dir *dir,
    const struct payload_mark *synced, bool all)
{
	sqlite3_stmt *q = NULL, *raise = NULL;
	struct payload_place at;
	unsigned lost = 0;
	int err = db_prepare(db, &q,
	    "SELECT id, channel, data FROM log WHERE kind >= 16"
	    " ORDER BY id DESC");

	if (err == SW_OK)
		err = db_prepare(db, &raise,
		    "UPDATE channel SET floor = ?1"
		    " WHERE key = ?2 AND floor < ?1");
	while (err == SW_OK && (err = db_row(db, q)) == SW_OK) {
		bool covered;

		if ((err = payload_place_parse(&at, db_text(q, 2))) != SW_OK)
			break;
		covered = is_synced(&at, synced);
		if (covered && !all)
			break;
		if ((err = look(dir, &at, covered)) != SW_ENOENT)
			continue;
		lost++;
		db_bind_u64(raise, 1, db_u64(q, 0));
		db_bind_u64(raise, 2, db_u64(q, 1));
		err = db_run(db, raise);
	}
	sqlite3_finalize(q);
	sqlite3_finalize(raise);
	if (lost > 0)
		log_error("store: payloads of %u events are missing in %s: "
			  "their channels begin behind them now",
		    lost, dir->path);
	return err == SW_ENOENT ? SW_OK : err;
}
