#include "proxy/bridge/bridge_outbox.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/err.h"
#include "proxy/base/log.h"
#include "proxy/bridge/bridge_letter.h"
#include "proxy/worker.h"

/* An event is in the same lane as the others of its connection. */
static void
put_lane(struct buf *out, const struct bridge *b, const struct bridge_event *e)
{
	/* Requests of one session come over many connections. */
	if (e->session.p != NULL && str_is(e->transport, "post")) {
		buf_puts(out, "session:");
		buf_put_str(out, e->user);
		buf_put(out, "", 1);
		buf_put_str(out, e->session);
	} else {
		/* Numbers of connections begin again with each run. */
		buf_puts(out, bridge_prefix(b));
		buf_puts(out, ":");
		buf_put_u64(out, e->connection);
	}
}

static int
make_put(struct outbox_put **out, struct bridge *b,
    const struct bridge_ask *ask, enum outbox_what what)
{
	struct bridge_event e = ask->event;
	char id[BRIDGE_ID_MAX];
	struct buf lane, letter;
	int err = SW_OK;

	if (e.id.p == NULL) {
		err = bridge_event_id(b, &e, id);
		e.id = str_of(id);
		/* When a will's hour is, only its letter says. */
		e.time_ms = what == OUTBOX_WILL ?
		    0 :
		    loop_unix_ms(bridge_worker(b)->loop);
	}
	buf_init(&lane, 1024);
	buf_init(&letter, SIZE_MAX / 2);
	put_lane(&lane, b, &e);
	if (err == SW_OK)
		err = bridge_letter_put(&letter, &e);
	if (err == SW_OK && (err = buf_error(&lane)) == SW_OK) {
		*out = outbox_put_new(buf_str(&lane), buf_str(&letter));
		err = *out == NULL ? SW_ENOMEM : SW_OK;
	}
	if (err == SW_OK)
		(*out)->what = what;
	buf_fini(&lane);
	buf_fini(&letter);
	return err;
}

/* Who waits until it is stored. */
struct waiter {
	void (*answered)(void *owner, const struct bridge_answer *a);
	void *owner;
};

static void
on_stored(struct outbox_put *p)
{
	struct waiter *waiter = p->owner;
	struct bridge_answer a = { .outcome = BRIDGE_TAKEN, .status = 202 };

	if (p->err != SW_OK)
		bridge_answer_refuse(&a, p->err, err_info(p->err)->http_status,
		    err_info(p->err)->sentence);
	waiter->answered(waiter->owner, &a);
	outbox_put_free(p);
	free(waiter);
}

static int
post(struct bridge *b, struct outbox_put *p)
{
	struct worker *w = bridge_worker(b);
	int err = w->outbox == NULL ? SW_ESTORE : outbox_put(w->outbox, p);

	if (err == SW_EBUSY)
		METRIC_LIMIT(w, LIMIT_OUTBOX);
	if (err != SW_OK)
		outbox_put_free(p);
	return err;
}

int
bridge_post(struct bridge *b, const struct bridge_ask *ask)
{
	struct outbox_put *p;
	struct waiter *waiter = NULL;
	int err;

	if ((err = make_put(&p, b, ask, OUTBOX_LETTER)) != SW_OK)
		return err;
	if (ask->answered != NULL) {
		if ((waiter = malloc(sizeof(*waiter))) == NULL) {
			outbox_put_free(p);
			return SW_ENOMEM;
		}
		*waiter = (struct waiter){ ask->answered, ask->owner };
		p->stored = on_stored;
		p->owner = waiter;
		p->loop = bridge_worker(b)->loop;
	}
	if ((err = post(b, p)) != SW_OK)
		free(waiter);
	return err;
}

int
bridge_post_lasting(struct bridge *b, const struct bridge_event *e,
    struct outbox_backlog *backlog)
{
	const struct bridge_ask ask = { .event = *e };
	struct outbox_put *p;
	int err;

	if ((err = make_put(&p, b, &ask, OUTBOX_LETTER)) != SW_OK)
		return err;
	p->must = e->kind == BRIDGE_UNSUBSCRIBE;
	p->backlog = outbox_backlog_ref(backlog);
	return post(b, p);
}

