#include "storage/outbox/outbox_private.h"

#include "proxy/base/err.h"
#include "proxy/base/log.h"

/* How long a file that fails is left alone. */
enum { STORE_RETRY_MS = 1000 };

void
outbox_leave_store_alone(struct outbox *o, const char *doing, int err)
{
	if (!atomic_exchange(&o->stats.failing, true))
		log_error("outbox: %s: %s; it is tried again", doing,
		    outbox_db_reason(o->db, err));
	loop_set_timer(
	    o->loop, &o->store_retry, loop_now_ms(o->loop) + STORE_RETRY_MS);
}

static int
count_letter(void *ctx, const struct outbox_letter *letter)
{
	struct outbox_query *q = ctx;

	q->count++;
	return q->visit(q->ctx, letter);
}

static int
obey(struct outbox *o, struct outbox_query *q)
{
	int err;

	if (q->order == OUTBOX_LIST)
		return SW_OK; /* it is read already */
	q->count = 0;
	q->err = SW_OK;
	if (q->order == OUTBOX_DROP)
		return outbox_db_drop(o->db, q->id, &q->count);
	err = outbox_db_revive(
	    o->db, q->id, loop_unix_ms(o->loop), &q->count, &o->revived.last);
	o->revived.count += q->count;
	return err;
}

/* In memory they are like wills that were executed. */
static void
load_revived(struct outbox *o)
{
	int err;

	if (o->revived.count == 0)
		return;
	atomic_fetch_add(&o->stats.stored, o->revived.count);
	o->wills.last = o->revived.last;
	o->wills.loaded = o->revived.last - o->revived.count;
	if ((err = outbox_wills_execute(o)) != SW_OK)
		outbox_leave_store_alone(o, "reading letters", err);
}

/*
 * A list changes nothing: if it fails, it has failed who asked. SQLite may end
 * the transaction it is in, so it is in none.
 */
static void
read_lists(struct outbox *o)
{
	list_each (node, &o->queries) {
		struct outbox_query *q =
		    container_of(node, struct outbox_query, node);

		if (q->order != OUTBOX_LIST)
			continue;
		q->count = 0;
		q->err = outbox_db_visit(
		    o->db, true, q->after, q->limit, count_letter, q);
	}
}

/* One letter to the file; its lane and its place there come first. */
static int
store_letter(struct outbox *o, struct outbox_put *p)
{
	int err = SW_OK;

	if (p->lane == NULL) {
		if ((err = outbox_lane_get(&p->lane, o, p->name)) != SW_OK)
			return err;
		p->lane->holders++;
	}
	return outbox_db_add(o->db, p->name, p->created_ms, p->data, &p->id);
}

static int
store(struct outbox *o, struct outbox_put *p)
{
	int err = p->what == OUTBOX_LETTER ? store_letter(o, p) : SW_OK;

	return err != SW_OK || p->connection == 0 ? err :
						    outbox_wills_store(o, p);
}

static int
store_all(struct outbox *o)
{
	int err = outbox_wills_are_left(o) ? outbox_wills_execute(o) : SW_OK;

	o->revived.count = 0;
	/* Else those of this run would be taken for the former one's. */
	if (err == SW_OK)
		err = outbox_db_begin(o->db);
	list_each (node, &o->queries) {
		struct outbox_query *q =
		    container_of(node, struct outbox_query, node);

		if (err == SW_OK)
			err = obey(o, q);
	}
	list_each (node, &o->puts)
		if (err == SW_OK)
			err = store(
			    o, container_of(node, struct outbox_put, node));
	list_each (node, &o->settled) {
		struct outbox_delivery *d =
		    container_of(node, struct outbox_delivery, node);

		if (err == SW_OK && d->bury)
			err = outbox_db_bury(
			    o->db, d->id, loop_unix_ms(o->loop), d->reason);
		else if (err == SW_OK &&
		    (d->outcome == OUTBOX_DONE || d->outcome == OUTBOX_REFUSED))
			err = outbox_db_remove(o->db, d->id);
	}
	if (err == SW_OK)
		err = outbox_db_commit(o->db);
	if (err != SW_OK)
		outbox_db_rollback(o->db);
	return err;
}

