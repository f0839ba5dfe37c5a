#include "transports/stream_request.h"

#include "proxy/base/channel.h"
#include "proxy/base/err.h"
#include "tests/bytes.h"
#include "tests/oom.h"
#include "tests/suite.h"
#include "tests/transports/heads.h"

static const struct stream_limits limits = {
	.poll_wait_ms = 25000,
	.poll_wait_max_ms = 55000,
	.poll_limit = 100,
	.poll_limit_max = 1000,
	.channels = 5,
};

/* What stands behind /stream/ in the target is the list of channels. */
static int
read_target(struct stream_request *s, const char *target, const char *headers,
    struct refusal *f)
{
	const struct request *r = head_of(target, headers);
	size_t prefix = strlen("/stream/");

	ck_assert_uint_ge(r->path.len, prefix);
	return stream_request_read(s, r,
	    bytes_of(r->path.p + prefix, r->path.len - prefix), &limits, f);
}

/* A request that must be fine; stream_request_fini. */
static struct stream_request *
ask(const char *target, const char *headers)
{
	static struct stream_request s;
	struct refusal f = { 0, "" };

	if (read_target(&s, target, headers, &f) != SW_OK)
		ck_abort_msg("%s: %d %s", target, f.status, f.detail);
	return &s;
}

#define WS "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define SSE "Accept: text/event-stream\r\n"
#define JSON "Accept: application/json\r\n"

