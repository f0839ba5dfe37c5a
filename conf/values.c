#include "conf/values.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "proxy/base/err.h"

/*
 * Units, the largest first; the list ends with the unit of 1. Of two that are
 * equal, the first is written.
 */
struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit bytes_units[] = {
	{ "g", UINT64_C(1024) * 1024 * 1024 },
	{ "G", UINT64_C(1024) * 1024 * 1024 },
	{ "m", UINT64_C(1024) * 1024 },
	{ "M", UINT64_C(1024) * 1024 },
	{ "k", 1024 },
	{ "K", 1024 },
	{ "", 1 },
};

static const struct unit msec_units[] = {
	{ "d", UINT64_C(24) * 60 * 60 * 1000 },
	{ "h", UINT64_C(60) * 60 * 1000 },
	{ "m", UINT64_C(60) * 1000 },
	{ "s", 1000 },
	{ "ms", 1 },
};

static int
refuse(struct buf *advice, const char *text)
{
	int err = buf_puts(advice, text);

	return err == SW_OK ? SW_EINVAL : err;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Cut the digits that the text begins with off it; false if there are none. */
static bool
cut_number(struct str *text, uint64_t *out)
{
	struct str digits = { text->p, 0 };

	while (digits.len < text->len && is_digit(text->p[digits.len]))
		digits.len++;
	text->p += digits.len;
	text->len -= digits.len;
	while (digits.len > 1 && *digits.p == '0') {
		digits.p++;
		digits.len--;
	}
	if (str_to_u64(out, digits, UINT64_MAX) != SW_OK)
		*out = UINT64_MAX;
	return digits.len > 0;
}

/* Multiply by the unit of that name; false if there is no such unit. */
static bool
apply_unit(uint64_t *value, const struct unit *units, struct str name)
{
	const struct unit *u = units;

	while (!str_is(name, u->name) && u->factor != 1)
		u++;
	if (!str_is(name, u->name))
		return false;
	*value =
	    *value > UINT64_MAX / u->factor ? UINT64_MAX : *value * u->factor;
	return true;
}

static int
put_with_unit(struct buf *out, uint64_t value, const struct unit *units)
{
	const struct unit *u = units;

	if (value == 0)
		return buf_puts(out, "0");
	while (value % u->factor != 0)
		u++;
	return buf_printf(
	    out, "%llu%s", (unsigned long long)(value / u->factor), u->name);
}

int
value_put_words(struct buf *out, const char *const *words)
{
	for (size_t i = 0; words[i] != NULL; i++) {
		if (i > 0)
			buf_puts(out, words[i + 1] == NULL ? " or " : ", ");
		buf_puts(out, words[i]);
	}
	return buf_error(out);
}

int
value_flag(bool *out, struct str text, struct buf *advice)
{
	if (str_is(text, "yes") || str_is(text, "true") || str_is(text, "on"))
		*out = true;
	else if (str_is(text, "no") || str_is(text, "false") ||
	    str_is(text, "off"))
		*out = false;
	else
		return refuse(advice, "write yes or no");
	return SW_OK;
}

int
value_word(unsigned *out, struct str text, const char *const *words,
    struct buf *advice)
{
	for (unsigned i = 0; words[i] != NULL; i++) {
		if (str_is(text, words[i])) {
			*out = i;
			return SW_OK;
		}
	}
	buf_puts(advice, "write ");
	value_put_words(advice, words);
	return SW_EINVAL;
}

int
value_count(uint64_t *out, struct str text, struct buf *advice)
{
	if (!cut_number(&text, out) || text.len > 0)
		return refuse(advice, "write a whole number");
	return SW_OK;
}

int
value_bytes(uint64_t *out, struct str text, struct buf *advice)
{
	if (cut_number(&text, out) && apply_unit(out, bytes_units, text))
		return SW_OK;
	return refuse(advice,
	    "write bytes as a whole number, with k, m or g behind it for "
	    "larger units, such as 512 or 64k");
}

int
value_msec(uint64_t *out, struct str text, struct buf *advice)
{
	struct str unit = text;

	if (!cut_number(&unit, out))
		goto fail;
	if (unit.len == 0 && *out == 0)
		return SW_OK;
	if (unit.len == 0) {
		buf_printf(advice,
		    "write the unit as well (ms, s, m, h or d), such as %.*ss",
		    STR_ARG(text));
		return SW_EINVAL;
	}
	if (apply_unit(out, msec_units, unit))
		return SW_OK;

fail:
	return refuse(advice,
	    "write a whole number and one unit (ms, s, m, h or d), such as "
	    "15s");
}

int
value_name(struct str text, struct buf *advice)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < text.len; i++) {
		char c = text.p[i], letter = (char)(c | 0x20);

		if ((letter < 'a' || letter > 'z') && !is_digit(c) &&
		    memchr(marks, c, sizeof(marks) - 1) == NULL)
			text.len = 0;
	}
	return text.len > 0 ?
	    SW_OK :
	    refuse(advice, "write a name of letters, digits, - and _");
}

