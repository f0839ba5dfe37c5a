/*
 * Requests in the hands of the HTTP library: judged, routed, answered; or let
 * go, when what they ask for lasts.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/api/api.h"
#include "proxy/api/api_publish.h"
#include "proxy/backend/proxy.h"
#include "proxy/base/err.h"
#include "proxy/edge/look.h"
#include "proxy/http/http_private.h"
#include "proxy/http/relay.h"
#include "proxy/http/response.h"
#include "proxy/http/router.h"
#include "proxy/stream/stream.h"

void
exchange_wait(struct exchange *x)
{
	struct pending *p = container_of(x, struct pending, x);

	p->waits = true;
}

static void
pending_free(struct pending *p)
{
	if (p == NULL)
		return;
	buf_fini(&p->x.reply);
	buf_fini(&p->body);
	free(p->x.location);
	free(p->uri);
	free(p);
}

static void
resume(struct pending *p)
{
	if (list_empty(&p->node))
		return;
	list_remove(&p->node);
	MHD_resume_connection(p->connection);
	p->x.worker->http->ready = true;
}

void
http_resume_all(struct http *h)
{
	list_each_safe (node, after, &h->suspended)
		resume(container_of(node, struct pending, node));
}

void
exchange_answer(struct exchange *x, int status, const char *content_type)
{
	struct pending *p = container_of(x, struct pending, x);

	x->status = status;
	x->content_type = content_type;
	p->answered = true;
	p->waits = false;
	if (p->connection == NULL) {
		pending_free(p); /* nobody is there any more */
		return;
	}
	resume(p);
}

void
exchange_refuse(struct exchange *x, int status, const char *detail)
{
	buf_clear(&x->reply);
	problem_put(&x->reply, status, detail);
	exchange_answer(x, status, "application/problem+json");
}

void
exchange_refuse_method(struct exchange *x, const char *allow)
{
	char detail[128];

	x->allow = allow;
	snprintf(detail, sizeof(detail), "Allowed here: %s.", allow);
	exchange_refuse(x, 405, detail);
}

void
exchange_redirect(struct exchange *x, int status, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(&x->location, format, args);
	va_end(args);
	if (len < 0) {
		x->location = NULL;
		exchange_refuse(x, 503, err_info(SW_ENOMEM)->sentence);
		return;
	}
	exchange_answer(x, status, "text/plain; charset=utf-8");
}

/* What browsers need to know before a page may read the answer. */
static void
add_origin(struct MHD_Response *r, const struct exchange *x)
{
	struct str allowed = origin_allowed(x->origin, &x->request);
	char text[512];

	if (origin_varies(x->origin, x->worker->conf))
		MHD_add_response_header(r, "Vary", "Origin");
	if (allowed.p == NULL || allowed.len >= sizeof(text))
		return;
	snprintf(text, sizeof(text), "%.*s", STR_ARG(allowed));
	MHD_add_response_header(r, "Access-Control-Allow-Origin", text);
	if (x->origin == ORIGIN_LISTED)
		MHD_add_response_header(
		    r, "Access-Control-Allow-Credentials", "true");
	if (!x->preflight) {
		MHD_add_response_header(
		    r, "Access-Control-Expose-Headers", origin_exposed);
		return;
	}
	MHD_add_response_header(
	    r, "Access-Control-Allow-Methods", origin_methods);
	MHD_add_response_header(
	    r, "Access-Control-Allow-Headers", origin_headers);
	snprintf(text, sizeof(text), "%d", ORIGIN_MAX_AGE_S);
	MHD_add_response_header(r, "Access-Control-Max-Age", text);
}