/* DESIGN: one address, and the way of asking decides. */
static const struct {
	const char *target, *headers;
	enum transport_id transport;
	bool raw;
	uint64_t wait_ms;
} asked[] = {
	{ "/stream/a", "", TRANSPORT_SHORT, false, 0 },
	{ "/stream/a", WS, TRANSPORT_WS, false, 0 },
	{ "/stream/a", "Upgrade: h2c, WEBSOCKET\r\n", TRANSPORT_WS, false, 0 },
	{ "/stream/a", "Upgrade: h2c\r\n", TRANSPORT_SHORT, false, 0 },
	{ "/stream/a", SSE, TRANSPORT_SSE, true, 0 },
	{ "/stream/a", "accept: a/b;q=1, TEXT/Event-Stream ;q=0.5\r\n",
	    TRANSPORT_SSE, true, 0 },
	{ "/stream/a", "Accept: a/b\r\n" SSE, TRANSPORT_SSE, true, 0 },
	{ "/stream/a", "Accept: text/*\r\n", TRANSPORT_SHORT, false, 0 },
	{ "/stream/a", "Accept: */*\r\n", TRANSPORT_SHORT, false, 0 },
	/* RFC 9110 12.4.2: a weight of 0 excludes. */
	{ "/stream/a", "Accept: text/event-stream;q=0\r\n", TRANSPORT_SHORT,
	    false, 0 },
	{ "/stream/a", "Accept: text/event-stream ; x=1; Q = 0.000, */*\r\n",
	    TRANSPORT_SHORT, false, 0 },
	{ "/stream/a?wait=5", "Accept: text/event-stream;q=0.0\r\n",
	    TRANSPORT_LONG, false, 5000 },
	{ "/stream/a", "Accept: text/event-stream;q=0.001\r\n", TRANSPORT_SSE,
	    true, 0 },
	{ "/stream/a", "Accept: text/event-stream;q=\r\n", TRANSPORT_SSE, true,
	    0 },
	{ "/stream/a", "Accept: text/event-stream;x=0\r\n", TRANSPORT_SSE, true,
	    0 },
	{ "/stream/a?transport=sse",
	    "Accept: */*;q=0, text/*;q=0, text/event-stream\r\n", TRANSPORT_SSE,
	    true, 0 },
	{ "/stream/a?transport=long", "Accept: application/*, */*;q=0\r\n",
	    TRANSPORT_LONG, false, 25000 },
	/* A WebSocket before all, and SSE before polls. */
	{ "/stream/a?wait=5", WS SSE, TRANSPORT_WS, false, 5000 },
	{ "/stream/a?wait=5", SSE, TRANSPORT_SSE, true, 5000 },
	/* Long polls. */
	{ "/stream/a?wait=5", "", TRANSPORT_LONG, false, 5000 },
	{ "/stream/a?wait=0", "", TRANSPORT_SHORT, false, 0 },
	{ "/stream/a?wait=54", "", TRANSPORT_LONG, false, 54000 },
	{ "/stream/a?wait=56", "", TRANSPORT_LONG, false, 55000 },
	{ "/stream/a?wait=4294967295", "", TRANSPORT_LONG, false, 55000 },
	{ "/stream/a", "Prefer: wait=7\r\n", TRANSPORT_LONG, false, 7000 },
	{ "/stream/a", "Prefer: respond-async, WAIT = 7\r\n", TRANSPORT_LONG,
	    false, 7000 },
	{ "/stream/a", "Prefer: wait=0\r\n", TRANSPORT_SHORT, false, 0 },
	/* The URL is clearer, and a preference that is odd is none. */
	{ "/stream/a?wait=3", "Prefer: wait=7\r\n", TRANSPORT_LONG, false,
	    3000 },
	{ "/stream/a?wait=0", "Prefer: wait=7\r\n", TRANSPORT_SHORT, false, 0 },
	{ "/stream/a", "Prefer: wait\r\n", TRANSPORT_SHORT, false, 0 },
	{ "/stream/a", "Prefer: wait=soon, wait=2\r\n", TRANSPORT_LONG, false,
	    2000 },
	/* RFC 7240 2: several headers, words in quotes, and parameters. */
	{ "/stream/a", "Prefer: respond-async\r\nPrefer: wait=7\r\n",
	    TRANSPORT_LONG, false, 7000 },
	{ "/stream/a", "Prefer: wait=\"7\"\r\n", TRANSPORT_LONG, false, 7000 },
	{ "/stream/a", "Prefer: wait=7; foo=\"bar\"\r\n", TRANSPORT_LONG, false,
	    7000 },
	{ "/stream/a", "Prefer: wait=\"\r\n", TRANSPORT_SHORT, false, 0 },
	{ "/stream/a", "Prefer: depth=7, =7\r\n", TRANSPORT_SHORT, false, 0 },
	/* A page, whatever a browser accepts; `wait` is until the next one. */
	{ "/stream/a?format=html", "", TRANSPORT_SHORT, false, 0 },
	{ "/stream/a?format=html&wait=9", SSE "Accept: text/html\r\n",
	    TRANSPORT_SHORT, false, 9000 },
	{ "/stream/a?format=html&transport=short",
	    "Accept: text/html, */*;q=0.8\r\n", TRANSPORT_SHORT, false, 0 },
	/* ?transport= insists. */
	{ "/stream/a?transport=ws", WS, TRANSPORT_WS, false, 0 },
	{ "/stream/a?transport=sse", "", TRANSPORT_SSE, true, 0 },
	{ "/stream/a?transport=sse", SSE, TRANSPORT_SSE, true, 0 },
	{ "/stream/a?transport=sse", "Accept: text/*\r\n", TRANSPORT_SSE, true,
	    0 },
	{ "/stream/a?transport=sse", "Accept: */*\r\n", TRANSPORT_SSE, true,
	    0 },
	{ "/stream/a?transport=long", "", TRANSPORT_LONG, false, 25000 },
	{ "/stream/a?transport=long&wait=0", "", TRANSPORT_LONG, false, 25000 },
	{ "/stream/a?transport=long&wait=9", JSON, TRANSPORT_LONG, false,
	    9000 },
	{ "/stream/a?transport=short&wait=9", "Accept: application/*\r\n",
	    TRANSPORT_SHORT, false, 9000 },
	/* ?format= where the default will not do. */
	{ "/stream/a?format=raw", "", TRANSPORT_SHORT, true, 0 },
	{ "/stream/a?format=json", SSE, TRANSPORT_SSE, false, 0 },
	{ "/stream/a?format=raw", WS, TRANSPORT_WS, true, 0 },
	{ "/stream/a?format=json", "", TRANSPORT_SHORT, false, 0 },
};

