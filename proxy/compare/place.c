#include "proxy/compare/place.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "proxy/base/err.h"

enum { CONNECT_MS = 5000 };

/* Take the scheme off; false if it is none of ours. */
static bool
cut_scheme(struct place *p, struct str *rest)
{
	static const struct {
		const char *text;
		bool secure;
	} schemes[] = { { "http://", false }, { "https://", true },
		{ "ws://", false }, { "wss://", true } };

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t n = strlen(schemes[i].text);

		if (!str_starts_nocase(*rest, schemes[i].text))
			continue;
		p->secure = schemes[i].secure;
		*rest = (struct str){ rest->p + n, rest->len - n };
		return true;
	}
	return false;
}

/* HOST, HOST:PORT, [IPV6], [IPV6]:PORT */
static bool
read_authority(struct place *p, struct str text)
{
	struct str host = text, port = { NULL, 0 };
	const char *end;
	uint64_t number;

	if (text.len > 0 && text.p[0] == '[') {
		end = memchr(text.p, ']', text.len);
		if (end == NULL)
			return false;
		host = (struct str){ text.p + 1, (size_t)(end - text.p) - 1 };
		end++;
	} else {
		end = memchr(text.p, ':', text.len);
		end = end == NULL ? text.p + text.len : end;
		host.len = (size_t)(end - text.p);
	}
	if (end < text.p + text.len) {
		port = (struct str){ end + 1,
			text.len - (size_t)(end + 1 - text.p) };
		if (*end != ':' || str_to_u64(&number, port, 65535) != SW_OK ||
		    number == 0 || port.len > 5)
			return false;
	}
	if (host.len == 0 || host.len > PLACE_NAME_MAX)
		return false;
	snprintf(p->host, sizeof(p->host), "%.*s", STR_ARG(host));
	snprintf(p->port, sizeof(p->port), "%.*s",
	    STR_ARG(port.p != NULL ? port :
		    p->secure      ? STR("443") :
				     STR("80")));
	snprintf(p->authority, sizeof(p->authority), "%.*s", STR_ARG(text));
	return true;
}

/* They become parts of requests. */
static bool
is_plain(struct str url)
{
	for (size_t i = 0; i < url.len; i++)
		if (url.p[i] <= ' ' || url.p[i] >= 0x7f ||
		    strchr("?#@\\\"<>", url.p[i]) != NULL)
			return false;
	return true;
}

int
place_parse(struct place *out, const char *url, const char **advice)
{
	struct str rest = str_of(url), authority;
	const char *slash;

	*out = (struct place){ 0 };
	*advice = "write http://HOST:PORT or https://HOST:PORT";
	if (!is_plain(rest) || !cut_scheme(out, &rest) || rest.len == 0)
		return SW_EINVAL;
	slash = memchr(rest.p, '/', rest.len);
	authority = rest;
	if (slash != NULL)
		authority.len = (size_t)(slash - rest.p);
	if (!read_authority(out, authority))
		return SW_EINVAL;
	if (slash == NULL)
		return SW_OK;
	rest = (struct str){ slash, rest.len - authority.len };
	while (rest.len > 0 && rest.p[rest.len - 1] == '/')
		rest.len--;
	if (rest.len >= sizeof(out->base))
		return SW_EINVAL;
	snprintf(out->base, sizeof(out->base), "%.*s", STR_ARG(rest));
	return SW_OK;
}

/* 0, or why nobody can be reached there. */
static int
try(const struct addrinfo *a)
{
	struct pollfd p = { .events = POLLOUT };
	socklen_t len = sizeof(int);
	int err = 0;

	p.fd =
	    socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p.fd < 0)
		return errno;
	if (connect(p.fd, a->ai_addr, a->ai_addrlen) != 0)
		err = errno;
	if (err == EINPROGRESS) {
		err = ETIMEDOUT;
		if (poll(&p, 1, CONNECT_MS) == 1 &&
		    getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
			err = errno;
	}
	close(p.fd);
	return err;
}

int
place_find(struct place *p, struct buf *why)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all;
	int err = getaddrinfo(p->host, p->port, &hints, &all);

	if (err != 0) {
		buf_printf(why, "%s: %s", p->host, gai_strerror(err));
		return SW_EIO;
	}
	err = EADDRNOTAVAIL;
	for (const struct addrinfo *a = all; a != NULL; a = a->ai_next) {
		if ((err = try(a)) != 0)
			continue;
		memcpy(&p->addr, a->ai_addr, a->ai_addrlen);
		p->addr_len = a->ai_addrlen;
		break;
	}
	freeaddrinfo(all);
	if (err != 0)
		buf_printf(why, "%s://%s: %s", p->secure ? "https" : "http",
		    p->authority, strerror(err));
	return err == 0 ? SW_OK : SW_EIO;
}