static void
run_stored(struct task *t)
{
	struct outbox_put *p = container_of(t, struct outbox_put, task);

	p->stored(p);
}

static void
answer_put(struct outbox *o, struct outbox_put *p, int err)
{
	if (p->stored == NULL || o->hushed) {
		outbox_put_free(p);
		return;
	}
	p->err = err;
	p->task.run = run_stored;
	loop_post(p->loop, &p->task);
}

static void
run_done(struct task *t)
{
	struct outbox_query *q = container_of(t, struct outbox_query, task);

	q->done(q);
}

static void
answer_queries(struct outbox *o, int err)
{
	struct list *node;

	while ((node = list_shift(&o->queries)) != NULL) {
		struct outbox_query *q =
		    container_of(node, struct outbox_query, node);

		if (err == SW_OK && q->order != OUTBOX_LIST)
			atomic_fetch_sub(&o->stats.dead, q->count);
		if (err != SW_OK)
			q->err = err;
		q->task.run = run_done;
		loop_post(q->loop, &q->task);
	}
}

static void
append_stored(struct outbox_put *p)
{
	struct letter *letter = p->letter;

	p->letter = NULL;
	letter->id = p->id;
	letter->created_ms = p->created_ms;
	letter->size = p->data.len;
	letter->backlog = p->backlog;
	p->backlog = NULL;
	p->lane->holders--;
	outbox_lane_append(p->lane, letter);
}

static void
group_stored(struct outbox *o)
{
	struct list *node;

	if (atomic_exchange(&o->stats.failing, false))
		log_info("outbox: letters are stored again");
	loop_clear_timer(&o->store_retry);
	outbox_wills_settle(o, true);
	load_revived(o);
	while ((node = list_shift(&o->puts)) != NULL) {
		struct outbox_put *p =
		    container_of(node, struct outbox_put, node);

		outbox_wills_stored(o, p);
		if (p->what == OUTBOX_LETTER) {
			append_stored(p);
			outbox_count(&o->stats.stored);
		}
		answer_put(o, p, SW_OK);
	}
	while ((node = list_shift(&o->settled)) != NULL)
		outbox_conclude(
		    o, container_of(node, struct outbox_delivery, node));
	answer_queries(o, SW_OK);
}

/* It is not kept for the next time. */
static void
give_up(struct outbox *o, struct outbox_put *p, int err)
{
	if (p->what == OUTBOX_LETTER)
		atomic_fetch_sub(&o->stats.bytes, p->data.len);
	if (p->lane != NULL) {
		p->lane->holders--;
		outbox_lane_free_idle(p->lane);
	}
	if (p->stored == NULL && p->what == OUTBOX_LETTER)
		log_error("outbox: a letter is lost: %s",
		    outbox_db_reason(o->db, err));
	answer_put(o, p, err);
}

/* What somebody waits for has failed; all else is kept for the next time. */
static void
group_failed(struct outbox *o, int err)
{
	struct list kept;
	struct list *node;

	list_init(&kept);
	outbox_leave_store_alone(o, "storing letters", err);
	outbox_wills_settle(o, false);
	while ((node = list_shift(&o->puts)) != NULL) {
		struct outbox_put *p =
		    container_of(node, struct outbox_put, node);

		if (p->stored == NULL && !o->hushed)
			list_append(&kept, &p->node);
		else
			give_up(o, p, err);
	}
	list_splice(&o->puts, &kept);
	answer_queries(o, err);
}

void
outbox_commit(struct outbox *o)
{
	int err;

	if ((list_empty(&o->puts) && list_empty(&o->settled) &&
		list_empty(&o->queries) && !outbox_wills_are_left(o)) ||
	    (timer_is_set(&o->store_retry) && !o->hushed))
		return;
	read_lists(o);
	if ((err = store_all(o)) == SW_OK)
		group_stored(o);
	else
		group_failed(o, err);
}