START_TEST(the_way_of_asking_decides_the_transport)
{
	struct stream_request *s = ask(asked[_i].target, asked[_i].headers);

	ck_assert_str_eq(
	    s->transport->name, transports[asked[_i].transport].name);
	ck_assert(s->raw == asked[_i].raw);
	ck_assert_uint_eq(s->wait_ms, asked[_i].wait_ms);
	stream_request_fini(s);
}
END_TEST

static const struct {
	const char *target, *headers;
	enum stream_start start;
	uint64_t number; /* the cursor's, or how many */
	bool is_foreign; /* no cursor of any log */
} starts[] = {
	{ "/stream/a", "", START_LIVE, 0, false },
	{ "/stream/a?after=start", "", START_OLDEST, 0, false },
	{ "/stream/a?after=k3x9-1042", "", START_CURSOR, 1042, false },
	{ "/stream/a?after=k3x9-0", "", START_CURSOR, 0, false },
	{ "/stream/a?last=1", "", START_LAST, 1, false },
	{ "/stream/a?last=1000000", "", START_LAST, 1000000, false },
	{ "/stream/a?last=0", "", START_LIVE, 0, false },
	{ "/stream/a", "Last-Event-ID: k3x9-7\r\n", START_CURSOR, 7, false },
	{ "/stream/a", "last-event-id: start\r\n", START_OLDEST, 0, false },
	/* The header is newer than the URL, unless it says nothing. */
	{ "/stream/a?after=k3x9-1", "Last-Event-ID: k3x9-7\r\n", START_CURSOR,
	    7, false },
	{ "/stream/a?after=k3x9-1", "Last-Event-ID:\r\n", START_CURSOR, 1,
	    false },
	{ "/stream/a?last=5", "Last-Event-ID: k3x9-7\r\n", START_CURSOR, 7,
	    false },
	{ "/stream/a?last=5&after=k3x9-1", "", START_CURSOR, 1, false },
	/* What an EventSource had from another server. */
	{ "/stream/a?after=k3x9-1",
	    "Accept: text/event-stream\r\nLast-Event-ID: 17:0\r\n",
	    START_CURSOR, 0, true },
	{ "/stream/a?transport=sse", "Last-Event-ID: k3x9-01\r\n", START_CURSOR,
	    0, true },
};

START_TEST(a_stream_begins_where_it_is_told)
{
	struct stream_request *s = ask(starts[_i].target, starts[_i].headers);

	ck_assert_int_eq(s->start, starts[_i].start);
	if (s->start == START_CURSOR) {
		ck_assert_str_eq(
		    s->after.epoch.text, starts[_i].is_foreign ? "" : "k3x9");
		ck_assert_uint_eq(s->after.seq, starts[_i].number);
	} else if (s->start == START_LAST) {
		ck_assert_uint_eq(s->last, starts[_i].number);
	}
	stream_request_fini(s);
}
END_TEST

static const struct {
	const char *target;
	const char *channels[6];
} lists[] = {
	{ "/stream/room-7", { "room-7" } },
	{ "/stream/a,b,c", { "a", "b", "c" } },
	{ "/stream/a,b,c,d,e", { "a", "b", "c", "d", "e" } },
	{ "/stream/A.z_9~x:y-0", { "A.z_9~x:y-0" } },
	/* Escaped, also where they need not be. */
	{ "/stream/%61", { "a" } },
	{ "/stream/a%2Cb", { "a", "b" } },
	{ "/stream/a%3ab,c", { "a:b", "c" } },
	/* The same letters are not the same name. */
	{ "/stream/a,A,aa", { "a", "A", "aa" } },
};

START_TEST(channels_are_listed_in_the_path)
{
	struct stream_request *s = ask(lists[_i].target, "");
	size_t n = 0;

	while (lists[_i].channels[n] != NULL)
		n++;
	ck_assert_uint_eq(s->channel_count, n);
	for (size_t i = 0; i < n; i++)
		assert_text(s->channels[i], lists[_i].channels[i]);
	stream_request_fini(s);
}
END_TEST

START_TEST(the_longest_names_fit)
{
	struct stream_request *s;
	struct buf target;

	buf_init(&target, 4096);
	buf_puts(&target, "/stream/");
	for (int i = 0; i < 5; i++)
		buf_printf(&target, "%s%0128d", i == 0 ? "" : "%2c", i);
	buf_put(&target, "", 1);
	s = ask((char *)buf_head(&target), "");
	ck_assert_uint_eq(s->channel_count, 5);
	ck_assert_uint_eq(s->channels[4].len, CHANNEL_NAME_MAX);
	stream_request_fini(s);
	buf_fini(&target);
}
END_TEST

