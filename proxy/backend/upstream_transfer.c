/*
 * One request in libcurl's hands: how it is asked for, and what comes back,
 * judged before anybody sees it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/backend/upstream_private.h"
#include "proxy/base/err.h"
#include "proxy/base/field.h"

/*
 * Memory of one request, in either direction. With more, libcurl's buffers are
 * large enough for malloc to tidy up whenever one is freed.
 */
enum { TRANSFER_BUFFER = 32 << 10 };

/* End it with a reason of ours. */
static void
judge(struct upstream_request *r, enum upstream_end end, const char *detail)
{
	if (r->judged)
		return;
	r->judged = true;
	r->end = end;
	r->detail = detail;
}

static void
broken(struct upstream_request *r, const char *detail)
{
	judge(r, UPSTREAM_BROKEN, detail);
}

/* How long the backend may take for its next step. */
static uint64_t
step_ms(const struct upstream_request *r)
{
	return r->state == REQUEST_TUNNEL ? r->times.tunnel_ms :
	    r->has_head                   ? r->times.idle_ms :
					    r->times.response_ms;
}

void
transfer_arm(struct upstream_request *r)
{
	struct loop *loop = r->upstream->worker->loop;

	loop_set_timer(loop, &r->timer, loop_now_ms(loop) + step_ms(r));
}

/* It is there, and its time to take what it is sent begins. */
static void
hear(struct upstream_request *r)
{
	headway_begin(&r->headway, loop_lived_ms(r->upstream->worker->loop));
}

/*
 * A backend that vanished seems to take what it is sent, and its time would
 * begin again with each piece.
 */
static bool
takes_nothing(struct upstream_request *r)
{
	return headway_missing_ms(&r->headway, upstream_sockets_of(r),
		   loop_lived_ms(r->upstream->worker->loop)) >= step_ms(r);
}

/* The connection has a time of its own, which libcurl keeps. */
void
transfer_connects(struct upstream_request *r)
{
	struct upstream *u = r->upstream;

	loop_set_timer(u->worker->loop, &r->timer,
	    loop_now_ms(u->worker->loop) +
		u->route->backend_connect_timeout_ms + r->times.response_ms);
}

/* It is there, TLS included, and the request is about to go. */
static int
on_connection(void *ctx, char *peer, char *own, int peer_port, int own_port)
{
	struct upstream_request *r = ctx;

	(void)own;
	(void)peer_port;
	(void)own_port;
	if (r->cancelled)
		return CURL_PREREQFUNC_ABORT;
	upstream_sockets_doubt(r);
	name_led_to(r, peer);
	hear(r);
	transfer_arm(r);
	return CURL_PREREQFUNC_OK;
}

/* The head of the response, line by line. */

static bool
take_status(struct upstream_request *r, struct str line)
{
	uint64_t status;

	buf_clear(&r->head);
	r->header_count = 0;
	r->in_head = true;
	if (line.len < 12 || !str_starts(line, "HTTP/1.") ||
	    (line.p[7] != '0' && line.p[7] != '1') || line.p[8] != ' ' ||
	    str_to_u64(&status, (struct str){ line.p + 9, 3 }, 599) != SW_OK ||
	    status < 100 || (line.len > 12 && line.p[12] != ' ')) {
		broken(r, "Its status line is none of HTTP/1.1.");
		return false;
	}
	r->http_1_0 = line.p[7] == '0';
	r->status = (int)status;
	return true;
}

static bool
take_field(struct upstream_request *r, struct str line)
{
	const char *colon = memchr(line.p, ':', line.len);
	struct str name, value;

	if (colon == NULL) {
		broken(r, "A line of its head has no colon.");
		return false;
	}
	name = (struct str){ line.p, (size_t)(colon - line.p) };
	value = str_trim((struct str){ colon + 1, line.len - name.len - 1 });
	/* A folded line begins with a blank, which no token does. */
	if (!field_is_token(name) || !field_is_value(value)) {
		broken(r, "A header of it has bytes that none may have.");
		return false;
	}
	if (r->header_count == REQUEST_HEADERS_MAX) {
		broken(r, "It has too many headers.");
		return false;
	}
	r->places[r->header_count++] = (struct header_place){
		.name = buf_len(&r->head),
		.name_len = name.len,
		.value = buf_len(&r->head) + name.len,
		.value_len = value.len,
	};
	buf_put_str(&r->head, name);
	if (buf_put_str(&r->head, value) != SW_OK ||
	    buf_error(&r->head) != SW_OK) {
		broken(r, "There was no memory for its head.");
		return false;
	}
	return true;
}

