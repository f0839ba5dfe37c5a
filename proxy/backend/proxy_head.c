#include "proxy/backend/proxy_head.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/err.h"
#include "proxy/base/network.h"
#include "proxy/http/response.h"
#include "proxy/worker.h"

static const char forwarded_prefix[] = "X-Forwarded-Prefix";

/* The version is that of what was received (RFC 9110 7.6.3). */
static const char *
via(bool http_1_0)
{
	return http_1_0 ? "1.0 spillway" : "1.1 spillway";
}

/* Is it about this connection, or its framing, alone? */
static bool
is_hop_by_hop(struct str name)
{
	static const char *const names[] = { "Connection", "Keep-Alive",
		"Proxy-Connection", "Proxy-Authorization", "TE", "Trailer",
		"Transfer-Encoding", "Upgrade", "HTTP2-Settings", "Expect",
		"Content-Length" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_is_nocase(name, names[i]))
			return true;
	return false;
}

/* Does a Connection header say that it is for one hop? Never of Host. */
static bool
is_nominated(const struct header *headers, size_t count, struct str name)
{
	struct str list, item;

	if (str_is_nocase(name, "Host"))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (!str_is_nocase(headers[i].name, "Connection"))
			continue;
		list = headers[i].value;
		while (str_cut(&list, ',', &item)) {
			item = str_trim(item);
			if (item.len == name.len &&
			    strncasecmp(item.p, name.p, item.len) == 0)
				return true;
		}
	}
	return false;
}

/* What says where a request comes from: anybody could have written it. */
static bool
tells_origin(struct str name)
{
	return str_starts_nocase(name, "X-Forwarded-") ||
	    str_is_nocase(name, "Forwarded") ||
	    str_is_nocase(name, "X-Real-IP");
}

/*
 * Does this hop alone have it? A trusted proxy means us to pass on what it says
 * of its client, and it is the client who may have written Connection.
 */
static bool
ends_here(const struct request *r, struct str name)
{
	return is_hop_by_hop(name) ||
	    (!tells_origin(name) &&
		is_nominated(r->headers, r->header_count, name));
}

/*
 * CGI and its heirs turn a dash into an underscore, so that X_Forwarded_For is
 * X-Forwarded-For to them: no name with one passes.
 */
static bool
passes(const struct request *r, struct str name, bool trust)
{
	return !ends_here(r, name) && memchr(name.p, '_', name.len) == NULL &&
	    (trust || !tells_origin(name)) && !str_is_nocase(name, "Via") &&
	    !str_is_nocase(name, "X-Forwarded-For") &&
	    !str_is_nocase(name, "Forwarded");
}

/* Does the configuration say what becomes of that header? */
static bool
is_edited(char *const *edits, size_t count, struct str name)
{
	struct str edited, value;

	for (size_t i = 0; i < count; i++) {
		header_split(edits[i], &edited, &value);
		if (edited.len == name.len &&
		    strncasecmp(edited.p, name.p, name.len) == 0)
			return true;
	}
	return false;
}

/* All values of a header so far, with a comma behind them. */
static void
put_earlier(struct buf *out, const struct request *r, const char *name)
{
	for (size_t i = 0; i < r->header_count; i++) {
		if (!str_is_nocase(r->headers[i].name, name) ||
		    r->headers[i].value.len == 0)
			continue;
		buf_put_str(out, r->headers[i].value);
		buf_puts(out, ", ");
	}
}

/* The address without its port; "unknown" for a Unix socket (RFC 7239 6). */
static struct str
host_of(const struct address *a, char text[ADDRESS_TEXT])
{
	const char *colon;

	if (a->family == AF_UNIX || a->family == 0)
		return STR("unknown");
	address_print(a, text);
	colon = strrchr(text, ':');
	return (struct str){ text, (size_t)(colon - text) };
}

static struct str
without_brackets(struct str host)
{
	return host.p[0] == '[' ? (struct str){ host.p + 1, host.len - 2 } :
				  host;
}

/* Values that were added, in their order; the text may move until then. */
struct addition {
	const char *name;
	size_t start, end;
};

enum { ADDITIONS_MAX = 6 };

static void
add(struct forwarded *f, struct addition *a, const char *name, size_t start)
{
	a->name = name;
	a->start = start;
	a->end = buf_len(&f->text);
}