#define LONG_TEXT_64                                               \
	"ssssssssssssssssssssssssssssssssssssssssssssssssssssssss" \
	"ssssssss"

START_TEST(options_have_defaults_and_bounds)
{
	struct stream_request *s = ask("/stream/a", "");

	ck_assert_uint_eq(s->limit, 100);
	ck_assert(!s->padding);
	ck_assert_ptr_null(s->session.p);
	stream_request_fini(s);
	s = ask("/stream/a?limit=1&padding=1&session=abc", "");
	ck_assert_uint_eq(s->limit, 1);
	ck_assert(s->padding);
	assert_text(s->session, "abc");
	stream_request_fini(s);
	s = ask("/stream/a?session=" LONG_TEXT_64 LONG_TEXT_64, "");
	ck_assert_uint_eq(s->session.len, STREAM_SESSION_MAX);
	stream_request_fini(s);
	s = ask("/stream/a?limit=4294967295&padding=0", "");
	ck_assert_uint_eq(s->limit, 1000);
	ck_assert(!s->padding);
	stream_request_fini(s);
	s = ask("/stream/a?padding", "");
	ck_assert(s->padding);
	stream_request_fini(s);
}
END_TEST

static const struct {
	const char *target, *headers;
	int status;
} refused[] = {
	/* Channels: none, bad names, too many, one of them twice. */
	{ "/stream/", "", 400 },
	{ "/stream/a,", "", 400 },
	{ "/stream/,a", "", 400 },
	{ "/stream/a,,b", "", 400 },
	{ "/stream/a/b", "", 400 },
	{ "/stream/a@b", "", 400 },
	{ "/stream/a%20b", "", 400 },
	{ "/stream/a+b", "", 400 },
	{ "/stream/%", "", 400 },
	{ "/stream/%4", "", 400 },
	{ "/stream/a%00", "", 400 },
	{ "/stream/%C3%A9", "", 400 },
	{ "/stream/a,b,c,d,e,f", "", 400 },
	{ "/stream/a,b,a", "", 400 },
	{ "/stream/a,%61", "", 400 },
	{ "/stream/" LONG_TEXT_64 LONG_TEXT_64 "s", "", 400 },
	{ "/stream/" LONG_TEXT_64 LONG_TEXT_64 "s,a", "", 400 },
	/* Longer than all the names that are allowed. */
	{ "/stream/%61" LONG_TEXT_64 LONG_TEXT_64 LONG_TEXT_64 LONG_TEXT_64
		LONG_TEXT_64 LONG_TEXT_64 LONG_TEXT_64 LONG_TEXT_64 LONG_TEXT_64
		    LONG_TEXT_64 LONG_TEXT_64,
	    "", 400 },
	/* Cursors. */
	{ "/stream/a?after=", "", 400 },
	{ "/stream/a?after", "", 400 },
	{ "/stream/a?after=1042", "", 400 },
	{ "/stream/a?after=START", "", 400 },
	{ "/stream/a?after=k3x9-01", "", 400 },
	{ "/stream/a?after=k3x9%2D1", "", 400 },
	{ "/stream/a?after=k3x9-9223372036854775808", "", 400 },
	{ "/stream/a", "Last-Event-ID: x\r\n", 400 },
	{ "/stream/a?after=k3x9-1", "Last-Event-ID: x\r\n", 400 },
	/* Numbers. */
	{ "/stream/a?last=1000001", "", 400 },
	{ "/stream/a?last=-1", "", 400 },
	{ "/stream/a?last=x", "", 400 },
	{ "/stream/a?last=", "", 400 },
	{ "/stream/a?wait=x", "", 400 },
	{ "/stream/a?wait=", "", 400 },
	{ "/stream/a?wait=1.5", "", 400 },
	{ "/stream/a?wait=4294967296", "", 400 },
	{ "/stream/a?limit=0", "", 400 },
	{ "/stream/a?limit=", "", 400 },
	{ "/stream/a?limit=4294967296", "", 400 },
	{ "/stream/a?limit=1k", "", 400 },
	/* Words. */
	{ "/stream/a?format=xml", "", 400 },
	{ "/stream/a?format=", "", 400 },
	{ "/stream/a?format=RAW", "", 400 },
	{ "/stream/a?transport=websocket", "", 400 },
	{ "/stream/a?transport=", "", 400 },
	{ "/stream/a?session=", "", 400 },
	{ "/stream/a?session=" LONG_TEXT_64 LONG_TEXT_64 "s", "", 400 },
	/* Who insists gets what was asked for, or nothing. */
	{ "/stream/a?transport=ws", "", 426 },
	{ "/stream/a?transport=ws", SSE, 426 },
	{ "/stream/a?transport=ws&wait=5", "", 426 },
	{ "/stream/a?transport=sse", WS, 406 },
	{ "/stream/a?transport=long", WS, 406 },
	{ "/stream/a?transport=sse", JSON, 406 },
	{ "/stream/a?transport=sse", "Accept: text/html\r\n", 406 },
	{ "/stream/a?transport=sse", "Accept: text/event-stream;q=0\r\n", 406 },
	{ "/stream/a?transport=sse", "Accept: */*, text/event-stream;q=0\r\n",
	    406 },
	{ "/stream/a?transport=sse", "Accept: text/event-stream;q=0, */*\r\n",
	    406 },
	{ "/stream/a?transport=sse", "Accept: */*, text/*;q=0\r\n", 406 },
	{ "/stream/a?transport=short", "Accept: application/json; q=0\r\n",
	    406 },
	{ "/stream/a?transport=long", SSE, 406 },
	{ "/stream/a?transport=short", "Accept: text/html, image/*\r\n", 406 },
};

