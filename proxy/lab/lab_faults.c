/* What is wrong with a pane: requests, connections, and the rules for bytes. */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "proxy/base/err.h"
#include "proxy/http/response.h"
#include "proxy/lab/lab_private.h"
#include "proxy/stream/event_stream.h"
#include "proxy/stream/poll.h"
#include "proxy/stream/stream.h"
#include "proxy/stream/subscriber.h"
#include "proxy/stream/websocket.h"

enum { SWALLOWED_MS = 120000 };

static const char *const names[LAB_FAULTS] = {
	[LAB_REFUSE] = "refuse",
	[LAB_STRIP] = "strip",
	[LAB_SWALLOW] = "swallow",
	[LAB_TRIM] = "trim",
	[LAB_EPOCH] = "epoch",
	[LAB_MUTE] = "mute",
	[LAB_HOLD] = "hold",
	[LAB_DELAY] = "delay",
	[LAB_CAP] = "cap",
	[LAB_BLACKHOLE] = "blackhole",
	[LAB_RESET] = "reset",
	[LAB_CUT] = "cut",
	[LAB_RESTART] = "restart",
	[LAB_EXPIRE] = "expire",
};

const char *
lab_fault_name(enum lab_fault f)
{
	return names[f];
}

bool
lab_fault_find(enum lab_fault *out, struct str name)
{
	for (size_t f = 0; f < LAB_FAULTS; f++)
		if (str_is(name, names[f])) {
			*out = (enum lab_fault)f;
			return true;
		}
	*out = LAB_FAULTS;
	return str_is(name, "none");
}

const struct lab_rule *
lab_rule(const struct lab_conn *lc, enum lab_fault fault)
{
	const struct lab_rule *rule;

	if (lc->pane == NULL)
		return NULL;
	rule = &lc->pane->rules[fault];
	return rule->until_ms > loop_now_ms(lc->conn->worker->loop) &&
		(rule->transports & 1U << lc->transport) != 0 ?
	    rule :
	    NULL;
}

/* A request that nobody ever answers. */

static void
swallowed_ready(struct conn *c, uint32_t events)
{
	uint8_t scrap[4096];
	ssize_t n;

	(void)events;
	do {
		n = conn_read(c, scrap, sizeof(scrap), false);
	} while (n > 0);
	if (n != SW_EAGAIN)
		conn_close(c);
}

static const struct conn_role swallowed_role = {
	.name = "swallowed",
	.ready = swallowed_ready,
	.timeout = conn_close,
};

static void
swallow(struct conn *c)
{
	conn_set_role(c, &swallowed_role, NULL);
	conn_arm(c, loop_now_ms(c->worker->loop) + SWALLOWED_MS);
	swallowed_ready(c, EPOLLIN);
}

/* As a proxy would: no word of ours is in it. */
static void
refuse(struct conn *c, uint64_t status)
{
	static const char page[] = "<h1>Blocked by the proxy</h1>\n";
	struct buf out;

	buf_init(&out, 1 << 10);
	response_begin(&out, c->worker, (int)status, false);
	buf_printf(&out,
	    "Content-Type: text/html\r\nContent-Length: %zu\r\n\r\n%s",
	    sizeof(page) - 1, page);
	conn_say_last(c, &out);
	buf_fini(&out);
}

/* Headers for one hop do not survive a proxy that does not know them. */
static void
strip(struct request *r)
{
	size_t kept = 0;

	for (size_t i = 0; i < r->header_count; i++) {
		struct str name = r->headers[i].name;

		if (!str_is_nocase(name, "Upgrade") &&
		    !str_is_nocase(name, "Connection"))
			r->headers[kept++] = r->headers[i];
	}
	r->header_count = kept;
}

/* Which transport will it be? As stream_request.c decides, roughly. */
static enum transport_id
guess_transport(const struct request *r)
{
	const struct transport *t;
	struct str text;

	if (request_param(r, "transport", &text) &&
	    (t = transport_find(text)) != NULL)
		return t->id;
	if (request_has_token(r, "Upgrade", "websocket"))
		return TRANSPORT_WS;
	if (request_has_token(r, "Accept", "text/event-stream"))
		return TRANSPORT_SSE;
	return request_param(r, "wait", &text) ? TRANSPORT_LONG :
						 TRANSPORT_SHORT;
}