static void
put_forwarded(
    struct forwarded *f, struct str ip, const char *proto, struct str host)
{
	bool v6 = ip.p[0] == '[';

	buf_printf(&f->text, "for=%s%.*s%s;proto=%s", v6 ? "\"" : "",
	    STR_ARG(ip), v6 ? "\"" : "", proto);
	if (host.len > 0)
		buf_printf(&f->text, ";host=\"%.*s\"", STR_ARG(host));
}

struct str
forwarded_upgrade(const struct route *route, const struct request *r)
{
	/* HTTP/1.0 has none, and what follows a body is hard to tell. */
	if (r->http_1_0 || r->chunked || r->content_length > 0 ||
	    !request_has_token(r, "Connection", "upgrade"))
		return (struct str){ NULL, 0 };
	for (size_t i = 0; i < route->upgrade_count; i++)
		if (request_has_token(r, "Upgrade", route->upgrade[i]))
			return str_of(route->upgrade[i]);
	return (struct str){ NULL, 0 };
}

bool
response_upgrades(const struct upstream_head *h, struct str upgrade)
{
	struct str got = upstream_header(h, "Upgrade");

	return h->status == 101 && got.p != NULL && got.len == upgrade.len &&
	    strncasecmp(got.p, upgrade.p, got.len) == 0;
}

/* The headers of the route's own. */
static void
add_edits(struct forwarded *f, const struct route *route)
{
	for (size_t i = 0; i < route->request_header_count; i++) {
		struct header *h = &f->headers[f->count];

		header_split(route->request_header[i], &h->name, &h->value);
		f->count += h->value.len > 0;
	}
}

bool
method_is_repeatable(struct str method)
{
	static const char *const methods[] = { "GET", "HEAD", "OPTIONS", "PUT",
		"DELETE" };

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (str_is(method, methods[i]))
			return true;
	return false;
}

int
target_init(
    struct target *t, const struct request *r, const struct route *route)
{
	size_t n = route->strip_prefix ? route_prefix(route) : 0;

	t->made = NULL;
	t->prefix = (struct str){ r->path.p, n };
	t->text = (struct str){ r->path.p + n, r->path.len - n };
	if (r->query.p != NULL)
		t->text.len += 1 + r->query.len; /* it is right behind */
	if (n < r->path.len)
		return SW_OK;
	/* All of the path was taken, and every path has a slash. */
	if (asprintf(&t->made, "/%.*s", STR_ARG(t->text)) < 0) {
		t->made = NULL;
		return SW_ENOMEM;
	}
	t->text = str_of(t->made);
	return SW_OK;
}

void
target_fini(struct target *t)
{
	free(t->made);
}

/* What the next hop should know; how many that are. */
static size_t
add_ours(struct forwarded *f, struct addition added[ADDITIONS_MAX],
    const struct conn *c, const struct request *r, bool trust,
    struct str prefix)
{
	const char *proto = c->tls != NULL ? "https" : "http";
	struct str host = request_header(r, "Host"), ip;
	char address[ADDRESS_TEXT];
	size_t n = 0, at = 0;

	ip = host_of(&c->peer, address);
	if (trust)
		put_earlier(&f->text, r, "X-Forwarded-For");
	buf_put_str(&f->text, without_brackets(ip));
	add(f, &added[n++], "X-Forwarded-For", at);
	at = buf_len(&f->text);
	if (trust)
		put_earlier(&f->text, r, "Forwarded");
	put_forwarded(f, ip, proto, host);
	add(f, &added[n++], "Forwarded", at);
	at = buf_len(&f->text);
	if (!trust || request_header(r, "X-Forwarded-Proto").p == NULL) {
		buf_puts(&f->text, proto);
		add(f, &added[n++], "X-Forwarded-Proto", at);
		at = buf_len(&f->text);
	}
	if (host.len > 0 &&
	    (!trust || request_header(r, "X-Forwarded-Host").p == NULL)) {
		buf_put_str(&f->text, host);
		add(f, &added[n++], "X-Forwarded-Host", at);
		at = buf_len(&f->text);
	}
	if (prefix.len > 0) {
		/* One that a proxy of ours has taken away stood before it. */
		if (trust)
			buf_put_str(
			    &f->text, request_header(r, forwarded_prefix));
		buf_put_str(&f->text, prefix);
		add(f, &added[n++], forwarded_prefix, at);
		at = buf_len(&f->text);
	}
	put_earlier(&f->text, r, "Via");
	buf_puts(&f->text, via(r->http_1_0));
	add(f, &added[n++], "Via", at);
	return n;
}