struct str
upstream_header(const struct upstream_head *h, const char *name)
{
	for (size_t i = 0; i < h->header_count; i++)
		if (str_is_nocase(h->headers[i].name, name))
			return h->headers[i].value;
	return (struct str){ NULL, 0 };
}

static size_t
count_of(const struct upstream_head *h, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < h->header_count; i++)
		n += str_is_nocase(h->headers[i].name, name);
	return n;
}

/* May its length be read in one way alone? (RFC 9112 6.3) */
static const char *
framing_fault(const struct upstream_request *r, struct upstream_head *h)
{
	size_t lengths = count_of(h, "Content-Length");
	size_t codings = count_of(h, "Transfer-Encoding");

	if (lengths > 1)
		return "It has more than one Content-Length.";
	if (lengths == 1 &&
	    str_to_u64(&h->content_length, upstream_header(h, "Content-Length"),
		INT64_MAX) != SW_OK)
		return "Its Content-Length is not a number.";
	h->has_length = lengths == 1;
	if (codings > 0 && lengths > 0)
		return "It has both Content-Length and Transfer-Encoding.";
	if (codings > 1 ||
	    (codings == 1 &&
		!str_is_nocase(
		    upstream_header(h, "Transfer-Encoding"), "chunked")))
		return "It has a transfer coding other than `chunked`.";
	if (codings > 0 && r->http_1_0)
		return "HTTP/1.0 has no transfer codings.";
	return NULL;
}

static bool
end_of_head(struct upstream_request *r)
{
	struct upstream_head h = { .status = r->status,
		.http_1_0 = r->http_1_0 };
	const char *base = (const char *)buf_head(&r->head), *fault;

	r->in_head = false;
	if (r->status == 101 && !r->flow.ask.upgrade) {
		broken(r, "It switches protocols, which nobody asked for.");
		return false;
	}
	if (r->status < 200 && r->status != 101)
		return true; /* interim: the final one follows */
	for (size_t i = 0; i < r->header_count; i++) {
		const struct header_place *p = &r->places[i];

		r->parsed[i].name = (struct str){ base + p->name, p->name_len };
		r->parsed[i].value =
		    (struct str){ base + p->value, p->value_len };
	}
	h.headers = r->parsed;
	h.header_count = r->header_count;
	fault = framing_fault(r, &h);
	if (fault != NULL) {
		broken(r, fault);
		return false;
	}
	r->has_head = true;
	/* libcurl would keep it, and then send no chunks that way. */
	if (r->http_1_0)
		curl_easy_setopt(r->easy, CURLOPT_FORBID_REUSE, 1L);
	/* It lives. That the response ends, perhaps in days, says nothing. */
	if (r->only == NULL)
		origin_note(r->upstream, r->origin, false);
	if (r->status == 101) {
		if (tunnel_open(r) != SW_OK) {
			judge(r, UPSTREAM_CROWDED, "There is no descriptor.");
			return false;
		}
		request_becomes_tunnel(r);
	}
	transfer_arm(r);
	if (r->flow.settle != NULL)
		list_append(&r->upstream->headed, &r->headed_node);
	r->flow.head(r->flow.owner, &h);
	return !r->cancelled;
}

static size_t
on_header(char *p, size_t size, size_t n, void *ctx)
{
	struct upstream_request *r = ctx;
	struct str line = { p, size * n };
	size_t taken = line.len;
	bool fine;

	if (r->cancelled)
		return 0;
	r->head_bytes += line.len;
	if (r->head_bytes > r->upstream->route->backend_header_max) {
		broken(r, "Its head is above backend-header-max.");
		return 0;
	}
	if (r->has_head)
		return taken; /* trailers end here: nobody asked for them */
	while (line.len > 0 &&
	    (line.p[line.len - 1] == '\n' || line.p[line.len - 1] == '\r'))
		line.len--;
	if (!r->in_head)
		fine = take_status(r, line);
	else if (line.len == 0)
		fine = end_of_head(r);
	else
		fine = take_field(r, line);
	/* To return less than there was ends it. */
	return fine ? taken : 0;
}

