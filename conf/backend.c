#include "conf/backend.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include "proxy/base/err.h"

enum { WEIGHT_MAX = 1000 };

static int
refuse(struct buf *advice, const char *sentence)
{
	buf_puts(advice, sentence);
	return SW_EINVAL;
}

static bool
is_v6(struct str s)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr scrap;

	if (s.len >= sizeof(text))
		return false;
	memcpy(text, s.p, s.len);
	text[s.len] = '\0';
	return inet_pton(AF_INET6, text, &scrap) == 1;
}

/* host, host:port, [v6]:port */
static bool
is_authority(struct str s)
{
	struct str port = s;
	const char *colon;
	uint64_t number;

	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];

		if ((c < '0' || c > '9') && (c < 'a' || c > 'z') &&
		    (c < 'A' || c > 'Z') && strchr(".-_:[]", c) == NULL)
			return false;
	}
	if (s.len == 0 || s.p[0] == ':' || s.p[0] == '-')
		return false;
	if (s.p[0] != '[' &&
	    (memchr(s.p, '[', s.len) != NULL ||
		memchr(s.p, ']', s.len) != NULL))
		return false;
	if (s.p[0] == '[') {
		colon = memchr(s.p, ']', s.len);
		if (colon == NULL ||
		    !is_v6((struct str){ s.p + 1, (size_t)(colon - s.p) - 1 }))
			return false;
		port.p = colon + 1;
		port.len = s.len - (size_t)(port.p - s.p);
		if (port.len == 0)
			return true;
		if (port.p[0] != ':')
			return false;
		port.p++;
		port.len--;
	} else {
		colon = memchr(s.p, ':', s.len);
		if (colon == NULL)
			return true;
		port.p = colon + 1;
		port.len = s.len - (size_t)(port.p - s.p);
	}
	return port.len > 0 && str_to_u64(&number, port, 65535) == SW_OK &&
	    number > 0;
}

static int
take_place(struct backend_origin *out, struct str place, struct buf *advice)
{
	size_t scheme = str_starts(place, "https://") ? 8 :
	    str_starts(place, "http://")              ? 7 :
							0;

	if (str_starts(place, "unix:")) {
		out->socket_path = (struct str){ place.p + 5, place.len - 5 };
		out->url = STR("http://localhost");
		out->host = STR("localhost");
		if (out->socket_path.len == 0 || out->socket_path.p[0] != '/')
			return refuse(advice,
			    "write unix: and an absolute path, such as "
			    "unix:/run/app.sock");
		if (out->socket_path.len >=
		    sizeof(((struct sockaddr_un *)NULL)->sun_path))
			return refuse(advice,
			    "write a path of at most 107 bytes: no socket has "
			    "a longer one");
		return SW_OK;
	}
	/* A slash at the end says nothing. */
	if (scheme > 0 && place.len > scheme && place.p[place.len - 1] == '/')
		place.len--;
	out->url = place;
	out->host = (struct str){ place.p + scheme, place.len - scheme };
	if (scheme == 0 || !is_authority(out->host))
		return refuse(advice,
		    "write where the backend is, without a path, such as "
		    "http://127.0.0.1:3000, https://app.example.com or "
		    "unix:/run/app.sock");
	return SW_OK;
}

int
value_backend(struct backend_origin *out, struct str text, struct buf *advice)
{
	static const char weight[] = "weight=";
	struct str place, rest = text;
	int err;

	*out = (struct backend_origin){ .weight = 1 };
	if (!str_cut(&rest, ' ', &place))
		place = (struct str){ "", 0 };
	if ((err = take_place(out, place, advice)) != SW_OK)
		return err;
	rest = str_trim(rest);
	if (rest.len == 0)
		return SW_OK;
	if (str_starts(rest, weight)) {
		rest.p += sizeof(weight) - 1;
		rest.len -= sizeof(weight) - 1;
		if (str_to_u64(&out->weight, rest, WEIGHT_MAX) == SW_OK &&
		    out->weight > 0)
			return SW_OK;
	}
	return refuse(advice,
	    "write weight=N behind the address, with N from 1 to 1000, or "
	    "nothing");
}