/* Those of them that the route does not say itself. */
static void
take_ours(struct forwarded *f, const struct addition *added, size_t n,
    const struct route *route)
{
	for (size_t i = 0; i < n; i++) {
		if (is_edited(route->request_header,
			route->request_header_count, str_of(added[i].name)))
			continue;
		f->headers[f->count++] = (struct header){
			.name = str_of(added[i].name),
			.value = { buf_str(&f->text).p + added[i].start,
			    added[i].end - added[i].start },
		};
	}
}

int
forwarded_init(struct forwarded *f, const struct conn *c,
    const struct request *r, const struct route *route, struct str prefix,
    struct str upgrade)
{
	const struct conf *conf = c->worker->conf;
	bool trust = networks_have(
	    conf->trusted_proxy, conf->trusted_proxy_count, &c->peer);
	struct addition added[ADDITIONS_MAX];

	f->count = 0;
	buf_init(&f->text, 1 << 20);
	for (size_t i = 0; i < r->header_count; i++)
		if (passes(r, r->headers[i].name, trust) &&
		    !is_edited(route->request_header,
			route->request_header_count, r->headers[i].name) &&
		    (prefix.len == 0 ||
			!str_is_nocase(r->headers[i].name, forwarded_prefix)))
			f->headers[f->count++] = r->headers[i];
	take_ours(f, added, add_ours(f, added, c, r, trust, prefix), route);
	add_edits(f, route);
	if (upgrade.p != NULL) {
		f->headers[f->count++] =
		    (struct header){ STR("Connection"), STR("Upgrade") };
		f->headers[f->count++] =
		    (struct header){ STR("Upgrade"), upgrade };
	}
	return buf_error(&f->text) == SW_OK ? SW_OK : SW_ENOMEM;
}

void
forwarded_fini(struct forwarded *f)
{
	buf_fini(&f->text);
}

static void
put_framing(
    struct buf *out, const struct upstream_head *h, enum framing framing)
{
	switch (framing) {
	case FRAMING_NONE:
		/* What the body of a GET would have had. */
		if (h->status == 204 || !h->has_length)
			break;
		/* fall through */
	case FRAMING_LENGTH:
		buf_puts(out, "Content-Length: ");
		buf_put_u64(out, h->content_length);
		buf_puts(out, "\r\n");
		break;
	case FRAMING_CHUNKS:
		buf_puts(out, "Transfer-Encoding: chunked\r\n");
		break;
	case FRAMING_CLOSE:
		break;
	}
}

static void
put_edits(struct buf *out, const struct route *route)
{
	struct str name, value;

	for (size_t i = 0; i < route->response_header_count; i++) {
		header_split(route->response_header[i], &name, &value);
		if (value.len > 0)
			buf_printf(out, "%.*s: %.*s\r\n", STR_ARG(name),
			    STR_ARG(value));
	}
}

void
response_put_head(struct buf *out, struct worker *w, const struct route *route,
    const struct upstream_head *h, enum framing framing, bool keep_alive)
{
	bool dated = upstream_header(h, "Date").p != NULL;

	buf_printf(
	    out, "HTTP/1.1 %d %s\r\n", h->status, status_reason(h->status));
	if (!dated)
		buf_printf(out, "Date: %s\r\n", worker_date(w));
	for (size_t i = 0; i < h->header_count; i++) {
		struct str name = h->headers[i].name;

		if (is_hop_by_hop(name) ||
		    is_nominated(h->headers, h->header_count, name) ||
		    is_edited(route->response_header,
			route->response_header_count, name))
			continue;
		buf_put_str(out, name);
		buf_puts(out, ": ");
		buf_put_str(out, h->headers[i].value);
		buf_puts(out, "\r\n");
	}
	put_edits(out, route);
	buf_printf(out, "Via: %s\r\n", via(h->http_1_0));
	put_framing(out, h, framing);
	if (h->status == 101)
		buf_printf(out, "Connection: Upgrade\r\nUpgrade: %.*s\r\n",
		    STR_ARG(upstream_header(h, "Upgrade")));
	else if (!keep_alive)
		buf_puts(out, "Connection: close\r\n");
	buf_puts(out, "\r\n");
}