static size_t
on_data(char *p, size_t size, size_t n, void *ctx)
{
	struct upstream_request *r = ctx;
	int err;

	if (r->cancelled)
		return 0;
	err = r->flow.data(r->flow.owner, p, size * n);
	if (r->cancelled)
		return 0;
	r->held = err == SW_EAGAIN;
	if (r->held)
		return CURL_WRITEFUNC_PAUSE;
	if (err != SW_OK) {
		judge(r, UPSTREAM_REFUSED, "The response is no longer wanted.");
		return 0;
	}
	hear(r);
	transfer_arm(r);
	METRIC_ADD(r->upstream->worker->metrics.upstream_received, size * n);
	return size * n;
}

static size_t
on_body(char *p, size_t size, size_t n, void *ctx)
{
	struct upstream_request *r = ctx;
	ssize_t got;

	if (r->cancelled)
		return CURL_READFUNC_ABORT;
	if (r->hung_up)
		return 0;
	if (takes_nothing(r)) {
		judge(r, UPSTREAM_TIMEOUT, "It takes nothing of what is sent.");
		return CURL_READFUNC_ABORT;
	}
	got = r->flow.body(r->flow.owner, p, size * n);
	if (r->cancelled)
		return CURL_READFUNC_ABORT;
	if (got == SW_EAGAIN) {
		/* The client is slow, not the backend: no time is running. */
		if (!r->has_head && !r->flow.ask.upgrade)
			loop_clear_timer(&r->timer);
		return CURL_READFUNC_PAUSE;
	}
	if (got < 0) {
		judge(r, UPSTREAM_REFUSED, "The request breaks off.");
		return CURL_READFUNC_ABORT;
	}
	transfer_arm(r);
	METRIC_ADD(r->upstream->worker->metrics.upstream_sent, (size_t)got);
	return (size_t)got;
}

bool
transfer_header(struct upstream_request *r, struct str line)
{
	return on_header((char *)(uintptr_t)line.p, 1, line.len, r) == line.len;
}

bool
transfer_data(struct upstream_request *r, uint8_t *p, size_t n)
{
	return on_data((char *)p, 1, n, r) == n;
}

