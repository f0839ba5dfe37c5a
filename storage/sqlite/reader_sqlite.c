#include "storage/sqlite/reader_sqlite.h"

#include <stdlib.h>

#include "proxy/base/err.h"
#include "storage/sqlite/payload_reader.h"
#include "storage/sqlite/payloads_sqlite.h"

enum statement { SQL_BEGIN, SQL_END, SQL_ROW, STATEMENTS };

static const char *const sql[STATEMENTS] = {
	[SQL_BEGIN] = "BEGIN",
	[SQL_END] = "COMMIT",
	[SQL_ROW] = ("SELECT id, channel, number, total, previous, jump, time,"
		     " kind, type, content_type, data FROM log WHERE id = ?"),
};

struct reader_sqlite {
	struct store_reader base;
	struct db db;
	sqlite3_stmt *statements[STATEMENTS];
	struct payload_reader payloads;
	const struct tail *tail; /* borrowed; or NULL */
	struct views *views;
	struct view view;
};

static struct reader_sqlite *
self(struct store_reader *r)
{
	return container_of(r, struct reader_sqlite, base);
}

int
reader_sqlite_open(struct store_reader **out, const char *path,
    enum db_mode mode, struct views *views, const struct tail *tail)
{
	struct reader_sqlite *r = calloc(1, sizeof(*r));
	int err;

	if (r == NULL)
		return SW_ENOMEM;
	r->tail = tail;
	r->views = views;
	views_enter(views, &r->view);
	if ((err = db_open(&r->db, path, mode, r->base.reason)) != SW_OK ||
	    (err = payload_reader_init(&r->payloads, path, r->base.reason)) !=
		SW_OK)
		goto fail;
	for (size_t i = 0; i < STATEMENTS; i++)
		if ((err = db_prepare(&r->db, &r->statements[i], sql[i])) !=
		    SW_OK)
			goto fail;
	*out = &r->base;
	return SW_OK;

fail:
	reader_sqlite_close(&r->base);
	return err;
}

void
reader_sqlite_close(struct store_reader *base)
{
	struct reader_sqlite *r;

	if (base == NULL)
		return;
	r = self(base);
	for (size_t i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(r->statements[i]);
	payload_reader_fini(&r->payloads);
	views_leave(r->views, &r->view);
	db_close(&r->db);
	free(r);
}

int
reader_sqlite_begin(struct store_reader *base)
{
	struct reader_sqlite *r = self(base);
	int err;

	view_begin(r->views, &r->view);
	err = db_run(&r->db, r->statements[SQL_BEGIN]);
	if (err != SW_OK)
		view_end(&r->view);
	return err;
}

void
reader_sqlite_end(struct store_reader *base)
{
	struct reader_sqlite *r = self(base);

	if (sqlite3_get_autocommit(r->db.handle) == 0)
		db_run(&r->db, r->statements[SQL_END]);
	view_end(&r->view);
}

/*
 * The row, with what it holds if it is wanted `whole`; borrowed until the
 * statement is reset.
 */
static int
find_row(struct reader_sqlite *r, uint64_t id, bool whole, struct tail_row *out)
{
	sqlite3_stmt *q = r->statements[SQL_ROW];
	int err;

	db_bind_u64(q, 1, id);
	err = db_row(&r->db, q);
	if (err == SW_ENOENT && r->tail != NULL && tail_find(r->tail, id, out))
		return SW_OK;
	if (err != SW_OK)
		return err;
	*out = (struct tail_row){
		.row = {
			.id = db_u64(q, 0),
			.channel = db_u64(q, 1),
			.number = db_u64(q, 2),
			.total = db_u64(q, 3),
			.previous = db_u64(q, 4),
			.jump = db_u64(q, 5),
			.time_ms = db_u64(q, 6),
		},
	};
	if (!whole)
		return SW_OK;
	out->kind = db_u64(q, 7);
	out->type = db_text(q, 8);
	out->content_type = db_text(q, 9);
	out->data.p = sqlite3_column_blob(q, 10);
	out->data.len = (size_t)sqlite3_column_bytes(q, 10);
	/* An empty blob is NULL as well; only the connection knows. */
	return out->data.p == NULL && out->data.len == 0 &&
		sqlite3_errcode(r->db.handle) == SQLITE_NOMEM ?
	    SW_ENOMEM :
	    SW_OK;
}

int
reader_sqlite_row(struct store_reader *base, uint64_t id, struct store_row *out)
{
	struct reader_sqlite *r = self(base);
	struct tail_row row;
	int err = find_row(r, id, false, &row);

	if (err == SW_OK)
		*out = row.row;
	sqlite3_reset(r->statements[SQL_ROW]);
	return err;
}

static int
make_event(struct reader_sqlite *r, const struct tail_row *row,
    struct channel *c, struct event **out)
{
	struct payload_place at = { .size = row->data.len };
	struct event *e = NULL;
	int err;

	if (row->kind >= PAYLOAD_KIND &&
	    (err = payload_place_parse(&at, row->data)) != SW_OK)
		return err;
	err = event_new(&e, c, (enum event_kind)(row->kind % PAYLOAD_KIND),
	    row->type, row->content_type, (size_t)at.size);
	if (err != SW_OK)
		return err;
	e->id = row->row.id;
	e->previous = row->row.previous;
	e->jump = row->row.jump;
	e->number = row->row.number;
	e->total = row->row.total;
	e->time_ms = row->row.time_ms;
	if (row->kind >= PAYLOAD_KIND)
		err = payload_read(&r->payloads, &at, event_payload(e));
	else if (row->data.len > 0)
		memcpy(event_payload(e), row->data.p, row->data.len);
	if (err == SW_OK)
		*out = e;
	else
		event_unref(e);
	return err;
}

int
reader_sqlite_event(struct store_reader *base, uint64_t id, struct channel *c,
    struct event **out)
{
	struct reader_sqlite *r = self(base);
	struct tail_row row;
	int err = find_row(r, id, true, &row);

	if (err == SW_OK && row.row.channel != channel_key(c))
		err = SW_ENOENT;
	if (err == SW_OK)
		err = make_event(r, &row, c, out);
	sqlite3_reset(r->statements[SQL_ROW]);
	return err;
}
