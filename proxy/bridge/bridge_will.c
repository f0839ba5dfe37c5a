#include "proxy/bridge/bridge_will.h"

#include "proxy/base/err.h"
#include "proxy/bridge/bridge.h"
#include "proxy/worker.h"
#include "storage/outbox/outbox.h"

static void
replace(struct bridge_will *w, struct outbox_put *next)
{
	outbox_put_free(w->next);
	w->next = next;
}

/* The outbox is closed, and gives no answers any more: this it takes. */
static void
leave(struct bridge_lane *l, struct outbox_put *p)
{
	p->stored = NULL;
	if (outbox_put(bridge_worker(bridge_lane_bridge(l))->outbox, p) !=
	    SW_OK)
		outbox_put_free(p);
}

/* The answer to one sends the next: a circle that has to begin somewhere. */
static void on_stored(struct outbox_put *p);

static void
fly(struct bridge_lane *l, struct outbox_put *p)
{
	struct worker *w = bridge_worker(bridge_lane_bridge(l));

	p->stored = on_stored;
	p->owner = l;
	p->loop = w->loop;
	if (outbox_put(w->outbox, p) == SW_OK)
		bridge_lane_will(l)->flying = true;
	else
		leave(l, p);
}

static void
on_stored(struct outbox_put *p)
{
	struct bridge_lane *l = p->owner;
	struct bridge_will *w = bridge_lane_will(l);
	bool failed = p->err != SW_OK;

	w->flying = false;
	if (failed && !w->voided && w->next == NULL)
		w->next = p;
	else
		outbox_put_free(p);
	if (w->next != NULL) {
		p = w->next;
		w->next = NULL;
		fly(l, p);
	}
	if (failed || !w->flying)
		w->holds = false;
	bridge_lane_go_on(l);
}

void
bridge_will_put(struct bridge_lane *l, struct outbox_put *p)
{
	struct bridge_will *w = bridge_lane_will(l);
	struct outbox *outbox = bridge_worker(bridge_lane_bridge(l))->outbox;

	w->exists = true;
	if (w->flying) {
		replace(w, p);
		return;
	}
	fly(l, p);
	w->holds = w->flying && !outbox_failing(outbox);
}

void
bridge_will_put_later(struct bridge_lane *l, struct outbox_put *p)
{
	struct bridge_will *w = bridge_lane_will(l);

	bridge_will_settle(w);
	w->exists = true;
	if (bridge_lane_leaving(l, NULL, NULL) > 0)
		w->later = p;
	else
		bridge_will_put(l, p);
}

void
bridge_will_catch_up(struct bridge_lane *l)
{
	struct bridge_will *w = bridge_lane_will(l);
	struct outbox_put *p = w->later;

	if (p == NULL || bridge_lane_leaving(l, NULL, NULL) > 0)
		return;
	w->later = NULL;
	bridge_will_put(l, p);
}

void
bridge_will_settle(struct bridge_will *w)
{
	outbox_put_free(w->later);
	w->later = NULL;
}

void
bridge_will_make_void(struct bridge_will *w)
{
	w->voided = true;
	replace(w, NULL);
}

void
bridge_will_close(struct bridge_lane *l)
{
	struct bridge_will *w = bridge_lane_will(l);

	w->flying = false;
	if (w->next != NULL)
		leave(l, w->next);
	w->next = NULL;
}