/* Only a body that is here as a whole can be sent once more. */
static int
on_seek(void *ctx, curl_off_t offset, int whence)
{
	struct upstream_request *r = ctx;

	if (whence != SEEK_SET || r->whole == NULL || offset < 0 ||
	    (size_t)offset > r->whole->body_len)
		return CURL_SEEKFUNC_CANTSEEK;
	r->whole->sent = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

#define SET(option, value) \
	(curl_easy_setopt(r->easy, (option), (value)) == CURLE_OK)

static bool
set_method(struct upstream_request *r)
{
	curl_off_t length =
	    r->flow.has_length ? (curl_off_t)r->flow.content_length : -1;

	if (r->fresh && !SET(CURLOPT_FRESH_CONNECT, 1L))
		return false;
	if (strcmp(r->method, "HEAD") == 0)
		return SET(CURLOPT_NOBODY, 1L);
	/* The connection is the tunnel's, from its beginning to its end. */
	if (r->flow.ask.upgrade &&
	    (!SET(CURLOPT_FRESH_CONNECT, 1L) || !SET(CURLOPT_FORBID_REUSE, 1L)))
		return false;
	/*
	 * libcurl asks again on a new connection when one that was kept closes
	 * without an answer, unless that needs a body that is gone.
	 */
	if (!r->flow.ask.repeatable && (r->flow.body == NULL || length == 0) &&
	    !SET(CURLOPT_FRESH_CONNECT, 1L))
		return false;
	if (r->flow.body == NULL)
		return SET(CURLOPT_HTTPGET, 1L) &&
		    (strcmp(r->method, "GET") == 0 ||
			SET(CURLOPT_CUSTOMREQUEST, r->method));
	return SET(CURLOPT_UPLOAD, 1L) &&
	    SET(CURLOPT_CUSTOMREQUEST, r->method) &&
	    SET(CURLOPT_INFILESIZE_LARGE, length) &&
	    SET(CURLOPT_READFUNCTION, on_body) && SET(CURLOPT_READDATA, r) &&
	    SET(CURLOPT_UPLOAD_BUFFERSIZE, (long)TRANSFER_BUFFER) &&
	    (!r->flow.ask.repeatable || r->whole == NULL ||
		(SET(CURLOPT_SEEKFUNCTION, on_seek) &&
		    SET(CURLOPT_SEEKDATA, r)));
}

static bool
set_place(struct upstream_request *r)
{
	const struct route *route = r->upstream->route;

	return SET(CURLOPT_URL, r->origin->url) &&
	    SET(CURLOPT_PATH_AS_IS, 1L) &&
	    SET(CURLOPT_UNIX_SOCKET_PATH, r->origin->unix_path) &&
	    SET(CURLOPT_PROTOCOLS_STR, "http,https") &&
	    /* Whatever http_proxy may be in our environment. */
	    SET(CURLOPT_PROXY, "") &&
	    (strcmp(route->backend_ca, "system") == 0 ||
		(SET(CURLOPT_CAINFO, route->backend_ca) &&
		    SET(CURLOPT_CAPATH, NULL)));
}

/* What has passed while it waited for its turn, or tried others, is gone. */
static long
total_ms(const struct upstream_request *r)
{
	uint64_t now = loop_now_ms(r->upstream->worker->loop);

	if (r->due_ms == 0)
		return (long)r->times.total_ms;
	/* libcurl takes 0 for no limit. */
	return r->due_ms > now ? (long)(r->due_ms - now) : 1;
}

/* What is left of either for a connection. */
static uint64_t
connect_ms(const struct upstream_request *r)
{
	uint64_t most = r->upstream->route->backend_connect_timeout_ms;
	uint64_t total = (uint64_t)total_ms(r);

	return total == 0 || total > most ? most : total;
}

static bool
set_limits(struct upstream_request *r)
{
	const struct route *route = r->upstream->route;
	long resolve_s = (long)(route->backend_resolve_interval_ms / 1000);

	return SET(CURLOPT_NOSIGNAL, 1L) &&
	    /* Not to wait for the end of the thread that asks for a name. */
	    SET(CURLOPT_QUICK_EXIT, 1L) &&
	    SET(CURLOPT_CONNECTTIMEOUT_MS,
		(long)route->backend_connect_timeout_ms) &&
	    SET(CURLOPT_TIMEOUT_MS, total_ms(r)) &&
	    SET(CURLOPT_MAXAGE_CONN,
		(long)(route->backend_keep_alive_ms / 1000)) &&
	    /* A connection goes where the name has led once. */
	    SET(CURLOPT_DNS_CACHE_TIMEOUT, resolve_s) &&
	    SET(CURLOPT_MAXLIFETIME_CONN, resolve_s) &&
	    SET(CURLOPT_BUFFERSIZE, (long)TRANSFER_BUFFER);
}

static bool
set_answer(struct upstream_request *r)
{
	return SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
	    SET(CURLOPT_PREREQFUNCTION, on_connection) &&
	    SET(CURLOPT_HEADERFUNCTION, on_header) &&
	    SET(CURLOPT_WRITEFUNCTION, on_data) && upstream_sockets_prepare(r);
}

/* What is another one's with each request. */
static bool
set_own(struct upstream_request *r)
{
	return SET(CURLOPT_REQUEST_TARGET, r->target) &&
	    SET(CURLOPT_HTTPHEADER, r->headers) && SET(CURLOPT_HEADERDATA, r) &&
	    SET(CURLOPT_WRITEDATA, r) && SET(CURLOPT_SOCKOPTDATA, r) &&
	    SET(CURLOPT_PREREQDATA, r) && SET(CURLOPT_ERRORBUFFER, r->error) &&
	    SET(CURLOPT_PRIVATE, r) && name_choose(r);
}

/* One of those that differ in nothing but set_own? */
static bool
is_plain(const struct upstream_request *r)
{
	return r->flow.body == NULL && !r->flow.ask.upgrade && r->due_ms == 0 &&
	    r->times.total_ms == r->upstream->route->backend_total_timeout_ms &&
	    r->flow.ask.repeatable && !r->fresh &&
	    strcmp(r->method, "GET") == 0;
}

/* A handle that was used for the same; NULL: there is none. */
static CURL *
take_ready(struct upstream_request *r)
{
	struct upstream_origin *o = r->origin;

	if (!is_plain(r) || o->ready_count == 0)
		return NULL;
	return o->ready[--o->ready_count];
}

static bool
keep_ready(struct upstream_request *r)
{
	struct upstream_origin *o = r->origin;

	if (!is_plain(r) || !r->has_head || r->http_1_0 ||
	    r->generation != r->upstream->generation)
		return false;
	if (o->ready_count == sizeof(o->ready) / sizeof(o->ready[0]))
		return false;
	curl_easy_setopt(r->easy, CURLOPT_PRIVATE, NULL);
	curl_easy_setopt(r->easy, CURLOPT_ERRORBUFFER, NULL);
	curl_easy_setopt(r->easy, CURLOPT_SOCKOPTDATA, NULL);
	curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(r->easy, CURLOPT_CONNECT_TO, NULL);
	o->ready[o->ready_count++] = r->easy;
	return true;
}

/* What went wrong may have left something in the handle that no reset takes. */
static bool
keep_spare(struct upstream_request *r)
{
	struct upstream *u = r->upstream;

	if (!r->has_head || buf_len(&r->rescued) > 0 ||
	    u->spare_count == sizeof(u->spare) / sizeof(u->spare[0]))
		return false;
	curl_easy_reset(r->easy);
	u->spare[u->spare_count++] = r->easy;
	return true;
}

static bool
prepare(struct upstream_request *r)
{
	struct upstream *u = r->upstream;

	r->easy = take_ready(r);
	if (r->easy != NULL)
		return set_own(r);
	r->easy =
	    u->spare_count > 0 ? u->spare[--u->spare_count] : curl_easy_init();
	return r->easy != NULL && set_place(r) && set_method(r) &&
	    set_limits(r) && set_answer(r) && set_own(r);
}

int
transfer_begin(struct upstream_request *r)
{
	struct upstream *u = r->upstream;

	r->error[0] = '\0';
	r->opened = false;
	r->connect_due_ms = loop_now_ms(u->worker->loop) + connect_ms(r);
	r->generation = u->generation;
	if (!prepare(r) || library_take(r) != SW_OK)
		return SW_ENOMEM;
	transfer_connects(r);
	return SW_OK;
}

void
transfer_end(struct upstream_request *r)
{
	struct upstream *u = r->upstream;

	loop_clear_timer(&r->nudge);
	if (r->easy == NULL)
		return;
	tunnel_close(r);
	if (u->multi != NULL)
		curl_multi_remove_handle(u->multi, r->easy);
	upstream_sockets_leave(r);
	if (!keep_ready(r) && !keep_spare(r))
		curl_easy_cleanup(r->easy);
	r->easy = NULL;
}

bool
transfer_sent(const struct upstream_request *r)
{
	long sent = 0;

	curl_easy_getinfo(r->easy, CURLINFO_REQUEST_SIZE, &sent);
	return sent > 0 || r->head_bytes > 0;
}

/*
 * Could there be no connection at all? Of what we lack ourselves libcurl says
 * no more than that it failed.
 */
static const char *
find_lack(const struct upstream_request *r)
{
	long error = 0;
	int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

	if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
		METRIC_LIMIT(r->upstream->worker, LIMIT_DESCRIPTORS);
		return "There is no descriptor (see LimitNOFILE).";
	}
	if (fd >= 0)
		close(fd);
	curl_easy_getinfo(r->easy, CURLINFO_OS_ERRNO, &error);
	return error == EADDRNOTAVAIL ?
	    "All ports towards it are in use (see ip_local_port_range)." :
	    NULL;
}

static enum upstream_end
judge_attempt(struct upstream_request *r)
{
	const char *lack = find_lack(r);

	if (lack == NULL)
		return UPSTREAM_UNREACHABLE;
	r->detail = lack;
	return UPSTREAM_CROWDED;
}

enum upstream_end
transfer_judge(struct upstream_request *r, CURLcode code)
{
	if (r->judged)
		return r->end;
	r->detail = r->error[0] != '\0' ? r->error : curl_easy_strerror(code);
	switch (code) {
	case CURLE_OK:
		if (r->has_head)
			return UPSTREAM_OK;
		r->detail = "It closed the connection without a response.";
		return UPSTREAM_BROKEN;
	case CURLE_OPERATION_TIMEDOUT:
		return UPSTREAM_TIMEOUT;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
		return judge_attempt(r);
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_PEER_FAILED_VERIFICATION:
		return UPSTREAM_UNREACHABLE;
	default:
		return UPSTREAM_BROKEN;
	}
}
