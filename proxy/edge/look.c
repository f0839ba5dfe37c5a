#include "proxy/edge/look.h"

#include <stdlib.h>
#include <sys/epoll.h>

#include "proxy/backend/proxy.h"
#include "proxy/backend/routes.h"
#include "proxy/base/err.h"
#include "proxy/gateway.h"
#include "proxy/http/http.h"
#include "proxy/http/relay.h"
#include "proxy/http/response.h"
#include "proxy/lab/lab.h"
#include "proxy/publish/publish.h"
#include "proxy/stream/stream.h"
#include "proxy/worker.h"
#include "transports/http_head.h"

static const char stream_prefix[] = "/stream/";

/* Input that is kept; with half of it no more is read. */
enum { KEPT_MAX = 2 * WORKER_INPUT };

/* Heads are below this, nearly always. */
enum { HEAD_INPUT = 4 << 10 };

/* What one connection may have before others have their turn. */
enum { ROUNDS_PER_TURN = 64 };

/* What became of the input. */
enum outcome {
	TAKEN,  /* a request was dealt with: on to the next */
	PAUSED, /* go on when more has come, or an answer is out */
};

static void
refuse(struct conn *c, int status, const char *detail)
{
	struct buf out;

	buf_init(&out, 1 << 16);
	response_put_problem(&out, c->worker, status, detail, false);
	conn_say_last(c, &out);
	buf_fini(&out);
}

static void
refuse_head(struct conn *c)
{
	METRIC_LIMIT(c->worker, LIMIT_HEADER);
	refuse(c, 431, "See header-max.");
}

static void
arm_header(struct conn *c)
{
	conn_arm(c,
	    loop_now_ms(c->worker->loop) + c->worker->conf->header_timeout_ms);
}

/* Until its next request, if it takes the answers to those before. */
static void
arm_idle(struct conn *c)
{
	conn_arm_behind_answer(c, c->worker->conf->idle_timeout_ms);
}

/* Keep input for later; true unless memory ran out. */
static bool
stash(struct conn *c, const uint8_t *p, size_t n)
{
	if (n == 0)
		return true;
	if (c->in == NULL) {
		c->in = malloc(sizeof(*c->in));
		if (c->in == NULL)
			return false;
		/* What a relay leaves may be more. */
		buf_init(c->in, n > KEPT_MAX ? n : KEPT_MAX);
	}
	return buf_put(c->in, p, n) == SW_OK;
}

static bool
is_stream(const struct conn *c, const struct request *r, struct str *rest)
{
	size_t n = sizeof(stream_prefix) - 1;

	if (c->listener != LISTENER_PUBLIC || r->method != METHOD_GET ||
	    r->path.len <= n || memcmp(r->path.p, stream_prefix, n) != 0)
		return false;
	*rest = (struct str){ r->path.p + n, r->path.len - n };
	return true;
}

/*
 * Read a head. One that only the backend may be asked for is read with all that
 * HTTP/1.1 has; if it turns out to be somebody else's, the library judges it.
 */
static enum head_result
read_head(struct conn *c, struct request *r, struct str bytes)
{
	enum head_result result = head_parse(r, bytes);

	if (result != HEAD_OTHER || c->listener != LISTENER_PUBLIC ||
	    !routes_exist(c->worker->routes))
		return result;
	result = head_parse_any(r, bytes);
	return result == HEAD_OK && !proxy_takes(c, r) ? HEAD_OTHER : result;
}

/* Everything that the first look does not do itself. */
static void
hand_over(struct conn *c, uint8_t *bytes, size_t n)
{
	/* Whatever it is: a request that is a pane's says so again. */
	if (c->in_lab)
		lab_leave(c);
	if (c->fresh)
		http_adopt(c);
	else
		relay_begin(c, bytes, n);
}

/*
 * Do answers come first, or do they wait for the client to read them? Who asks
 * and asks without reading would have us keep them all.
 */
static bool
waits(const struct conn *c)
{
	return c->answers > 0 || conn_pending(c);
}

/*
 * Deal with the request at `bytes`, whose head is in `r`; `*used` tells how
 * much of the input it took.
 */
