#include "tests/bench/dialect.h"

#include <stdio.h>
#include <string.h>

static const char upgrade[] = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
			      "Sec-WebSocket-Version: 13\r\n"
			      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

static void
put_accepts(struct buf *out, enum wants wants)
{
	if (wants == WS)
		buf_puts(out, upgrade);
	else if (wants == SSE)
		buf_puts(out, "Accept: text/event-stream\r\n");
}

static void
subscribe_spillway(struct buf *out, const struct subscription *s)
{
	/* Raw WebSocket messages have no ids. */
	const char *format = s->wants == WS && s->resumes ? "json" : "raw";

	buf_printf(
	    out, "GET /stream/%s-%04x?format=%s", s->run, s->channel, format);
	if (s->wants == LONG)
		buf_puts(out, "&wait=25");
	if (s->wants >= LONG && s->resumes)
		buf_puts(out, "&limit=1000");
	if (s->cursor->text[0] != '\0')
		buf_printf(out, "&after=%s", s->cursor->text);
	buf_puts(out, " HTTP/1.1\r\nHost: bench\r\n");
	put_accepts(out, s->wants);
	buf_puts(out, "\r\n");
}

/* Its polls go on with header lines, its streams with a parameter. */
static void
subscribe_nchan(struct buf *out, const struct subscription *s)
{
	buf_printf(out, "GET /%s?c=%s-%04x",
	    s->wants == SHORT ? "short" : "sub", s->run, s->channel);
	if (s->wants < LONG && s->cursor->text[0] != '\0')
		buf_printf(out, "&last_event_id=%s", s->cursor->text);
	buf_puts(out, " HTTP/1.1\r\nHost: bench\r\n");
	put_accepts(out, s->wants);
	if (s->wants == WS && s->resumes)
		buf_puts(out, "Sec-WebSocket-Protocol: ws+meta.nchan\r\n");
	if (s->wants >= LONG)
		buf_puts(out, s->cursor->text);
	buf_puts(out, "\r\n");
}

void
dialect_subscribe(struct buf *out, const struct subscription *s)
{
	switch (s->dialect) {
	case SPILLWAY:
		subscribe_spillway(out, s);
		break;
	case NCHAN:
		subscribe_nchan(out, s);
		break;
	case LIMIT:
		buf_printf(out, "GET /%c/%04x/%08x HTTP/1.1\r\n\r\n",
		    "wslp"[s->wants], s -> channel, s -> seq);
		break;
	}
}

void
dialect_publish(struct buf *out, enum dialect d, const char *run,
    uint32_t channel, size_t size)
{
	if (d == LIMIT) {
		buf_printf(
		    out, "POST /%04x/%08zx HTTP/1.1\r\n\r\n", channel, size);
		return;
	}
	buf_puts(out, "POST ");
	if (d == SPILLWAY)
		buf_printf(out, "/v1/channels/%s-%04x/events", run, channel);
	else
		buf_printf(out, "/pub?c=%s-%04x", run, channel);
	buf_printf(out,
	    " HTTP/1.1\r\nHost: bench\r\nContent-Type: text/plain\r\n"
	    "Content-Length: %zu\r\n\r\n",
	    size);
}

void
dialect_publish_lines(struct buf *out, enum dialect d, size_t size)
{
	/* The limit only acknowledges what is for the last of its channels. */
	if (d == LIMIT) {
		dialect_publish(out, d, "", 0xffff, size);
		return;
	}
	buf_printf(out,
	    "POST /v1/events HTTP/1.1\r\nHost: bench\r\n"
	    "Content-Type: application/x-ndjson\r\nContent-Length: %zu\r\n\r\n",
	    size);
}

void
dialect_line(
    struct buf *out, const char *run, uint32_t channel, struct str payload)
{
	buf_printf(out, "{\"channel\":\"%s-%04x\",\"data\":\"", run, channel);
	buf_put_str(out, payload);
	buf_puts(out, "\"}\n");
}

/* The value of a header, of any case. */
static struct str
header(struct str head, const char *name)
{
	size_t len = strlen(name);
	struct str line;

	while (str_cut(&head, '\n', &line))
		if (line.len > len && line.p[len] == ':' &&
		    strncasecmp(line.p, name, len) == 0)
			return str_trim((struct str){ line.p + len + 1,
			    line.len - len - 1 -
				(line.p[line.len - 1] == '\r') });
	return (struct str){ NULL, 0 };
}

size_t
reply_read(struct reply *out, const uint8_t *p, size_t n)
{
	const char *text = (const char *)p;
	const char *end = memmem(p, n, "\r\n\r\n", 4);
	uint64_t length;
	size_t head;

	if (end == NULL)
		return 0;
	head = (size_t)(end - text) + 4;
	out->head = (struct str){ text, head - 2 };
	out->status = 0;
	if (head > 12 && memcmp(text, "HTTP/1.1 ", 9) == 0)
		out->status = (unsigned)(text[9] - '0') * 100 +
		    (unsigned)(text[10] - '0') * 10 +
		    (unsigned)(text[11] - '0');
	/* Any other framing is none that this program knows. */
	if (str_to_u64(&length, header(out->head, "Content-Length"),
		UINT32_MAX) != SW_OK) {
		out->status = 0;
		length = 0;
	}
	if (n - head < length)
		return 0;
	out->body = (struct str){ text + head, (size_t)length };
	return head + (size_t)length;
}

static void
cursor_set(struct cursor *c, struct str value)
{
	if (value.len == 0 || value.len >= sizeof(c->text))
		return;
	memcpy(c->text, value.p, value.len);
	c->text[value.len] = '\0';
}

/* What stands between `before` and the next `end`; nothing if there is none. */
static struct str
between(struct str text, const char *before, char end)
{
	size_t len = strlen(before);
	const char *p = memmem(text.p, text.len, before, len);
	const char *stop;

	if (p == NULL)
		return (struct str){ NULL, 0 };
	p += len;
	stop = memchr(p, end, text.len - (size_t)(p - text.p));
	return (struct str){ p, stop == NULL ? 0 : (size_t)(stop - p) };
}

void
cursor_of_reply(struct cursor *c, enum dialect d, const struct reply *r)
{
	struct str etag, modified;

	if (d == SPILLWAY)
		cursor_set(c, between(r->body, "\"cursor\":\"", '"'));
	if (d != NCHAN)
		return;
	etag = header(r->head, "Etag");
	modified = header(r->head, "Last-Modified");
	if (etag.len > 0 && modified.len > 0)
		snprintf(c->text, sizeof(c->text),
		    "If-Modified-Since: %.*s\r\nIf-None-Match: %.*s\r\n",
		    STR_ARG(modified), STR_ARG(etag));
}

void
cursor_of_message(struct cursor *c, enum dialect d, struct str message)
{
	if (d == SPILLWAY)
		cursor_set(c, between(message, "{\"id\":\"", '"'));
	else if (d == NCHAN)
		cursor_set(c, between(message, "id: ", '\n'));
}

void
cursor_of_block(struct cursor *c, enum dialect d, struct str block)
{
	if (d != LIMIT)
		cursor_set(c, between(block, "id: ", '\n'));
}

bool
dialect_tells_gap(enum dialect d, struct str text)
{
	return d == SPILLWAY &&
	    (memmem(text.p, text.len, "spillway.gap", 12) != NULL ||
		memmem(text.p, text.len, "\"gap\":", 6) != NULL);
}
