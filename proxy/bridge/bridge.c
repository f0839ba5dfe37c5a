#include "proxy/bridge/bridge.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/backend/upstream.h"
#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "proxy/base/json.h"
#include "proxy/base/log.h"
#include "proxy/bridge/bridge_outbox.h"
#include "proxy/bridge/bridge_private.h"
#include "proxy/gateway.h"
#include "proxy/publish/draft.h"
#include "proxy/worker.h"

enum {
	/* What waits behind the event that is being answered, of one lane. */
	LANE_CALLS = 64,
	LANE_BYTES = 256 << 10,
	/* An answer may publish besides what it replies. */
	INSTRUCTIONS_MAX = 64 << 10,
};

int
bridge_new(struct bridge **out, struct worker *w)
{
	struct bridge *b = calloc(1, sizeof(*b));
	uint8_t random[PREFIX_BYTES];

	if (b == NULL)
		return SW_ENOMEM;
	b->worker = w;
	list_init(&b->calls);
	list_init(&b->lanes);
	digest_random(random, sizeof(random));
	base64_encode(b->prefix, random, sizeof(random));
	for (char *p = b->prefix; *p != '\0'; p++)
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
	*out = b;
	return SW_OK;
}

/* Lanes. */

int
bridge_lane_new(struct bridge_lane **out, struct bridge *b)
{
	struct bridge_lane *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return SW_ENOMEM;
	l->bridge = b;
	list_init(&l->waiting);
	list_append(&b->lanes, &l->node);
	*out = l;
	return SW_OK;
}

bool
bridge_lane_full(const struct bridge_lane *l)
{
	return l != NULL && (l->calls >= LANE_CALLS || l->bytes >= LANE_BYTES);
}

void
bridge_lane_wait(struct bridge_lane *l, void (*eased)(void *owner), void *owner)
{
	l->eased = eased;
	l->owner = owner;
}

static void
lane_free_idle(struct bridge_lane *l)
{
	struct outbox *outbox = l->bridge->worker->outbox;

	if (!l->orphaned || l->running != NULL || !list_empty(&l->waiting) ||
	    l->will.flying)
		return;
	/* Nobody waits for its answer: it is taken in any case. */
	if (l->last != NULL && outbox_put(outbox, l->last) != SW_OK)
		outbox_put_free(l->last);
	list_remove(&l->node);
	outbox_backlog_unref(l->failed);
	outbox_backlog_unref(l->queued);
	free(l);
}

struct bridge *
bridge_lane_bridge(const struct bridge_lane *l)
{
	return l->bridge;
}

struct bridge_will *
bridge_lane_will(struct bridge_lane *l)
{
	return &l->will;
}

struct bridge_told *
bridge_lane_told(struct bridge_lane *l)
{
	return &l->told;
}

bool
bridge_lane_keep_last(struct bridge_lane *l, struct outbox_put *p)
{
	if (l->last != NULL || (l->running == NULL && list_empty(&l->waiting)))
		return false;
	l->last = p;
	return true;
}

size_t
bridge_lane_leaving(const struct bridge_lane *l,
    void (*visit)(void *ctx, struct str channel), void *ctx)
{
	size_t n = bridge_call_leaves(l->running);

	if (n > 0 && visit != NULL)
		visit(ctx, l->running->event.channel);
	list_each (node, &l->waiting) {
		const struct bridge_call *c =
		    container_of(node, struct bridge_call, waiting);

		if (!bridge_call_leaves(c))
			continue;
		n++;
		if (visit != NULL)
			visit(ctx, c->event.channel);
	}
	return n;
}

void
bridge_lane_release(struct bridge_lane *l)
{
	if (l == NULL)
		return;
	bridge_will_settle(&l->will);
	bridge_told_fini(&l->told);
	l->orphaned = true;
	l->eased = NULL;
	lane_free_idle(l);
}

/* Calls. */

void
bridge_call_free(struct bridge_call *c)
{
	c->bridge->bytes -= c->size;
	list_remove(&c->node);
	buf_fini(&c->kept);
	free(c);
}

/* Answer it, and let go of it. */
static void
settle(struct bridge_call *c, const struct bridge_answer *a)
{
	struct metrics *m = &c->bridge->worker->metrics;

	METRIC_ADD(m->bridge[c->event.kind][a->outcome], 1);
	if (a->outcome == BRIDGE_REFUSED)
		log_debug("bridge type=%s id=%s refused=%s status=%d",
		    bridge_kind_name(c->event.kind), c->id,
		    err_info(a->err)->name, a->status);
	if (bridge_way_lasts(c->way) && !bridge_has_arrived(a)) {
		bridge_hand_over(c);
		return;
	}
	if (c->answered != NULL)
		c->answered(c->owner, a);
	bridge_call_free(c);
}