static enum outcome
dispatch(struct conn *c, const struct request *r, uint8_t *bytes, size_t n,
    size_t *used)
{
	size_t head = r->head_size;
	struct str rest, body = { (char *)bytes + head, n - head };

	if (is_stream(c, r, &rest)) {
		/* Answers leave in the order of the requests. */
		if (waits(c)) {
			*used = 0;
			return PAUSED;
		}
		*used = n;
		if (!stash(c, bytes + head, n - head)) {
			conn_close(c);
			return PAUSED;
		}
		METRIC_ADD(c->worker->metrics.fast_requests, 1);
		loop_clear_timer(&c->timer);
		stream_open(c, r, rest);
		return TAKEN;
	}
	if (c->in_lab)
		lab_leave(c);
	if (proxy_takes(c, r)) {
		if (waits(c)) {
			*used = 0;
			return PAUSED;
		}
		*used = n;
		if (!stash(c, bytes + head, n - head)) {
			conn_close(c);
			return PAUSED;
		}
		loop_clear_timer(&c->timer);
		proxy_open(c, r);
		return TAKEN;
	}
	*used = 0;
	if (c->listener == LISTENER_API && publish_matches(r, &rest)) {
		switch (publish_take(c, r, rest, body)) {
		case PUBLISH_TAKEN:
			*used = head + (size_t)r->content_length;
			return TAKEN;
		case PUBLISH_REFUSED:
			*used = n - head < r->content_length ?
			    n :
			    head + (size_t)r->content_length;
			return TAKEN;
		case PUBLISH_BODY:
			*used = n;
			return PAUSED;
		case PUBLISH_WAIT:
			return PAUSED;
		case PUBLISH_OTHER:
			break;
		}
	}
	if (c->answers > 0)
		return PAUSED;
	*used = n;
	hand_over(c, bytes, n);
	return PAUSED;
}

/* One request after the other, as far as they are whole. */
static void
consume(struct conn *c, uint8_t *bytes, size_t n)
{
	enum outcome outcome = TAKEN;

	/* Only TLS brings it here: its bytes cannot be left in the socket. */
	if (!c->worker->conf->first_look && n > 0 && c->answers == 0) {
		hand_over(c, bytes, n);
		return;
	}
	while (n > 0 && outcome == TAKEN && !c->closed && !c->close_after &&
	    c->role == &look_role) {
		struct request r;
		size_t used = 0;

		switch (read_head(c, &r, (struct str){ (char *)bytes, n })) {
		case HEAD_OK:
			c->in_head = false;
			if (r.head_size > c->worker->conf->header_max) {
				refuse_head(c);
				return;
			}
			outcome = dispatch(c, &r, bytes, n, &used);
			break;
		case HEAD_MORE:
			if (n > c->worker->conf->header_max) {
				refuse_head(c);
				return;
			}
			outcome = PAUSED;
			/* Once for all of it: more bytes buy no more time. */
			if (c->answers == 0 && !c->in_head) {
				c->in_head = true;
				arm_header(c);
			}
			break;
		case HEAD_OTHER:
			outcome = PAUSED;
			if (c->answers > 0)
				break;
			used = n;
			hand_over(c, bytes, n);
			break;
		}
		bytes += used;
		n -= used;
	}
	if (n > 0 && !c->closed && !c->close_after && c->role == &look_role &&
	    !stash(c, bytes, n))
		conn_close(c);
}

/*
 * Nothing of the connection was read yet: only look, so that the library can
 * have all of it.
 */
static void
peek(struct conn *c)
{
	struct worker *w = c->worker;
	ssize_t n = conn_read(c, w->input, WORKER_INPUT, true);
	struct request r;
	enum head_result result;
	struct str rest;

	if (n == SW_EAGAIN)
		return;
	if (n <= 0) {
		conn_close(c);
		return;
	}
	if (!w->conf->first_look) {
		hand_over(c, NULL, 0);
		return;
	}
	result = read_head(c, &r, (struct str){ (char *)w->input, (size_t)n });
	if (result == HEAD_MORE) {
		c->in_head = true;
		if (c->half_open)
			conn_close(c);
		else if ((size_t)n > w->conf->header_max)
			refuse_head(c);
		return;
	}
	if (result == HEAD_OTHER ||
	    (!is_stream(c, &r, &rest) && !proxy_takes(c, &r) &&
		(c->listener != LISTENER_API || !publish_matches(&r, &rest)))) {
		hand_over(c, NULL, 0);
		return;
	}
	/* It is ours from here on. */
	c->fresh = false;
	c->readable = true;
}

/* The client sends nothing more, but may still wait for answers. */
static void
end_of_input(struct conn *c)
{
	if (c->answers > 0)
		c->close_after = true;
	else if (conn_pending(c))
		conn_linger_for_answer(c);
	else
		conn_close(c);
}

/* May more be read? A head is always below this. */
static bool
has_room(const struct conn *c)
{
	return c->in == NULL || buf_len(c->in) <= KEPT_MAX - WORKER_INPUT;
}

/*
 * As much as there is, since many requests may wait; but of large bodies little
 * more than the head, so that they are read right to where they stay.
 */
static ssize_t
read_input(struct conn *c)
{
	return conn_read(
	    c, c->worker->input, c->large ? HEAD_INPUT : WORKER_INPUT, false);
}

/*
 * Input that was kept. Behind a request that is answered there may be a whole
 * one, else it takes what has come since.
 */
static void
continue_kept(struct conn *c, bool resumed)
{
	struct buf *in = c->in;
	struct worker *w = c->worker;
	bool more = !resumed && c->readable && has_room(c);
	ssize_t n = 0;

	c->in = NULL;
	if (more) {
		n = read_input(c);
		if (n == 0)
			end_of_input(c);
		else if (n == SW_ECLOSED ||
		    (n > 0 && buf_put(in, w->input, (size_t)n) != SW_OK))
			conn_close(c);
	}
	if (!c->closed && c->role == &look_role)
		consume(c, buf_head(in), buf_len(in));
	buf_fini(in);
	free(in);
}

