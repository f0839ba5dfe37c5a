#include "storage/outbox/outbox_private.h"

#include <inttypes.h>

#include "proxy/base/err.h"
#include "proxy/base/log.h"

/* Numbers of connections that are set aside at a time, as ids of events are. */
enum { BLOCK = 1 << 20 };

static int
load(void *ctx, const struct outbox_letter *found)
{
	struct outbox *o = ctx;
	int err = outbox_lane_load(o, found);

	if (err == SW_OK)
		o->wills.loaded = found->id;
	return err;
}

/* They are letters from here on, whatever becomes of this run. */
static int
convert(struct outbox *o)
{
	uint64_t reserve = outbox_db_reserved(o->db) + BLOCK;
	uint64_t count = 0, last = 0;
	int err;

	if ((err = outbox_db_begin(o->db)) == SW_OK &&
	    (err = outbox_db_execute(
		 o->db, loop_unix_ms(o->loop), &count, &last)) == SW_OK &&
	    (err = outbox_db_reserve(o->db, reserve)) == SW_OK)
		err = outbox_db_commit(o->db);
	if (err != SW_OK) {
		outbox_db_rollback(o->db);
		return err;
	}
	o->wills.left = false;
	o->wills.reserved = o->wills.reserving = reserve;
	if (count == 0)
		return SW_OK;
	o->wills.last = last;
	o->wills.loaded = last - count;
	atomic_store(&o->stats.executed, count);
	log_warn("outbox wills=%" PRIu64 ": so many streams were open when the "
		 "gateway ended without a word; the backend is told that they "
		 "are gone",
	    count);
	return SW_OK;
}

int
outbox_wills_execute(struct outbox *o)
{
	int err = o->wills.left ? convert(o) : SW_OK;

	/* No letter of this run is among them: none was stored before. */
	if (err == SW_OK && o->wills.loaded < o->wills.last)
		err = outbox_db_visit(o->db, false, o->wills.loaded,
		    o->wills.last - o->wills.loaded, load, o);
	return err;
}

int
outbox_wills_store(struct outbox *o, struct outbox_put *p)
{
	bool changed;
	int err;

	if (p->what != OUTBOX_WILL) {
		err = outbox_db_revoke(o->db, p->connection, &changed);
		p->wills = changed ? -1 : 0;
		return err;
	}
	err = outbox_db_will(o->db, p->connection, p->name, p->data, &changed);
	p->wills = changed ? 1 : 0;
	if (err != SW_OK || p->connection < o->wills.reserving)
		return err;
	o->wills.reserving = p->connection + BLOCK;
	return outbox_db_reserve(o->db, o->wills.reserving);
}

void
outbox_wills_stored(struct outbox *o, const struct outbox_put *p)
{
	atomic_fetch_add_explicit(
	    &o->stats.wills, (uint64_t)(int64_t)p->wills, memory_order_relaxed);
}

void
outbox_wills_settle(struct outbox *o, bool stored)
{
	if (stored)
		o->wills.reserved = o->wills.reserving;
	else
		o->wills.reserving = o->wills.reserved;
}