static void
refuse(struct bridge_call *c, int err)
{
	struct bridge_answer a;

	bridge_answer_refuse(
	    &a, err, err_info(err)->http_status, err_info(err)->sentence);
	settle(c, &a);
}

/* The answer to one starts the next: a circle that has to begin somewhere. */
static int start(struct bridge_call *c);

/* Its turn has come. False: it is through with already. */
static bool
set_out(struct bridge_call *c)
{
	int err;

	if (c->spared || c->crowded || c->way == BRIDGE_QUEUED ||
	    (c->way == BRIDGE_LASTING && bridge_would_overtake(c))) {
		bridge_hand_over(c);
	} else {
		if ((err = start(c)) == SW_OK)
			return true;
		refuse(c, err);
	}
	return false;
}

/* Whoever waits for room goes on, and may release it. */
static void
lane_ease(struct bridge_lane *l)
{
	void (*eased)(void *owner) = l->eased;

	l->eased = NULL;
	eased(l->owner);
}

/* The next event of the lane, if none is under way. */
static void
lane_advance(struct bridge_lane *l)
{
	struct list *node;

	while (l->running == NULL && !l->will.holds &&
	    (node = list_shift(&l->waiting)) != NULL) {
		struct bridge_call *c =
		    container_of(node, struct bridge_call, waiting);

		l->calls--;
		l->bytes -= c->size;
		l->running = c;
		if (!set_out(c)) {
			l->running = NULL;
			bridge_will_catch_up(l);
		}
	}
	if (l->eased != NULL && !bridge_lane_full(l))
		lane_ease(l);
	else
		lane_free_idle(l);
}

void
bridge_lane_go_on(struct bridge_lane *l)
{
	lane_advance(l);
}

/* The answer is complete. */
static void
finish(struct bridge_call *c, const struct bridge_answer *a)
{
	struct bridge_lane *l = c->lane;

	settle(c, a);
	if (l != NULL) {
		l->running = NULL;
		bridge_will_catch_up(l);
		lane_advance(l);
	}
}

/* What the answer publishes comes first: then the sender hears of it. */

static void
on_published(struct append *a)
{
	struct bridge_call *c = a->owner;
	int err = a->err;

	append_free(a);
	if (err != SW_OK)
		bridge_answer_refuse(&c->answer, err,
		    err_info(err)->http_status, err_info(err)->sentence);
	c->answer.said = 200;
	finish(c, &c->answer);
}

/* One element of `publish`, which goes to the event's channel by default. */
static bool
read_event(struct bridge_call *c, struct append_item *item, struct str element,
    size_t n, struct refusal *f)
{
	struct draft d;
	bool good;

	draft_init(&d, 4 * element.len + (64 << 10));
	d.channel = c->event.channel;
	good = draft_read_object(&d, element, f) &&
	    draft_event(&d, c->bridge->worker, item, f);
	draft_fini(&d);
	/* What may be told twice: what comes of it happens once. */
	if (good && c->way != BRIDGE_ONCE && item->key == NULL &&
	    asprintf(&item->key, "%s.%zu", c->id, n) < 0) {
		item->key = NULL;
		good = false;
	}
	return good;
}

static size_t
count_elements(struct str array)
{
	struct json_iter it;
	struct str element;
	size_t n = 0;

	if (json_array(&it, array))
		while (json_element(&it, &element))
			n++;
	return n;
}

/* The reply has to outlast the callback that it came with. */
static int
keep_reply(struct bridge_call *c, const struct bridge_answer *a)
{
	struct str data = a->data;
	int err;

	c->answer = *a;
	c->answer.publish = (struct str){ NULL, 0 };
	if ((err = buf_reserve(&c->kept, data.len + 1)) != SW_OK)
		return err;
	buf_put_str(&c->kept, data);
	/* Replies beside publishes are JSON and have no other type. */
	c->answer.data = buf_str(&c->kept);
	c->answer.content_type = (struct str){ NULL, 0 };
	return SW_OK;
}