void
bridge_note_lost(struct bridge *b, const struct bridge_event *e, int err)
{
	METRIC_ADD(
	    bridge_worker(b)->metrics.bridge[e->kind][BRIDGE_REFUSED], 1);
	log_warn("bridge type=%s connection=%" PRIu64 " lost=%s",
	    bridge_kind_name(e->kind), e->connection, err_info(err)->name);
}

/* The end of a connection, or that there is none to be told. */
static int
post_end(struct bridge *b, struct bridge_lane *l, struct outbox_put *p)
{
	int err = post(b, p);

	if (err == SW_OK && l != NULL)
		bridge_will_make_void(bridge_lane_will(l));
	return err;
}

int
bridge_post_last(struct bridge *b, const struct bridge_ask *ask)
{
	struct outbox_put *p;
	int err;

	if (bridge_worker(b)->outbox == NULL)
		return SW_ESTORE;
	if ((err = make_put(&p, b, ask, OUTBOX_LETTER)) != SW_OK)
		return err;
	if (ask->lane != NULL && bridge_lane_will(ask->lane)->exists)
		p->connection = ask->event.connection;
	/* Of each connection there is one, and who ends cannot be told. */
	p->must = true;
	if (ask->lane != NULL && bridge_lane_keep_last(ask->lane, p))
		return SW_OK;
	return post_end(b, ask->lane, p);
}

int
bridge_post_will(struct bridge *b, const struct bridge_ask *ask, bool later)
{
	struct outbox_put *p;
	int err;

	if (bridge_worker(b)->outbox == NULL)
		return SW_ESTORE;
	if ((err = make_put(&p, b, ask, OUTBOX_WILL)) != SW_OK)
		return err;
	p->connection = ask->event.connection;
	if (later)
		bridge_will_put_later(ask->lane, p);
	else
		bridge_will_put(ask->lane, p);
	return SW_OK;
}

int
bridge_revoke_will(struct bridge_lane *l, uint64_t connection, bool ends)
{
	struct outbox_put *p;

	if (l == NULL || !bridge_lane_will(l)->exists)
		return SW_OK;
	if ((p = outbox_put_new(STR(""), STR(""))) == NULL)
		return SW_ENOMEM;
	p->what = OUTBOX_REVOKE;
	p->connection = connection;
	if (!ends)
		bridge_will_put_later(l, p);
	else if (!bridge_lane_keep_last(l, p))
		return post_end(bridge_lane_bridge(l), l, p);
	return SW_OK;
}

/* The other way: from the outbox to the backend. */

static enum outbox_outcome
outcome_of(const struct bridge_answer *a)
{
	if (a->outcome != BRIDGE_REFUSED)
		return OUTBOX_DONE;
	if (a->err == SW_ECLOSED)
		return OUTBOX_KEEP;
	if (a->said == 0 || a->said == 503)
		return OUTBOX_AWAY;
	/* It was taken, but what it was answered with is of no use. */
	if (a->said < 300 && a->err == SW_EBACKEND)
		return OUTBOX_REFUSED;
	/* A 429 is for one of its users, and says nothing of the others. */
	if (a->said >= 400 && a->said < 500 && a->said != 408 &&
	    a->said != 425 && a->said != 429)
		return OUTBOX_REFUSED;
	return OUTBOX_AGAIN;
}

bool
bridge_has_arrived(const struct bridge_answer *a)
{
	enum outbox_outcome outcome = outcome_of(a);

	return outcome == OUTBOX_DONE || outcome == OUTBOX_REFUSED;
}

static void
on_told(void *owner, const struct bridge_answer *a)
{
	outbox_settle(owner, outcome_of(a), a->detail);
}

void
bridge_carry(struct task *t)
{
	struct outbox_delivery *d =
	    container_of(t, struct outbox_delivery, task);
	struct worker *w = d->ctx;
	struct bridge_ask ask = {
		.way = BRIDGE_STORED,
		.answered = on_told,
		.owner = d,
	};
	int err = bridge_letter_read(&ask.event, d->data);

	if (ask.event.time_ms == 0)
		ask.event.time_ms = d->created_ms; /* it was a will */
	if (err == SW_EINVAL) {
		log_error("outbox letter=%" PRIu64 " cannot be read", d->id);
		outbox_settle(d, OUTBOX_REFUSED, "it cannot be read");
	} else if ((err = bridge_tell(w->bridge, &ask)) != SW_OK) {
		outbox_settle(d, OUTBOX_AGAIN, err_info(err)->sentence);
	}
}