void
lab_request(struct conn *c, const struct request *r, struct str rest)
{
	struct lab_conn *lc = lab_enter(c, r);
	const struct lab_rule *rule;
	struct request stripped;

	if (lc == NULL) {
		stream_begin(c, r, rest);
		return;
	}
	lc->transport = guess_transport(r);
	lc->in_head = true;
	if (lab_rule(lc, LAB_SWALLOW) != NULL) {
		swallow(c);
	} else if ((rule = lab_rule(lc, LAB_REFUSE)) != NULL) {
		refuse(c, rule->value);
	} else if (lab_rule(lc, LAB_STRIP) != NULL) {
		stripped = *r;
		strip(&stripped);
		stream_begin(c, &stripped, rest);
	} else {
		stream_begin(c, r, rest);
	}
}

/* Was there anything behind its cursor that it will not get? */
static bool
misses_events(struct worker *w, const struct stream_request *req)
{
	bool misses = false;

	for (size_t i = 0; i < req->channel_count; i++) {
		struct channel *c =
		    channels_find(w->channels, req->channels[i]);

		misses =
		    misses || (c != NULL && channel_head(c) > req->after.seq);
		channel_unref(c);
	}
	return misses && req->after.seq < w->hub.seen;
}

enum gap_reason
lab_gap(struct conn *c, const struct stream_request *req)
{
	struct lab_conn *lc = c->in_lab ? lab_find(c->worker->lab, c) : NULL;

	if (lc == NULL || req->start != START_CURSOR)
		return GAP_NONE;
	if (lab_rule(lc, LAB_EPOCH) != NULL) {
		/* From here on it has cursors of the log that there is. */
		lc->pane->rules[LAB_EPOCH].until_ms = 0;
		return GAP_EPOCH;
	}
	return lab_rule(lc, LAB_TRIM) != NULL && misses_events(c->worker, req) ?
	    GAP_TRIMMED :
	    GAP_NONE;
}

/* Connections that there are. */

static void
reset(struct conn *c)
{
	const struct linger at_once = { .l_onoff = 1 };

	if (c->io.fd >= 0)
		setsockopt(
		    c->io.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	conn_close(c);
}

static void
end(struct conn *c, enum lab_fault fault)
{
	bool streams = c->role == &websocket_role || c->role == &sse_role ||
	    c->role == &poll_role;

	if (fault == LAB_RESET)
		reset(c);
	else if (fault == LAB_CUT)
		conn_close(c);
	else if (streams)
		subscriber_close(c->owner,
		    fault == LAB_EXPIRE ? CLOSE_EXPIRED : CLOSE_RESTART);
}

/* All that the pane has now; ending one ends no other. */
static void
end_all(struct lab *l, const struct lab_pane *p, const struct lab_break *b)
{
	list_each_safe (node, after, &l->worker->conns) {
		struct conn *c = container_of(node, struct conn, node);
		struct lab_conn *lc = c->in_lab ? lab_find(l, c) : NULL;

		if (lc != NULL && lc->pane == p &&
		    (b->transports & 1U << lc->transport) != 0)
			end(c, b->fault);
	}
}

/* Bytes that were held may go now, or others have to stay. */
static void
pump_all(struct lab *l, const struct lab_pane *p)
{
	list_each_safe (node, after, &l->worker->conns) {
		struct conn *c = container_of(node, struct conn, node);
		struct lab_conn *lc = c->in_lab ? lab_find(l, c) : NULL;

		if (lc != NULL && lc->pane == p)
			lab_wire_pump(lc);
	}
}

int
lab_break(struct lab *l, const struct lab_break *b)
{
	struct lab_pane *p = lab_get_pane(l, str_of(b->pane));

	if (p == NULL)
		return SW_ENOMEM;
	if (b->fault == LAB_FAULTS) {
		memset(p->rules, 0, sizeof(p->rules));
	} else if (b->fault >= LAB_RESET) {
		end_all(l, p, b);
		return SW_OK;
	} else {
		p->rules[b->fault] = (struct lab_rule){
			.until_ms =
			    loop_now_ms(l->worker->loop) + b->seconds * 1000,
			.value = b->value,
			.jitter = b->jitter,
			.transports = b->transports,
		};
		if (b->fault == LAB_EPOCH)
			end_all(l, p, b);
	}
	pump_all(l, p);
	return SW_OK;
}