/* SW_OK: on_published goes on. Else `a` has become a refusal. */
static int
publish(struct bridge_call *c, struct bridge_answer *a)
{
	struct worker *w = c->bridge->worker;
	size_t n = count_elements(a->publish);
	struct append *append = append_new(n);
	struct refusal f = { 503, err_info(SW_ENOMEM)->sentence };
	char detail[BRIDGE_DETAIL_MAX];
	struct json_iter it;
	struct str element;
	int err = append == NULL ? SW_ENOMEM : SW_OK;

	if (err == SW_OK && n > w->conf->batch_events_max) {
		f.detail = "there are more than batch-events-max";
		err = SW_EBACKEND;
	}
	json_array(&it, a->publish);
	for (size_t i = 0; i < n && err == SW_OK; i++) {
		json_element(&it, &element);
		/* What has no room now may have it later: a letter waits. */
		if (!read_event(c, &append->items[i], element, i, &f))
			err = f.status == 503 ? SW_EBUSY : SW_EBACKEND;
	}
	if (err == SW_OK)
		err = keep_reply(c, a);
	if (err == SW_OK) {
		append->done = on_published;
		append->owner = c;
		if ((err = worker_append(w, append)) == SW_OK)
			return SW_OK;
		f.detail = err_info(err)->sentence;
	}
	append_free(append);
	snprintf(detail, sizeof(detail),
	    "What the backend answered cannot be published: %s", f.detail);
	bridge_answer_refuse(a, err, err_info(err)->http_status, detail);
	a->said = 200;
	return err;
}

/* The backend has answered, or has not. */
static void
on_done(void *owner, const struct upstream_answer *u)
{
	struct bridge_call *c = owner;
	struct bridge_answer a;

	c->request = NULL;
	if (u->end == UPSTREAM_OK) {
		bridge_answer_read(&a, u->head.status,
		    upstream_header(&u->head, "Content-Type"), u->body,
		    c->event.content_type);
		a.head = log_head(c->bridge->worker->log);
	} else {
		int status = upstream_end_status(u->end);

		bridge_answer_refuse(&a,
		    status == 504     ? SW_ETIMEOUT :
			status == 503 ? SW_EBUSY :
					SW_EBACKEND,
		    status, upstream_end_sentence(u->end));
		/* What it has said at too great length is said all the same. */
		if (u->end == UPSTREAM_TOO_LARGE)
			a.said = u->head.status;
		else if (u->end == UPSTREAM_BROKEN)
			a.said = 502;
	}
	if (a.outcome == BRIDGE_REFUSED || count_elements(a.publish) == 0 ||
	    publish(c, &a) != SW_OK)
		finish(c, &a);
}

/*
 * Put it on the wire. It is sent again should a kept connection turn out to be
 * dead: its id says that it is the same.
 */
static int
start(struct bridge_call *c)
{
	struct worker *w = c->bridge->worker;
	const struct conf *conf = w->conf;
	struct bridge_head head;
	struct upstream_call call = {
		.ask = {
			.method = STR("POST"),
			.target = str_of(conf->bridge_path),
			.repeatable = true,
			.timeout_ms = conf->bridge_timeout_ms,
		},
		.body = c->event.data.p == NULL ? STR("") : c->event.data,
		.answer_max = (size_t)conf->message_max + INSTRUCTIONS_MAX,
		.done = on_done,
		.owner = c,
	};
	int err = bridge_head_make(&head, &c->event, loop_unix_ms(w->loop),
	    conf->bridge_secret, conf->bridge_secret_count);

	call.ask.headers = head.headers;
	call.ask.header_count = head.count;
	if (err == SW_OK)
		err = upstream_call(&c->request, w->upstream, &call);
	bridge_head_fini(&head);
	return err;
}

struct worker *
bridge_worker(const struct bridge *b)
{
	return b->worker;
}

const char *
bridge_prefix(const struct bridge *b)
{
	return b->prefix;
}

int
bridge_event_id(
    struct bridge *b, const struct bridge_event *e, char id[BRIDGE_ID_MAX])
{
	char seq[24];
	const struct str zero = { "", 1 };
	const struct str pieces[] = {
		e->user, zero, e->session, zero, e->channel, zero,
		{ seq, (size_t)snprintf(seq, sizeof(seq), "%" PRIu64, e->seq) }
	};
	uint8_t code[HMAC_SIZE];
	struct buf text;
	int err;

	if (e->kind == BRIDGE_DISCONNECT) {
		snprintf(id, BRIDGE_ID_MAX, "end_%s_%" PRIu64, b->prefix,
		    e->connection);
		return SW_OK;
	}
	if (!e->has_seq || e->session.p == NULL) {
		snprintf(
		    id, BRIDGE_ID_MAX, "evt_%s_%" PRIu64, b->prefix, ++b->next);
		return SW_OK;
	}
	if ((err = digest_hmac(code, STR("spillway.seq"), pieces,
		 sizeof(pieces) / sizeof(pieces[0]))) != SW_OK)
		return err;
	buf_init(&text, BRIDGE_ID_MAX);
	err = base64url_encode(
	    &text, (struct str){ (const char *)code, sizeof(code) });
	snprintf(id, BRIDGE_ID_MAX, "seq_%.*s", STR_ARG(buf_str(&text)));
	buf_fini(&text);
	return err;
}

