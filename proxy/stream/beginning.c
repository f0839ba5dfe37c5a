#include "proxy/stream/beginning.h"

#include <string.h>

#include "proxy/lab/lab.h"
#include "proxy/worker.h"

/* What the lab says is lost is skipped, and no cursor goes back for it. */
static void
skip_lost(struct beginning *b, struct conn *c, const struct stream_request *req)
{
	b->gap = lab_gap(c, req);
	if (b->gap == GAP_NONE)
		return;
	if (b->pos < c->worker->hub.seen)
		b->pos = c->worker->hub.seen;
	if (b->gap == GAP_EPOCH)
		b->hello = b->pos;
}

uint64_t
beginning_live(const struct worker *w)
{
	/* Not hub.seen: a task may come between the look for tasks and recv. */
	return log_head(w->log);
}

struct beginning
beginning_find(struct conn *c, const struct stream_request *req, uint64_t live)
{
	struct worker *w = c->worker;
	struct beginning b = { .gap = GAP_NONE };

	switch (req->start) {
	case START_LIVE:
		b.pos = b.hello = live;
		break;
	case START_CURSOR:
		if (strcmp(req->after.epoch.text, w->codec.epoch.text) != 0)
			b.gap = GAP_EPOCH;
		else if (req->after.seq > log_head(w->log))
			b.gap = GAP_AHEAD;
		else
			b.pos = b.hello = req->after.seq;
		break;
	case START_OLDEST:
	case START_LAST:
		break;
	}
	if (b.gap == GAP_NONE && w->lab != NULL)
		skip_lost(&b, c, req);
	return b;
}
