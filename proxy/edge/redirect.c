#include "proxy/edge/redirect.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "conf/values.h"
#include "proxy/base/err.h"
#include "proxy/worker.h"

enum { HTTPS_PORT = 443 };

/* 0: no clients connect there by TCP. */
static unsigned
port_of(const char *address)
{
	struct listen_address a;
	struct buf advice;
	in_port_t port = 0;

	buf_init(&advice, 1024);
	if (value_address(&a, str_of(address), &advice) == SW_OK)
		port = a.addr.ss_family == AF_INET ?
		    ((struct sockaddr_in *)&a.addr)->sin_port :
		    a.addr.ss_family == AF_INET6 ?
		    ((struct sockaddr_in6 *)&a.addr)->sin6_port :
		    0;
	buf_fini(&advice);
	return ntohs(port);
}

static unsigned
https_port(const struct conf *conf)
{
	unsigned port = (unsigned)conf->redirect_port;

	for (size_t i = 0; i < conf->listen_tls_count && port == 0; i++)
		port = port_of(conf->listen_tls[i]);
	return port == 0 ? HTTPS_PORT : port;
}

/* Without a port, which is that of http. */
static struct str
name_of(struct str host)
{
	const char *from = host.p, *colon;

	/* An IPv6 address has colons of its own, in brackets. */
	if (host.len > 0 && host.p[0] == '[') {
		from = memchr(host.p, ']', host.len);
		if (from == NULL)
			return (struct str){ NULL, 0 };
	}
	colon = memchr(from, ':', (size_t)(host.p + host.len - from));
	if (colon != NULL)
		host.len = (size_t)(colon - host.p);
	return host;
}

/* A token is of base64url alone (RFC 8555 8.3): not `..`, no more slashes. */
bool
redirect_excepts(const struct request *r)
{
	static const char directory[] = "/.well-known/acme-challenge/";
	static const char of_tokens[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
					"abcdefghijklmnopqrstuvwxyz"
					"0123456789-_";
	size_t begin = sizeof(directory) - 1;

	if (!str_starts(r->path, directory) || r->path.len == begin)
		return false;
	for (size_t i = begin; i < r->path.len; i++)
		if (memchr(of_tokens, r->path.p[i], sizeof(of_tokens) - 1) ==
		    NULL)
			return false;
	return true;
}

void
redirect_handle(struct exchange *x)
{
	const struct request *r = &x->request;
	struct str host = request_header(r, "Host"), query = r->query;
	/* There are clients that know no 308, but they can only read. */
	bool reads = r->method == METHOD_GET || r->method == METHOD_HEAD;
	unsigned port = https_port(x->worker->conf);
	char number[16] = "";

	if (host.len > 0)
		host = name_of(host);
	if (host.len == 0 || r->path.len == 0 || r->path.p[0] != '/') {
		exchange_refuse(x, 400,
		    "This port sends everybody to https: name the host in a "
		    "Host header, and ask for a path.");
		return;
	}
	if (port != HTTPS_PORT)
		snprintf(number, sizeof(number), ":%u", port);
	exchange_redirect(x, reads ? 301 : 308, "https://%.*s%s%.*s%s%.*s",
	    STR_ARG(host), number, STR_ARG(r->path), query.p == NULL ? "" : "?",
	    STR_ARG(query));
}
