/*
 * What a client asks of /stream/: the rest of the target behind that prefix,
 * and headers, as in `a,b?after=k3x9-1 HTTP/1.1\r\nAccept: x`.
 *
 * It is refused with a status that says why, or understood within its limits;
 * then a plain spelling of the same asks for the same. Cursors have one
 * spelling, and percent-escapes are reversible.
 */
#include "proxy/base/channel.h"
#include "tests/fuzz/heads.h"
#include "transports/stream_request.h"

static const struct stream_limits limits = {
	.poll_wait_ms = 25000,
	.poll_wait_max_ms = 55000,
	.poll_limit = 100,
	.poll_limit_max = 1000,
	.channels = 10,
};

static int
read_request(
    struct stream_request *s, const struct request *r, struct refusal *f)
{
	size_t prefix = strlen("/stream/");
	char *rest;
	int err;

	must(r->path.len >= prefix);
	/* Nothing behind the path may be read as a name. */
	rest =
	    fuzz_copy((struct str){ r->path.p + prefix, r->path.len - prefix });
	err = stream_request_read(
	    s, r, (struct str){ rest, r->path.len - prefix }, &limits, f);
	must(err == SW_OK || err == SW_EINVAL);
	if (err == SW_OK && s->channels == &s->one)
		s->one.p = r->path.p + prefix;
	free(rest);
	return err;
}

/* An EventSource gave what is no cursor of any log. */
static bool
is_foreign(const struct stream_request *s)
{
	return s->after.epoch.text[0] == '\0';
}

static void
check_limits(const struct stream_request *s)
{
	must(s->transport >= transports &&
	    s->transport < transports + TRANSPORT_COUNT);
	must(s->channel_count >= 1 && s->channel_count <= limits.channels);
	for (size_t i = 0; i < s->channel_count; i++) {
		must(channel_name_valid(s->channels[i]));
		for (size_t k = 0; k < i; k++)
			must(!fuzz_same(s->channels[i], s->channels[k]));
	}
	must(s->limit >= 1 && s->limit <= limits.poll_limit_max);
	must(s->wait_ms <= limits.poll_wait_max_ms);
	must(s->transport->id != TRANSPORT_LONG || s->wait_ms > 0);
	must(s->start != START_CURSOR || !is_foreign(s) ||
	    s->transport->id == TRANSPORT_SSE);
	must(s->start != START_LAST || (s->last > 0 && s->last <= 1000000));
	must(s->session.p == NULL ||
	    (s->session.len > 0 && s->session.len <= 128));
}

/* The same request as a client of ours would write it. */
static void
put_plain(struct buf *out, const struct stream_request *s)
{
	for (size_t i = 0; i < s->channel_count; i++) {
		buf_puts(out, i == 0 ? "" : ",");
		buf_put_str(out, s->channels[i]);
	}
	buf_printf(out, "?transport=%s&format=%s&limit=%llu&wait=%llu",
	    s->transport->name, s->raw ? "raw" : "json",
	    (unsigned long long)s->limit,
	    (unsigned long long)s->wait_ms / 1000);
	if (s->padding)
		buf_puts(out, "&padding=1");
	if (s->session.p != NULL)
		buf_printf(out, "&session=%.*s", STR_ARG(s->session));
	if (s->start == START_OLDEST)
		buf_puts(out, "&after=start");
	if (s->start == START_LAST)
		buf_printf(out, "&last=%llu", (unsigned long long)s->last);
	if (s->start == START_CURSOR && !is_foreign(s)) {
		buf_puts(out, "&after=");
		cursor_put(out, &s->after.epoch, s->after.seq);
	}
	buf_puts(out, " HTTP/1.1\r\nHost: a");
	if (s->start == START_CURSOR && is_foreign(s))
		buf_puts(out, "\r\nLast-Event-ID: 17:0");
	if (s->transport->id == TRANSPORT_WS)
		buf_puts(out, "\r\nUpgrade: websocket");
	must(buf_error(out) == SW_OK);
}

static void
check_plain(const struct stream_request *s)
{
	struct buf plain, text;
	struct stream_request again;
	struct request r;
	struct refusal f;

	buf_init(&plain, SIZE_MAX / 2);
	buf_init(&text, SIZE_MAX / 2);
	put_plain(&plain, s);
	must(fuzz_head(
	    &r, &text, "GET /stream/", buf_head(&plain), buf_len(&plain)));
	must(read_request(&again, &r, &f) == SW_OK);
	must(again.transport == s->transport && again.raw == s->raw);
	must(again.limit == s->limit && again.padding == s->padding);
	must(again.wait_ms / 1000 == s->wait_ms / 1000);
	must(again.start == s->start);
	if (s->start == START_CURSOR)
		must(again.after.seq == s->after.seq &&
		    strcmp(again.after.epoch.text, s->after.epoch.text) == 0);
	if (s->start == START_LAST)
		must(again.last == s->last);
	must(fuzz_same(again.session, s->session));
	must(again.channel_count == s->channel_count);
	for (size_t i = 0; i < s->channel_count; i++)
		must(fuzz_same(again.channels[i], s->channels[i]));
	stream_request_fini(&again);
	buf_fini(&plain);
	buf_fini(&text);
}

/* The input as it is may be a cursor: then that is its only spelling. */
static void
check_cursor(struct str text)
{
	char *copy = fuzz_copy(text), again[CURSOR_MAX];
	struct cursor c;

	if (cursor_parse(&c, (struct str){ copy, text.len }) == SW_OK)
		must(fuzz_same(text,
		    (struct str){
			again, cursor_format(again, &c.epoch, c.seq) }));
	free(copy);
}

/* What was decoded, with every byte escaped, decodes to the same. */
static void
check_escapes(struct str text)
{
	struct buf plain, escaped, again;
	char *copy = fuzz_copy(text);

	buf_init(&plain, SIZE_MAX / 2);
	buf_init(&escaped, SIZE_MAX / 2);
	buf_init(&again, SIZE_MAX / 2);
	if (percent_decode(&plain, (struct str){ copy, text.len }, true) ==
	    SW_OK) {
		must(buf_len(&plain) <= text.len);
		for (size_t i = 0; i < buf_len(&plain); i++)
			if (buf_head(&plain)[i] != '\0')
				buf_printf(
				    &escaped, "%%%02x", buf_head(&plain)[i]);
			else
				buf_put(&escaped, "", 1);
		must(percent_decode(&again, buf_str(&escaped), false) == SW_OK);
		must(fuzz_same(buf_str(&again), buf_str(&plain)));
	}
	buf_fini(&plain);
	buf_fini(&escaped);
	buf_fini(&again);
	free(copy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str input = { (const char *)data, size };
	struct stream_request s;
	struct refusal f = { 0, NULL };
	struct request r;
	struct buf text;

	check_cursor(input);
	check_escapes(input);
	buf_init(&text, SIZE_MAX / 2);
	if (fuzz_head(&r, &text, "GET /stream/", data, size)) {
		if (read_request(&s, &r, &f) == SW_OK) {
			check_limits(&s);
			check_plain(&s);
		} else {
			must(f.status == 400 || f.status == 406 ||
			    f.status == 426);
			must(f.detail != NULL);
		}
		stream_request_fini(&s);
	}
	buf_fini(&text);
	return 0;
}
