#include "transports/sse.h"

#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "transports/codec.h"

/* The first `c` from `p` on, or `end`. */
static const char *
find(const char *p, const char *end, char c)
{
	const char *at = p == end ? NULL : memchr(p, c, (size_t)(end - p));

	return at == NULL ? end : at;
}

int
sse_put_data(struct buf *out, struct str text)
{
	const char *p = text.p, *end, *lf, *eol;

	if (text.len == 0) {
		buf_puts(out, "data: \n");
		return buf_error(out);
	}
	end = p + text.len;
	lf = find(p, end, '\n');
	for (;;) {
		/* Each LF is looked for once, however many CR stand before. */
		if (lf < p)
			lf = find(p, end, '\n');
		eol = find(p, lf, '\r');
		buf_put(out, "data: ", 6);
		buf_put(out, p, (size_t)(eol - p));
		buf_put(out, "\n", 1);
		if (eol == end)
			return buf_error(out);
		p = eol +
		    (eol[0] == '\r' && eol + 1 < end && eol[1] == '\n' ? 2 : 1);
	}
}

static int
put_raw_data(struct buf *out, const struct event *e)
{
	struct str data = event_data(e);
	size_t n = BASE64_LENGTH(data.len);
	int err;

	if (e->kind != EVENT_BINARY)
		return sse_put_data(out, data);
	if ((err = buf_reserve(out, n + 8)) != SW_OK)
		return err;
	buf_put(out, "data: ", 6);
	base64_encode((char *)buf_tail(out), data.p, data.len);
	buf_commit(out, n);
	return buf_put(out, "\n", 1);
}

static int
put_envelope(struct buf *out, const struct epoch *epoch, const struct event *e)
{
	struct buf envelope;
	int err;

	buf_init(&envelope, out->max);
	err = envelope_put(&envelope, epoch, e);
	if (err == SW_OK)
		err = sse_put_data(out, buf_str(&envelope));
	buf_fini(&envelope);
	return err;
}

bool
sse_is_line(struct str text)
{
	return text.len > 0 && memchr(text.p, '\n', text.len) == NULL &&
	    memchr(text.p, '\r', text.len) == NULL;
}

int
sse_begin(struct buf *out, const struct epoch *epoch, const struct event *e)
{
	struct str type = event_type(e);

	buf_puts(out, "id: ");
	cursor_put(out, epoch, e->id);
	buf_put(out, "\n", 1);
	if (type.len > 0) {
		buf_puts(out, "event: ");
		buf_put_str(out, type);
		buf_put(out, "\n", 1);
	}
	return buf_error(out);
}

int
sse_encode(
    struct buf *out, const struct epoch *epoch, const struct event *e, bool raw)
{
	int err = sse_begin(out, epoch, e);

	if (err == SW_OK)
		err = raw ? put_raw_data(out, e) : put_envelope(out, epoch, e);
	if (err != SW_OK)
		return err;
	buf_put(out, "\n", 1);
	return buf_error(out);
}

int
sse_put_preamble(struct buf *out, uint64_t retry_ms, bool padding)
{
	enum { PADDING = 2048 };
	int err;

	buf_put(out, ":", 1);
	if (padding) {
		if ((err = buf_reserve(out, PADDING)) != SW_OK)
			return err;
		memset(buf_tail(out), ' ', PADDING);
		buf_commit(out, PADDING);
	}
	buf_puts(out, "\nretry: ");
	buf_put_u64(out, retry_ms);
	buf_put(out, "\n", 1);
	return buf_error(out);
}
