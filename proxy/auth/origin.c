#include "proxy/auth/origin.h"

const char origin_refusal[] =
    "Pages of this origin may not use the gateway, which knows its own by "
    "their Host: the operator names others in allow-origin, or has the proxy "
    "on the way pass on the Host.";

const char origin_exposed[] = "Retry-After, WWW-Authenticate";
const char origin_methods[] = "GET, POST";
const char origin_headers[] =
    "Authorization, Content-Type, Last-Event-ID, Prefer, Cache-Control";

/*
 * Does the Origin name the host that was asked? The scheme cannot be told where
 * a proxy ends TLS; and a page that somebody on the way has replaced is not
 * what Origin defends against.
 */
static bool
is_same(struct str origin, struct str host)
{
	size_t n = str_starts(origin, "https://") ? 8 :
	    str_starts(origin, "http://")         ? 7 :
						    0;

	return n > 0 && host.len > 0 && origin.len - n == host.len &&
	    strncasecmp(origin.p + n, host.p, host.len) == 0;
}

enum origin
origin_judge(const struct conf *conf, const struct request *r)
{
	struct str origin = request_header(r, "Origin");
	bool any = false;

	if (origin.p == NULL)
		return ORIGIN_NONE;
	if (request_header_count(r, "Origin") > 1)
		return ORIGIN_FOREIGN;
	if (is_same(origin, request_header(r, "Host")))
		return ORIGIN_SAME;
	for (size_t i = 0; i < conf->allow_origin_count; i++) {
		/* No origin is called so, whatever somebody sends. */
		if (strcmp(conf->allow_origin[i], "*") == 0)
			any = true;
		else if (str_is(origin, conf->allow_origin[i]))
			return ORIGIN_LISTED;
	}
	return any ? ORIGIN_ANY : ORIGIN_FOREIGN;
}

struct str
origin_allowed(enum origin o, const struct request *r)
{
	if (o == ORIGIN_LISTED)
		return request_header(r, "Origin");
	if (o == ORIGIN_ANY)
		return STR("*");
	return (struct str){ NULL, 0 };
}

void
origin_put(struct buf *out, enum origin o, const struct conf *conf,
    const struct request *r)
{
	struct str allowed = origin_allowed(o, r);

	if (origin_varies(o, conf))
		buf_puts(out, "Vary: Origin\r\n");
	if (allowed.p == NULL)
		return;
	buf_puts(out, "Access-Control-Allow-Origin: ");
	buf_put_str(out, allowed);
	/* Never together with "*". */
	if (o == ORIGIN_LISTED)
		buf_puts(out, "\r\nAccess-Control-Allow-Credentials: true");
	buf_puts(out, "\r\nAccess-Control-Expose-Headers: ");
	buf_puts(out, origin_exposed);
	buf_puts(out, "\r\n");
}

bool
origin_is_name_of_others(struct str host)
{
	static const char local[] = ".localhost";
	size_t n = sizeof(local) - 1, dots = 0, digits = 0;

	/* None comes from no browser; an IPv6 address stands in brackets. */
	if (host.len == 0 || host.p[0] == '[')
		return false;
	for (size_t i = 0; i < host.len && host.p[i] != ':'; i++) {
		dots += host.p[i] == '.';
		digits += host.p[i] >= '0' && host.p[i] <= '9';
		if (i + 1 == host.len || host.p[i + 1] == ':')
			host.len = i + 1;
	}
	if (dots + digits == host.len)
		return false; /* an IPv4 address, as browsers write it */
	return dots > 0 &&
	    (host.len < n ||
		!str_is_nocase(
		    (struct str){ host.p + host.len - n, n }, local));
}