/* What a browser makes of a host: lower case, numbers, no port left out. */
static bool
is_origin_host(struct str host)
{
	for (size_t i = 0; i < host.len; i++) {
		char c = host.p[i];

		if ((c < 'a' || c > 'z') && !is_digit(c) &&
		    memchr(".-_:[]", c, 6) == NULL)
			return false;
	}
	return host.len > 0 && host.p[host.len - 1] != ':' && host.p[0] != ':';
}

int
value_origin(struct str text, struct buf *advice)
{
	struct str host = text;
	size_t scheme = str_starts(text, "https://") ? 8 :
	    str_starts(text, "http://")              ? 7 :
						       0;

	if (str_is(text, "*"))
		return SW_OK;
	host.p += scheme;
	host.len -= scheme;
	if (scheme > 0 && is_origin_host(host))
		return SW_OK;
	return refuse(advice,
	    "write a scheme and a host in lower case, with the port if it is "
	    "not the usual one and without a path, such as "
	    "https://app.example.com");
}

static int
unix_address(struct listen_address *out, struct str path, struct buf *advice)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&out->addr;

	if (path.len == 0 || *path.p != '/')
		return refuse(advice,
		    "write unix: and an absolute path, "
		    "such as unix:/run/spillway/api");
	if (path.len >= sizeof(un->sun_path))
		return refuse(advice,
		    "write a path of at most 107 bytes: no "
		    "socket has a longer one");
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path.p, path.len);
	out->len = sizeof(*un);
	out->loopback = true;
	return SW_OK;
}

static bool
ipv4_address(struct listen_address *out, const char *host, in_port_t port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&out->addr;

	if (inet_pton(AF_INET, host, &in->sin_addr) != 1)
		return false;
	in->sin_family = AF_INET;
	in->sin_port = port;
	out->len = sizeof(*in);
	out->loopback = ntohl(in->sin_addr.s_addr) >> 24 == 127;
	return true;
}

static bool
ipv6_address(struct listen_address *out, const char *host, in_port_t port)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&out->addr;
	const struct in6_addr *a = &in6->sin6_addr;

	if (inet_pton(AF_INET6, host, &in6->sin6_addr) != 1)
		return false;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = port;
	out->len = sizeof(*in6);
	out->loopback = IN6_IS_ADDR_LOOPBACK(a) ||
	    (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127);
	return true;
}

/* The host of "host:port" and "[host]:port". */
static bool
parse_host(struct listen_address *out, struct str host, in_port_t port)
{
	char text[INET6_ADDRSTRLEN];
	bool bracketed =
	    host.len > 1 && *host.p == '[' && host.p[host.len - 1] == ']';

	if (bracketed)
		host = (struct str){ host.p + 1, host.len - 2 };
	if (host.len >= sizeof(text))
		return false;
	memcpy(text, host.p, host.len);
	text[host.len] = '\0';
	if (bracketed)
		return ipv6_address(out, text, port);
	out->any = host.len == 0;
	if (out->any)
		return ipv6_address(out, "::", port);
	return ipv4_address(
	    out, str_is(host, "localhost") ? "127.0.0.1" : text, port);
}

/* Split at the last colon outside of brackets; false without a port. */
static bool
split_port(struct str text, struct str *host, in_port_t *port)
{
	uint64_t number;
	size_t i = text.len;

	while (i > 0 && is_digit(text.p[i - 1]))
		i--;
	if (i == 0 || text.p[i - 1] != ':' ||
	    str_to_u64(&number, (struct str){ text.p + i, text.len - i },
		UINT16_MAX) != SW_OK)
		return false;
	*host = (struct str){ text.p, i - 1 };
	*port = htons((uint16_t)number);
	return true;
}

int
value_address(struct listen_address *out, struct str text, struct buf *advice)
{
	struct str host;
	in_port_t port;

	memset(out, 0, sizeof(*out));
	if (str_starts(text, "unix:"))
		return unix_address(
		    out, (struct str){ text.p + 5, text.len - 5 }, advice);
	if (!split_port(text, &host, &port))
		return refuse(advice,
		    "write a port of 0 to 65535 behind a "
		    "colon, such as 127.0.0.1:8080");
	if (parse_host(out, host, port))
		return SW_OK;
	if (host.len > 0 && *host.p != '[' &&
	    memchr(host.p, ':', host.len) != NULL)
		return refuse(advice,
		    "write an IPv6 address in brackets, "
		    "such as [::1]:8080");
	return refuse(advice,
	    "write an IP address, localhost or nothing before the port; names "
	    "are not looked up");
}

int
value_put_bytes(struct buf *out, uint64_t value)
{
	return put_with_unit(out, value, bytes_units);
}

int
value_put_msec(struct buf *out, uint64_t value)
{
	return put_with_unit(out, value, msec_units);
}
