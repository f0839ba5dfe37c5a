#include "proxy/compare/envelope.h"

#include <inttypes.h>

#include "proxy/base/cursor.h"
#include "proxy/base/err.h"
#include "proxy/base/json.h"

static const char notices[] = "spillway.";

struct str
envelope_text(struct str raw)
{
	if (raw.len < 2 || raw.p[0] != '"' ||
	    memchr(raw.p, '\\', raw.len) != NULL)
		return (struct str){ NULL, 0 };
	return (struct str){ raw.p + 1, raw.len - 2 };
}

/* They become parts of requests: nothing but cursors. */
static struct str
read_cursor(struct str raw)
{
	struct str text = envelope_text(raw);
	struct cursor cursor;

	return text.p != NULL && cursor_parse(&cursor, text) == SW_OK ?
	    text :
	    (struct str){ NULL, 0 };
}

bool
envelope_read(struct envelope *out, struct str text)
{
	struct json_iter it;
	struct str key, value;

	*out = (struct envelope){ .id = { NULL, 0 } };
	if (!json_object(&it, text))
		return false;
	while (json_member(&it, &key, &value)) {
		if (json_is(key, "id"))
			out->id = read_cursor(value);
		else if (json_is(key, "type"))
			out->type = envelope_text(value);
		else if (json_is(key, "data"))
			out->data = value;
		else if (json_is(key, "cursor"))
			out->cursor = read_cursor(value);
	}
	return true;
}

bool
envelope_is_notice(const struct envelope *e, const char *name)
{
	size_t n = sizeof(notices) - 1;

	if (e->type.p == NULL || !str_starts(e->type, notices))
		return false;
	return name == NULL ||
	    str_is((struct str){ e->type.p + n, e->type.len - n }, name);
}

/* Milliseconds with up to six places behind the point. */
static bool
read_time(uint64_t *out, struct str text)
{
	uint64_t unit = 1000000, ms;
	struct str whole;

	if (!str_cut(&text, '.', &whole) ||
	    str_to_u64(&ms, whole, UINT64_MAX / unit - 1) != SW_OK)
		return false;
	*out = ms * unit;
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] < '0' || text.p[i] > '9' || unit == 1)
			return false;
		unit /= 10;
		*out += (uint64_t)(text.p[i] - '0') * unit;
	}
	return true;
}

bool
stamp_read(struct stamp *out, struct str data)
{
	struct json_iter it;
	struct str key, value;
	bool has_number = false, has_time = false;

	*out = (struct stamp){ 0 };
	if (!json_object(&it, data))
		return false;
	while (json_member(&it, &key, &value)) {
		if (json_is(key, "n"))
			has_number =
			    str_to_u64(&out->n, value, INT64_MAX) == SW_OK &&
			    out->n > 0;
		else if (json_is(key, "t"))
			has_time = read_time(&out->sent_ns, value);
		else if (json_is(key, "run"))
			out->run = envelope_text(value);
	}
	return has_number && has_time;
}

int
stamp_put(struct buf *out, const struct stamp *s, size_t size)
{
	static const char dots[] = "................................";
	size_t begin = buf_len(out);

	buf_printf(out,
	    "{\"n\":%" PRIu64 ",\"t\":%" PRIu64 ".%06u,\"run\":\"%.*s\""
	    ",\"pad\":\"",
	    s->n, s->sent_ns / 1000000, (unsigned)(s->sent_ns % 1000000),
	    STR_ARG(s->run));
	while (buf_error(out) == SW_OK && buf_len(out) - begin + 2 < size) {
		size_t left = size - 2 - (buf_len(out) - begin);

		buf_put(out, dots,
		    left < sizeof(dots) - 1 ? left : sizeof(dots) - 1);
	}
	buf_puts(out, "\"}");
	return buf_error(out);
}