/* That of a letter is the one it was stored with. */
static int
name_call(struct bridge_call *c)
{
	if (c->way != BRIDGE_STORED)
		return bridge_event_id(c->bridge, &c->event, c->id);
	if (c->event.id.len >= sizeof(c->id))
		return SW_EINVAL;
	memcpy(c->id, c->event.id.p, c->event.id.len);
	c->id[c->event.id.len] = '\0';
	return SW_OK;
}

/* One alone has room: it would not have more of it later. */
static bool
has_room(const struct bridge *b, size_t size)
{
	const struct worker *w = b->worker;

	return b->bytes == 0 ||
	    b->bytes + size <=
	    w->conf->bridge_queue_bytes / gateway_worker_count(w->gateway);
}

static int
call_new(struct bridge_call **out, struct bridge *b, const struct bridge_ask *a)
{
	const struct bridge_event *e = &a->event;
	size_t size = sizeof(**out) + e->address.len + e->channel.len +
	    e->user.len + e->session.len + e->content_type.len + e->data.len +
	    e->transport.len + e->forwarded.len;
	bool crowded = !has_room(b, size);
	struct bridge_call *c;
	char *place;
	int err;

	if (crowded && !bridge_way_lasts(a->way)) {
		METRIC_LIMIT(b->worker, LIMIT_BRIDGE_QUEUE);
		return SW_EBUSY;
	}
	if ((c = malloc(size)) == NULL)
		return SW_ENOMEM;
	*c = (struct bridge_call){
		.bridge = b,
		.lane = a->lane,
		.event = *e,
		.answered = a->answered,
		.owner = a->owner,
		.size = size,
		.way = a->way,
		.crowded = crowded,
	};
	place = c->texts;
	c->event.transport = str_keep(&place, e->transport);
	c->event.address = str_keep(&place, e->address);
	c->event.channel = str_keep(&place, e->channel);
	c->event.user = str_keep(&place, e->user);
	c->event.session = str_keep(&place, e->session);
	c->event.content_type = str_keep(&place, e->content_type);
	c->event.data = str_keep(&place, e->data);
	c->event.forwarded = str_keep(&place, e->forwarded);
	if (a->way != BRIDGE_STORED)
		c->event.time_ms = loop_unix_ms(b->worker->loop);
	buf_init(&c->kept, SIZE_MAX / 2);
	if ((err = name_call(c)) != SW_OK) {
		free(c);
		return err;
	}
	c->event.id = str_of(c->id);
	list_init(&c->waiting);
	list_append(&b->calls, &c->node);
	b->bytes += size;
	*out = c;
	return SW_OK;
}

/* Is it another's turn? What is stored has an order of its own. */
static bool
has_to_wait(const struct bridge_lane *l, const struct bridge_call *c)
{
	if (l == NULL || (l->running == NULL && !l->will.holds))
		return false;
	return (c->way != BRIDGE_QUEUED && !c->crowded) ||
	    bridge_waits_for_the_same(l, c);
}

int
bridge_tell(struct bridge *b, const struct bridge_ask *ask)
{
	struct bridge_lane *l = ask->lane;
	struct bridge_call *c;
	int err;

	if ((err = call_new(&c, b, ask)) != SW_OK)
		return err;
	if (has_to_wait(l, c)) {
		list_append(&l->waiting, &c->waiting);
		l->calls++;
		l->bytes += c->size;
		return SW_OK;
	}
	if (bridge_way_lasts(c->way)) {
		if (set_out(c))
			l->running = c;
		return SW_OK;
	}
	if ((err = start(c)) != SW_OK)
		bridge_call_free(c);
	else if (l != NULL)
		l->running = c;
	return err;
}

void
bridge_free(struct bridge *b)
{
	struct list *node;

	if (b == NULL)
		return;
	while ((node = list_shift(&b->calls)) != NULL) {
		struct bridge_call *c =
		    container_of(node, struct bridge_call, node);
		struct bridge_lane *l = c->lane;
		bool runs = l != NULL && l->running == c;

		if (c->request != NULL)
			upstream_cancel(c->request);
		list_remove(&c->waiting);
		/* Who hears of it may release the lane. */
		refuse(c, SW_ECLOSED);
		if (runs)
			l->running = NULL;
		if (l != NULL)
			lane_free_idle(l);
	}
	/* No loop turns any more: what wills wait for does not come. */
	list_each_safe (at, after, &b->lanes) {
		struct bridge_lane *l =
		    container_of(at, struct bridge_lane, node);

		bridge_will_close(l);
		lane_free_idle(l);
	}
	free(b);
}