static void
read_new(struct conn *c)
{
	struct worker *w = c->worker;
	ssize_t n = read_input(c);

	if (n > 0)
		consume(c, w->input, (size_t)n);
	else if (n == 0)
		end_of_input(c);
	else if (n != SW_EAGAIN)
		conn_close(c);
}

/* Is there anything that can be gone on with? */
static bool
has_input(const struct conn *c, bool resumed)
{
	if (c->closed || c->role != &look_role || c->close_after)
		return false;
	return (c->readable && has_room(c)) || (resumed && c->in != NULL);
}

/* A request was answered, the next one waits: meanwhile no time is running. */
static void
put_off(struct conn *c)
{
	c->unfinished = true;
	loop_clear_timer(&c->timer);
	list_append(&c->worker->unfinished, &c->timer.node);
}

static void
look_at(struct conn *c, bool resumed)
{
	struct worker *w = c->worker;
	struct conn *before = w->looking;
	int rounds = 0;

	w->looking = c;
	c->unfinished = false;
	while (has_input(c, resumed)) {
		/* Who asks as fast as we answer would have us for itself. */
		if (rounds++ >= ROUNDS_PER_TURN && resumed) {
			put_off(c);
			break;
		}
		if (c->fresh)
			peek(c);
		else if (c->in != NULL)
			continue_kept(c, resumed);
		else
			read_new(c);
		/* A poll that was answered at once: its successor is next. */
		resumed = c->resumed;
		c->resumed = false;
	}
	w->looking = before;
}

bool
look_turn(struct worker *w)
{
	struct list due, *node;

	list_init(&due);
	list_splice(&due, &w->unfinished);
	while ((node = list_shift(&due)) != NULL) {
		struct conn *c = container_of(node, struct conn, timer.node);

		if (c->answers == 0)
			arm_idle(c);
		look_at(c, true);
	}
	return !list_empty(&w->unfinished);
}

void
look_resume(struct conn *c, bool keep_alive)
{
	if (c->closed)
		return;
	if (!keep_alive) {
		conn_linger_for_answer(c);
		return;
	}
	if (c->role != &look_role)
		conn_set_role(c, &look_role, NULL);
	if (c->answers == 0)
		arm_idle(c);
	/* Its end was announced already: read it. */
	if (c->half_open)
		c->readable = true;
	/* Without the first look the library gets the next one whole. */
	if (!c->worker->conf->first_look && c->in == NULL && c->tls == NULL)
		c->fresh = true;
	if (c->worker->looking == c)
		c->resumed = true;
	else
		look_at(c, true);
}

static void
look_ready(struct conn *c, uint32_t events)
{
	bool waited = conn_pending(c);
	size_t queued = conn_queued(c);

	if ((events & EPOLLOUT) != 0 && waited && conn_flush(c) == SW_ECLOSED) {
		conn_close(c);
		return;
	}
	/* It takes its time, and takes it: but not for its next head. */
	if (conn_queued(c) < queued && c->answers == 0 && !c->in_head)
		arm_idle(c);
	/* The end of the stream is read like everything else. */
	if (c->half_open)
		c->readable = true;
	look_at(c, c->unfinished || (waited && !conn_pending(c)));
}

/* Has a request begun? On a fresh connection it is still in the socket. */
static bool
has_begun(struct conn *c)
{
	uint8_t byte;

	return c->in != NULL || (c->fresh && conn_read(c, &byte, 1, true) > 0);
}

static void
look_timeout(struct conn *c)
{
	if (c->answers > 0) {
		arm_header(c); /* it waits for us */
	} else if (conn_pending(c)) {
		METRIC_LIMIT(c->worker, LIMIT_STALL_TIMEOUT);
		conn_close(c);
	} else if (!has_begun(c)) {
		METRIC_LIMIT(c->worker, LIMIT_IDLE_TIMEOUT);
		conn_close(c);
	} else {
		METRIC_LIMIT(c->worker, LIMIT_HEADER_TIMEOUT);
		refuse(
		    c, 408, "The head was not complete within header-timeout.");
	}
}

const struct conn_role look_role = {
	.name = "look",
	.ready = look_ready,
	.timeout = look_timeout,
};

void
look_begin(struct worker *w, int fd, const struct address *peer,
    enum listener_kind kind)
{
	struct conn *c;

	if (conn_open(&c, w, fd, peer, kind, &look_role) != SW_OK) {
		gateway_dismiss(w->gateway, peer);
		return;
	}
	METRIC_ADD(w->metrics.accepted, 1);
	arm_header(c);
}

void
look_take(struct conn *c)
{
	/* What is behind the handshake may have been read with it. */
	c->fresh = false;
	c->readable = true;
	conn_set_role(c, &look_role, NULL);
	arm_header(c);
	look_at(c, false);
}