static void
add_headers(struct MHD_Response *r, const struct exchange *x, bool close)
{
	const struct conf *conf = x->worker->conf;
	char text[32];

	MHD_add_response_header(r, "Content-Type", x->content_type);
	MHD_add_response_header(
	    r, "Cache-Control", x->cache != NULL ? x->cache : "no-store");
	if (x->etag != NULL)
		MHD_add_response_header(r, "ETag", x->etag);
	if (x->coding != NULL)
		MHD_add_response_header(r, "Content-Encoding", x->coding);
	if (x->varies != NULL)
		MHD_add_response_header(r, "Vary", x->varies);
	/* What we say that it is: never what it may look like. */
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	if (x->policy != NULL)
		MHD_add_response_header(
		    r, "Content-Security-Policy", x->policy);
	/* RFC 6797 7.2: over plain HTTP nobody would believe it. */
	if (conf->hsts_age_ms > 0 && x->conn != NULL && x->conn->tls != NULL) {
		snprintf(text, sizeof(text), "max-age=%" PRIu64,
		    conf->hsts_age_ms / 1000);
		MHD_add_response_header(r, "Strict-Transport-Security", text);
	}
	if (x->location != NULL)
		MHD_add_response_header(r, "Location", x->location);
	if (x->allow != NULL)
		MHD_add_response_header(r, "Allow", x->allow);
	if (x->challenge != NULL || x->status == 401)
		MHD_add_response_header(r, "WWW-Authenticate",
		    x->challenge != NULL ? x->challenge : "Bearer");
	add_origin(r, x);
	if (retry_after(x->status) > 0) {
		snprintf(text, sizeof(text), "%u", retry_after(x->status));
		MHD_add_response_header(r, "Retry-After", text);
	}
	if (x->status == 426) {
		MHD_add_response_header(r, "Sec-WebSocket-Version", "13");
		MHD_add_response_header(r, "Upgrade", "websocket");
	}
	if (close)
		MHD_add_response_header(r, "Connection", "close");
}

static struct MHD_Response *
response_of(struct exchange *x)
{
	struct MHD_Response *r;
	uint8_t *bytes;
	size_t len;

	/* The same bytes for all, however slowly they are read. */
	if (x->kept.p != NULL)
		return MHD_create_response_from_buffer(x->kept.len,
		    (void *)(uintptr_t)x->kept.p, MHD_RESPMEM_PERSISTENT);
	bytes = buf_take(&x->reply, &len);
	r = MHD_create_response_from_buffer(len, bytes, MHD_RESPMEM_MUST_FREE);
	if (r == NULL)
		free(bytes);
	return r;
}

/* Give the library what the handler answered. */
static enum MHD_Result
queue_answer(struct pending *p, bool close)
{
	struct exchange *x = &p->x;
	struct MHD_Response *r;
	enum MHD_Result result;

	METRIC_ADD(x->worker->metrics.http_requests, 1);
	/* Memory ran out on the way: half an answer is worse than none. */
	if (buf_error(&x->reply) != SW_OK)
		return MHD_NO;
	r = response_of(x);
	if (r == NULL)
		return MHD_NO;
	add_headers(r, x, close || x->worker->draining);
	result = MHD_queue_response(p->connection, (unsigned)x->status, r);
	MHD_destroy_response(r);
	if (p->lent != NULL)
		http_answer_begins(p->lent);
	return result;
}

static uint64_t
bytes_taken(const struct lent *l, const struct conn *c, int fd)
{
	return l->relayed ? relay_taken(c, fd) : http_bytes_taken(fd);
}

/*
 * The connection leaves the library, which is told so by MHD_NO; the socket
 * lives on as a duplicate. What the library has read beyond this request is
 * lost with it, so if that cannot be ruled out the connection ends with the
 * answer, and the client asks again (RFC 9112 9.3.2).
 */
static struct conn *
take_away(struct pending *p, uint64_t body)
{
	struct lent *l = p->lent;
	struct conn *c = l->conn;
	struct request *r = &p->x.request;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
	    p->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	int fd;

	METRIC_ADD(c->worker->metrics.http_requests, 1);
	l->conn = NULL;
	if (bytes_taken(l, c, info->connect_fd) !=
	    l->consumed + r->head_size + body) {
		r->keep_alive = false;
		r->overread = true;
	}
	if (l->relayed) {
		if (relay_end(c, info->connect_fd) != SW_OK)
			return NULL;
	} else {
		c->owner = NULL;
		fd = fcntl(info->connect_fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0) {
			c->lent_fd = -1;
			conn_close(c);
			return NULL;
		}
		conn_set_role(c, &look_role, NULL);
		if (conn_take_back(c, fd) != SW_OK)
			return NULL;
	}
	c->fresh = false;
	return c;
}

static void
leave(struct pending *p, struct str rest)
{
	struct conn *c = take_away(p, 0);

	if (c != NULL)
		stream_open(c, &p->x.request, rest);
}

/*
 * The same for the backend, with what the library has read of the body. One in
 * chunks it has read to its end, and there is no telling how long that was.
 */
