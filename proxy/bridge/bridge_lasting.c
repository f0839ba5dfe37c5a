#include <assert.h>

#include "proxy/base/err.h"
#include "proxy/bridge/bridge_outbox.h"
#include "proxy/bridge/bridge_private.h"
#include "proxy/worker.h"

/* The backend has not heard that it came: nor need it hear that it left. */
static void
spare_its_end(struct bridge_lane *l, struct str channel)
{
	list_each (node, &l->waiting) {
		struct bridge_call *c =
		    container_of(node, struct bridge_call, waiting);

		if (!bridge_call_leaves(c) || c->spared ||
		    !str_equals(c->event.channel, channel))
			continue;
		c->spared = true;
		return;
	}
	bridge_told_remove(&l->told, channel);
}

static bool
is_owed(const struct outbox_backlog *b)
{
	return b != NULL && !outbox_backlog_is_empty(b);
}

static int
post_lasting(struct bridge_call *c)
{
	struct bridge_lane *l = c->lane;
	bool queued = c->way == BRIDGE_QUEUED;
	struct outbox_backlog **b;

	assert(l != NULL); /* what lasts is in one */
	b = queued ? &l->queued : &l->failed;
	if (queued && !is_owed(l->queued))
		l->queued_under = channels_reloads(c->bridge->worker->channels);
	if (*b == NULL && (*b = outbox_backlog_new()) == NULL)
		return SW_ENOMEM;
	return bridge_post_lasting(c->bridge, &c->event, *b);
}

void
bridge_hand_over(struct bridge_call *c)
{
	struct bridge_lane *l = c->lane;
	int err = c->spared ? SW_OK : post_lasting(c);

	if (err != SW_OK) {
		bridge_note_lost(c->bridge, &c->event, err);
		if (c->event.kind == BRIDGE_SUBSCRIBE)
			spare_its_end(l, c->event.channel);
	}
	bridge_call_free(c);
}

bool
bridge_would_overtake(const struct bridge_call *c)
{
	const struct bridge_lane *l = c->lane;
	uint32_t reloads = channels_reloads(c->bridge->worker->channels);

	return is_owed(l->failed) ||
	    (is_owed(l->queued) &&
		(reloads != l->queued_under || reloads % 2 != 0));
}

static bool
is_about_the_same(const struct bridge_call *other, const struct bridge_call *c)
{
	return other != NULL && bridge_way_lasts(other->way) &&
	    str_equals(other->event.channel, c->event.channel);
}

bool
bridge_waits_for_the_same(
    const struct bridge_lane *l, const struct bridge_call *c)
{
	list_each (node, &l->waiting)
		if (is_about_the_same(
			container_of(node, struct bridge_call, waiting), c))
			return true;
	return is_about_the_same(l->running, c);
}
