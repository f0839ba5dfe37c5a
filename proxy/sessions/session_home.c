#include "proxy/sessions/session_home.h"

#include <inttypes.h>
#include <limits.h>

#include "proxy/base/log.h"
#include "proxy/bridge/bridge.h"
#include "proxy/bridge/bridge_outbox.h"
#include "proxy/bridge/bridge_party.h"
#include "proxy/gateway.h"
#include "proxy/sessions/sessions.h"
#include "proxy/worker.h"

/* Changes that are told before others have their turn. */
enum { CHANGES_PER_TURN = 64 };

static struct party
party_of(struct worker *w, const struct session_change *c)
{
	return (struct party){
		.worker = w,
		.connection = c->connection,
		.transport = c->transport,
		.peer = &c->peer,
		.user = str_of(c->user),
		.session = str_of(c->id),
		.meta = str_of(c->meta),
		.forwarded = str_of(c->forwarded),
		.lane = session_lane(c->session),
	};
}

/* True: its will is another one by that. */
static bool
join(const struct party *p, struct channel *const *channels, size_t n)
{
	bool any = false;

	for (size_t i = 0; i < n; i++)
		any = party_joins(p, channels[i]) || any;
	return any;
}

static void
tell_joined(const struct party *p, struct session *s,
    struct channel *const *channels, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (party_publish_joined(p, channels[i]))
			session_announced(s, channels[i]);
		party_joined(p, channels[i]);
	}
}

/* Likewise; who has ended leaves its channels with that. */
static bool
tell_left(const struct party *p, const struct session_change *c)
{
	bool any = false;

	for (size_t i = 0; i < c->left_count; i++) {
		if (c->announced[i])
			party_publish_left(p, c->left[i]);
		if (c->ended == NULL)
			any = party_left(p, c->left[i]) || any;
	}
	return any;
}

static void
log_end(const struct party *p, const char *why)
{
	char peer[ADDRESS_TEXT];

	log_debug("session ended connection=%" PRIu64
		  " transport=%s why=%s peer=%s",
	    p->connection, p->transport, why, address_print(p->peer, peer));
}

static void
tell(struct worker *w, const struct session_change *c)
{
	const struct party p = party_of(w, c);
	struct channel *const *joined = c->has + (c->has_count - c->joined);
	bool left = tell_left(&p, c);

	if (c->ended != NULL) {
		party_ended(&p, c->ended);
		bridge_lane_release(*p.lane);
		log_end(&p, c->ended);
		return;
	}
	/* The backend hears of nobody whose end it might not hear of. */
	if (join(&p, joined, c->joined) || left)
		party_keep_will(&p, c->joined > 0);
	tell_joined(&p, c->session, joined, c->joined);
}

/* While we stood still nobody could renew a lease: it lasts longer by that. */
static uint64_t
grace_ms(const struct worker *w)
{
	struct loop_pause p = loop_last_pause(w->loop);

	return loop_now_ms(w->loop) < p.end_ms + w->conf->session_lease_ms ?
	    p.ms :
	    0;
}

/* True: there is more. */
static bool
attend(struct worker *w, unsigned budget, uint64_t *next_ms)
{
	struct sessions *ss = gateway_sessions(w->gateway);
	uint64_t now = loop_now_ms(w->loop), grace = grace_ms(w);
	struct session_change c;

	for (; budget > 0; budget--) {
		if (!sessions_next(ss, w->index, now - grace, &c, next_ms)) {
			if (*next_ms <= now)
				*next_ms += grace;
			return false;
		}
		tell(w, &c);
		session_change_fini(&c);
	}
	return true;
}

static void
go_on(struct worker *w)
{
	uint64_t next_ms;

	if (attend(w, CHANGES_PER_TURN, &next_ms))
		session_home_wake(w->gateway, w->index);
	else if (next_ms == UINT64_MAX)
		loop_clear_timer(&w->session_home.timer);
	else
		loop_set_timer(w->loop, &w->session_home.timer, next_ms);
}

static void
on_wake(struct task *t)
{
	struct session_home *h = container_of(t, struct session_home, task);

	atomic_store(&h->posted, false);
	go_on(container_of(h, struct worker, session_home));
}

static void
on_time(struct timer *t)
{
	struct session_home *h = container_of(t, struct session_home, timer);

	go_on(container_of(h, struct worker, session_home));
}

void
session_home_init(struct worker *w)
{
	w->session_home.task.run = on_wake;
	timer_init(&w->session_home.timer, on_time);
}

void
session_home_wake(void *ctx, size_t home)
{
	struct worker *w = gateway_worker(ctx, home);

	if (!atomic_exchange(&w->session_home.posted, true))
		loop_post(w->loop, &w->session_home.task);
}

bool
session_home_end(struct worker *w)
{
	return sessions_end(gateway_sessions(w->gateway), w->index) == 0;
}

void
session_home_fini(struct worker *w)
{
	struct sessions *ss = gateway_sessions(w->gateway);
	struct bridge_lane *l;
	uint64_t next_ms;

	if (ss == NULL || w->loop == NULL)
		return;
	sessions_end(ss, w->index);
	attend(w, UINT_MAX, &next_ms);
	/* Those that requests of other workers hold: their wills tell. */
	while ((l = sessions_take_lane(ss, w->index)) != NULL)
		bridge_lane_release(l);
}