static void
pass_on(struct pending *p, struct str body)
{
	struct request *r = &p->x.request;
	struct conn *c = take_away(p, body.len);
	struct buf *in;

	if (c == NULL)
		return;
	if (r->chunked) {
		r->chunked = false;
		r->has_length = true;
		r->content_length = body.len;
		r->keep_alive = false;
	}
	if (body.len > 0) {
		in = malloc(sizeof(*in));
		if (in == NULL) {
			conn_close(c);
			return;
		}
		buf_init(in, SIZE_MAX / 2);
		buf_put_str(in, body);
		if (c->in != NULL) {
			buf_put_str(in, buf_str(c->in));
			buf_fini(c->in);
			free(c->in);
		}
		c->in = in;
		if (buf_error(in) != SW_OK) {
			conn_close(c);
			return;
		}
	}
	proxy_open(c, r);
}

static enum MHD_Result
refuse_at_once(struct pending *p, int status, const char *detail)
{
	exchange_refuse(&p->x, status, detail);
	return queue_answer(p, true);
}

/* A batch is for the API, and what is proxied is the backend's to judge. */
static bool
takes_batches(const struct pending *p)
{
	return p->proxied || p->x.conn->listener == LISTENER_API;
}

static size_t
body_limit(const struct pending *p)
{
	const struct conf *conf = p->x.worker->conf;

	return takes_batches(p) && conf->batch_max > conf->message_max ?
	    (size_t)conf->batch_max :
	    (size_t)conf->message_max;
}

/* What it is above of, if it is above body_limit. */
static enum limit
limit_of_body(const struct pending *p)
{
	return p->proxied ||
		(takes_batches(p) && str_is(p->x.request.path, "/v1/events")) ?
	    LIMIT_BATCH :
	    LIMIT_MESSAGE;
}

static void
refuse_large(struct pending *p)
{
	struct exchange *x = &p->x;
	enum limit l = limit_of_body(p);
	const char *detail = l == LIMIT_BATCH ?
	    "The body is above batch-max." :
	    "The body is above message-max.";

	METRIC_LIMIT(x->worker, l);
	if (x->conn->listener == LISTENER_API && api_publishes(&x->request))
		api_publish_refuse(x, 413, detail);
	else
		exchange_refuse(x, 413, detail);
}

/*
 * Whatever the body says, the head is not let in: then nothing of the body is
 * asked for, or kept.
 */
static bool
is_turned_away(const struct exchange *x)
{
	const struct request *r = &x->request;

	return (r->chunked || r->content_length > 0) &&
	    x->conn->listener == LISTENER_API &&
	    api_authorize(x->conn, r) != SW_OK;
}

static enum MHD_Result
begin(
    struct pending *p, const char *url, const char *method, const char *version)
{
	static const char stream_prefix[] = "/stream/";
	struct exchange *x = &p->x;
	struct conn *c = p->lent->conn;
	const char *fault = http_read_request(&p->x.request, p->connection,
	    p->x.worker->http->heads_in_place, p->uri, url, method, version);
	size_t n = sizeof(stream_prefix) - 1;

	p->begun = true;
	p->lent->pending = p;
	x->conn = c;
	loop_clear_timer(&c->timer);
	if (fault != NULL)
		return refuse_at_once(p, 400, fault);
	if (x->request.head_size > x->worker->conf->header_max) {
		METRIC_LIMIT(x->worker, LIMIT_HEADER);
		return refuse_at_once(p, 431, "See header-max.");
	}
	if (c->listener == LISTENER_PUBLIC &&
	    (x->request.method == METHOD_GET ||
		x->request.method == METHOD_HEAD) &&
	    x->request.path.len > n &&
	    memcmp(x->request.path.p, stream_prefix, n) == 0) {
		if (x->request.content_length > 0 ||
		    request_header(&x->request, "Transfer-Encoding").p != NULL)
			return refuse_at_once(
			    p, 400, "A GET of a stream has no body.");
		leave(p,
		    (struct str){
			x->request.path.p + n, x->request.path.len - n });
		return MHD_NO;
	}
	p->proxied = proxy_takes(c, &x->request);
	if (p->proxied && !x->request.chunked &&
	    x->request.content_length == 0) {
		pass_on(p, (struct str){ NULL, 0 });
		return MHD_NO;
	}
	if (c->listener == LISTENER_PUBLIC &&
	    str_starts(x->request.path, stream_prefix))
		x->origin = origin_judge(x->worker->conf, &x->request);
	if (is_turned_away(x)) {
		router_handle(x);
		return queue_answer(p, true);
	}
	if (!p->proxied && x->request.content_length > body_limit(p)) {
		refuse_large(p);
		return queue_answer(p, true);
	}
	buf_init(&p->body, body_limit(p));
	conn_arm(c,
	    loop_now_ms(x->worker->loop) + x->worker->conf->request_timeout_ms);
	return MHD_YES;
}

