#include "transports/request.h"

#include "proxy/base/err.h"

enum method
method_parse(struct str text)
{
	static const char *const names[] = {
		[METHOD_GET] = "GET",
		[METHOD_HEAD] = "HEAD",
		[METHOD_POST] = "POST",
		[METHOD_PUT] = "PUT",
		[METHOD_DELETE] = "DELETE",
		[METHOD_OPTIONS] = "OPTIONS",
	};

	for (int i = 0; i < METHOD_OTHER; i++)
		if (str_is(text, names[i]))
			return (enum method)i;
	return METHOD_OTHER;
}

struct str
request_header(const struct request *r, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < r->header_count; i++) {
		const struct header *h = &r->headers[i];

		/* Lengths differ more often than first letters do. */
		if (h->name.len == len &&
		    ((h->name.p[0] ^ name[0]) & 0xdf) == 0 &&
		    strncasecmp(h->name.p, name, len) == 0)
			return h->value;
	}
	return (struct str){ NULL, 0 };
}

size_t
request_header_count(const struct request *r, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < r->header_count; i++)
		n += str_is_nocase(r->headers[i].name, name);
	return n;
}

bool
request_has_token(const struct request *r, const char *name, const char *token)
{
	for (size_t i = 0; i < r->header_count; i++)
		if (str_is_nocase(r->headers[i].name, name) &&
		    str_has_token(r->headers[i].value, token))
			return true;
	return false;
}

bool
request_param(const struct request *r, const char *name, struct str *out)
{
	struct str rest = r->query, pair, key;

	while (str_cut(&rest, '&', &pair)) {
		str_cut(&pair, '=', &key);
		if (!str_is(key, name))
			continue;
		*out = pair.p == NULL ? STR("") : pair;
		return true;
	}
	return false;
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int
percent_decode(struct buf *out, struct str text, bool plus)
{
	int err = SW_OK;

	for (size_t i = 0; i < text.len && err == SW_OK; i++) {
		char c = text.p[i];

		if (c == '%') {
			bool whole = text.len - i > 2;
			int high = whole ? hex(text.p[i + 1]) : -1;
			int low = whole ? hex(text.p[i + 2]) : -1;

			if (high < 0 || low < 0 || (high == 0 && low == 0))
				return SW_EINVAL;
			c = (char)(high << 4 | low);
			i += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		err = buf_put(out, &c, 1);
	}
	return err;
}

bool
percent_plain(struct str *text, char *room, size_t size)
{
	struct buf out;
	bool ok;

	if (text->len == 0 || memchr(text->p, '%', text->len) == NULL)
		return true;
	buf_init(&out, size);
	ok = percent_decode(&out, *text, false) == SW_OK;
	if (ok) {
		memcpy(room, buf_head(&out), buf_len(&out));
		*text = (struct str){ room, buf_len(&out) };
	}
	buf_fini(&out);
	return ok;
}

bool
host_valid(struct str host)
{
	/* RFC 3986 3.2.2 and 3.2.3; a comma would be two of them, joined. */
	static const char marks[] = "-._~%!$&'()*+;=:[]";

	for (size_t i = 0; i < host.len; i++) {
		char c = host.p[i], letter = (char)(c | 0x20);

		if ((letter < 'a' || letter > 'z') && (c < '0' || c > '9') &&
		    memchr(marks, c, sizeof(marks) - 1) == NULL)
			return false;
	}
	return true;
}