START_TEST(what_cannot_be_answered_is_refused_with_advice)
{
	struct refusal f = { 0, NULL };
	struct stream_request s;

	ck_assert_int_eq(
	    read_target(&s, refused[_i].target, refused[_i].headers, &f),
	    SW_EINVAL);
	ck_assert_int_eq(f.status, refused[_i].status);
	ck_assert_ptr_nonnull(f.detail);
	stream_request_fini(&s);
}
END_TEST

/* A path is read from where it stands: not a byte behind it is looked at. */
START_TEST(nothing_behind_the_names_is_read)
{
	static const char *const paths[] = { "a", "a,b", "a%2cb", "%61", "" };

	for (size_t i = 0; i < COUNT(paths); i++) {
		struct str path = str_of(paths[i]);
		char *copy = bytes_copy(path);
		struct stream_request s = { .channels = NULL };
		struct refusal f;

		buf_init(&s.names, 100);
		ck_assert_int_eq(
		    stream_channels_read(&s, bytes_of(copy, path.len), 5, &f),
		    path.len == 0 ? SW_EINVAL : SW_OK);
		stream_request_fini(&s);
		free(copy);
	}
}
END_TEST

static int
memory_story(void *arg)
{
	const struct request *r = arg;
	struct refusal f = { 0, "" };
	struct stream_request s;
	int err = stream_request_read(
	    &s, r, bytes_of(r->path.p + 8, r->path.len - 8), &limits, &f);

	stream_request_fini(&s);
	/* It is our fault then, and the client is told so. */
	return err == SW_ENOMEM && f.status != 503 ? SW_EIO : err;
}

START_TEST(memory_may_run_out)
{
	struct request r = *head_of("/stream/a,b%2Cc?wait=5", "");

	oom_tell(memory_story, &r);
}
END_TEST

SUITE("stream_request",
    LOOP(the_way_of_asking_decides_the_transport, COUNT(asked)),
    LOOP(a_stream_begins_where_it_is_told, COUNT(starts)),
    LOOP(channels_are_listed_in_the_path, COUNT(lists)),
    TEST(the_longest_names_fit), TEST(options_have_defaults_and_bounds),
    LOOP(what_cannot_be_answered_is_refused_with_advice, COUNT(refused)),
    TEST(nothing_behind_the_names_is_read), TEST(memory_may_run_out))