static enum MHD_Result
take_body(struct pending *p, const char *data, size_t *size)
{
	if (p->proxied && !p->x.request.chunked) {
		pass_on(p, (struct str){ data, *size });
		return MHD_NO;
	}
	/* What is too large is still read, up to a point, to be answered. */
	if (p->failed)
		p->x.request.content_length += *size;
	else if (buf_put(&p->body, data, *size) != SW_OK)
		p->failed = true;
	*size = 0;
	return p->x.request.content_length > 2 * body_limit(p) ? MHD_NO :
								 MHD_YES;
}

static enum MHD_Result
complete(struct pending *p)
{
	struct exchange *x = &p->x;

	if (p->answered)
		return queue_answer(p, !x->request.keep_alive);
	loop_clear_timer(&x->conn->timer);
	if (p->failed) {
		if (buf_error(&p->body) == SW_ELIMIT)
			refuse_large(p);
		else
			exchange_refuse(x, 503, err_info(SW_ENOMEM)->sentence);
		return queue_answer(p, true);
	}
	x->body = buf_str(&p->body);
	if (p->proxied) {
		pass_on(p, x->body);
		return MHD_NO;
	}
	router_handle(x);
	if (p->answered)
		return queue_answer(p, !x->request.keep_alive);
	list_append(&x->worker->http->suspended, &p->node);
	MHD_suspend_connection(p->connection);
	return MHD_YES;
}

enum MHD_Result
http_on_request(void *ctx, struct MHD_Connection *connection, const char *url,
    const char *method, const char *version, const char *data, size_t *size,
    void **request_ctx)
{
	struct http *h = ctx;
	struct pending *p = *request_ctx;
	const union MHD_ConnectionInfo *info;

	if (p == NULL || h->stopping)
		return MHD_NO; /* NULL: memory ran out */
	if (!p->begun) {
		info = MHD_get_connection_info(
		    connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
		p->lent = info->socket_context;
		p->connection = connection;
		p->x.worker = h->worker;
		if (p->lent->conn == NULL)
			return MHD_NO; /* closed on our side */
		return begin(p, url, method, version);
	}
	if (p->x.conn == NULL)
		return MHD_NO;
	return *size > 0 ? take_body(p, data, size) : complete(p);
}

/* The request line, before anything is unescaped. */
void *
http_on_uri(void *ctx, const char *uri, struct MHD_Connection *connection)
{
	struct pending *p = calloc(1, sizeof(*p));

	(void)ctx;
	(void)connection;
	if (p == NULL)
		return NULL;
	list_init(&p->node);
	buf_init(&p->x.reply, SIZE_MAX / 2);
	p->uri = strdup(uri);
	if (p->uri == NULL) {
		free(p);
		return NULL;
	}
	return p;
}

void
http_on_completed(void *ctx, struct MHD_Connection *connection,
    void **request_ctx, enum MHD_RequestTerminationCode why)
{
	struct pending *p = *request_ctx;

	(void)ctx;
	(void)connection;
	(void)why;
	*request_ctx = NULL;
	if (p == NULL)
		return;
	if (p->lent != NULL) {
		p->lent->pending = NULL;
		p->lent->answering = false;
		p->lent->served = true;
	}
	if (p->lent != NULL && p->lent->conn != NULL) {
		struct conn *c = p->lent->conn;

		/*
		 * As much as was its own: what the library has taken off the
		 * socket by now may have some of the next request in it.
		 */
		p->lent->consumed +=
		    p->x.request.head_size + p->x.request.content_length;
		conn_arm(c,
		    loop_now_ms(c->worker->loop) +
			c->worker->conf->idle_timeout_ms);
	}
	p->connection = NULL;
	p->x.conn = NULL;
	/* A handler that still works on it frees it with its answer. */
	if (!p->waits)
		pending_free(p);
}
