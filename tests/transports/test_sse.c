#include "transports/sse.h"

#include "proxy/base/err.h"
#include "tests/oom.h"
#include "tests/suite.h"
#include "tests/transports/events.h"

/* Server-Sent Events to the byte: WHATWG HTML, section 9.2. */

static const struct epoch epoch = { "k3x9" };

static const struct {
	struct str text;
	const char *lines;
	struct str received; /* by section 9.2.6, which joins with LF */
} texts[] = {
	{ BYTES(""), "data: \n", BYTES("") },
	{ BYTES("hello"), "data: hello\n", BYTES("hello") },
	{ BYTES(" x"), "data:  x\n", BYTES(" x") },
	{ BYTES(":x"), "data: :x\n", BYTES(":x") },
	{ BYTES("a\nb"), "data: a\ndata: b\n", BYTES("a\nb") },
	{ BYTES("a\rb"), "data: a\ndata: b\n", BYTES("a\nb") },
	{ BYTES("a\r\nb"), "data: a\ndata: b\n", BYTES("a\nb") },
	{ BYTES("a\n\nb"), "data: a\ndata: \ndata: b\n", BYTES("a\n\nb") },
	{ BYTES("a\r\rb"), "data: a\ndata: \ndata: b\n", BYTES("a\n\nb") },
	{ BYTES("a\n\rb"), "data: a\ndata: \ndata: b\n", BYTES("a\n\nb") },
	{ BYTES("a\r\n\r\nb"), "data: a\ndata: \ndata: b\n", BYTES("a\n\nb") },
	{ BYTES("\n"), "data: \ndata: \n", BYTES("\n") },
	{ BYTES("\r"), "data: \ndata: \n", BYTES("\n") },
	{ BYTES("\r\n"), "data: \ndata: \n", BYTES("\n") },
	{ BYTES("a\n"), "data: a\ndata: \n", BYTES("a\n") },
	{ BYTES("a\r\n"), "data: a\ndata: \n", BYTES("a\n") },
	{ BYTES("\na"), "data: \ndata: a\n", BYTES("\na") },
	{ BYTES("\r\r\n\n\r"), "data: \ndata: \ndata: \ndata: \ndata: \n",
	    BYTES("\n\n\n\n") },
	{ BYTES("id: 7\nevent: x\n\nretry: 1"),
	    "data: id: 7\ndata: event: x\ndata: \ndata: retry: 1\n",
	    BYTES("id: 7\nevent: x\n\nretry: 1") },
};

/* What a client gathers from `data:` lines. */
static struct buf
gather(struct str lines)
{
	struct str line;
	struct buf out;

	buf_init(&out, 1 << 20);
	while (lines.len > 0 && str_cut(&lines, '\n', &line)) {
		ck_assert(str_starts(line, "data: "));
		ck_assert_ptr_null(memchr(line.p, '\r', line.len));
		buf_put(&out, line.p + 6, line.len - 6);
		buf_puts(&out, "\n");
	}
	out.tail--;
	return out;
}

START_TEST(text_is_split_at_every_kind_of_line_end)
{
	char *copy = bytes_copy(texts[_i].text);
	struct buf out, back;

	buf_init(&out, 1000);
	ck_assert_int_eq(
	    sse_put_data(&out, bytes_of(copy, texts[_i].text.len)), SW_OK);
	assert_text(buf_str(&out), texts[_i].lines);
	back = gather(buf_str(&out));
	assert_bytes(buf_str(&back), texts[_i].received);
	buf_fini(&back);
	buf_fini(&out);
	free(copy);
}
END_TEST

/* All texts of six of these, against a rule that is plain to see. */
START_TEST(every_mix_of_line_ends_arrives_with_lf)
{
	static const char letters[] = "a\r\n";

	for (unsigned n = 0; n < 729; n++) {
		char text[6], want[6];
		size_t len = 0;
		struct buf out, back;

		for (unsigned i = 0, k = n; i < 6; i++, k /= 3)
			text[i] = letters[k % 3];
		for (unsigned i = 0; i < 6; i++) {
			if (text[i] == '\n' && i > 0 && text[i - 1] == '\r')
				continue;
			want[len++] = text[i] == 'a' ? 'a' : '\n';
		}
		buf_init(&out, 1000);
		ck_assert_int_eq(sse_put_data(&out, ARRAY(text)), SW_OK);
		back = gather(buf_str(&out));
		assert_bytes(buf_str(&back), bytes_of(want, len));
		buf_fini(&back);
		buf_fini(&out);
	}
}
END_TEST

static const struct {
	enum event_kind kind;
	const char *type, *content_type;
	struct str payload;
	bool raw;
	const char *block;
} blocks[] = {
	{ EVENT_JSON, "", "", BYTES("{\"a\":1}"), true,
	    "id: k3x9-1042\ndata: {\"a\":1}\n\n" },
	{ EVENT_TEXT, "greeting", "", BYTES("hello\nworld"), true,
	    "id: k3x9-1042\nevent: greeting\ndata: hello\ndata: world\n\n" },
	{ EVENT_TEXT, "", "", BYTES(""), true, "id: k3x9-1042\ndata: \n\n" },
	{ EVENT_BINARY, "", "image/png", BYTES("\xff\0\n"), true,
	    "id: k3x9-1042\ndata: /wAK\n\n" },
	{ EVENT_BINARY, "t", "x/y", BYTES(""), true,
	    "id: k3x9-1042\nevent: t\ndata: \n\n" },
	{ EVENT_JSON, "", "", BYTES("[1,\n 2]"), false,
	    "id: k3x9-1042\ndata: {\"id\":\"k3x9-1042\",\"channel\":"
	    "\"room-7\",\"type\":\"message\",\"time\":1763634245123,"
	    "\"data\":[1,\ndata:  2]}\n\n" },
	{ EVENT_TEXT, "greeting", "text/html", BYTES("a\r\nb"), false,
	    "id: k3x9-1042\nevent: greeting\ndata: {\"id\":\"k3x9-1042\","
	    "\"channel\":\"room-7\",\"type\":\"greeting\","
	    "\"time\":1763634245123,\"contentType\":\"text/html\","
	    "\"data\":\"a\\r\\nb\"}\n\n" },
};

START_TEST(an_event_is_a_block_with_its_id)
{
	struct event *e;
	struct buf out;

	events_setup();
	e = event_of(blocks[_i].kind, blocks[_i].type, blocks[_i].content_type,
	    blocks[_i].payload);
	buf_init(&out, 1000);
	ck_assert_int_eq(sse_encode(&out, &epoch, e, blocks[_i].raw), SW_OK);
	assert_text(buf_str(&out), blocks[_i].block);
	buf_fini(&out);
	event_unref(e);
	events_teardown();
}
END_TEST

/* A comment, so that there is a byte; never ended by an empty line. */
START_TEST(a_stream_begins_with_a_comment_and_the_retry)
{
	struct buf out;

	buf_init(&out, 4000);
	ck_assert_int_eq(sse_put_preamble(&out, 2000, false), SW_OK);
	assert_text(buf_str(&out), ":\nretry: 2000\n");
	buf_clear(&out);
	ck_assert_int_eq(sse_put_preamble(&out, 0, true), SW_OK);
	ck_assert_uint_eq(buf_len(&out), 1 + 2048 + strlen("\nretry: 0\n"));
	ck_assert_uint_eq(buf_head(&out)[0], ':');
	for (size_t i = 1; i <= 2048; i++)
		ck_assert_uint_eq(buf_head(&out)[i], ' ');
	buf_drop(&out, 1 + 2048);
	assert_text(buf_str(&out), "\nretry: 0\n");
	buf_fini(&out);
}
END_TEST

START_TEST(half_a_block_is_an_error)
{
	events_setup();
	for (size_t b = 0; b < COUNT(blocks); b++) {
		struct event *e = event_of(blocks[b].kind, blocks[b].type,
		    blocks[b].content_type, blocks[b].payload);

		for (size_t max = 0; max < strlen(blocks[b].block); max++) {
			struct buf out;

			buf_init(&out, max);
			ck_assert_int_eq(
			    sse_encode(&out, &epoch, e, blocks[b].raw),
			    SW_ELIMIT);
			buf_fini(&out);
		}
		event_unref(e);
	}
	for (size_t max = 0; max < strlen(":\nretry: 2000\n"); max++) {
		struct buf out;

		buf_init(&out, max);
		ck_assert_int_eq(
		    sse_put_preamble(&out, 2000, false), SW_ELIMIT);
		buf_fini(&out);
	}
	events_teardown();
}
END_TEST

struct memory {
	struct event *event;
	bool raw;
};

static int
memory_story(void *arg)
{
	struct memory *m = arg;
	struct buf out;
	int err;

	buf_init(&out, 1 << 20);
	err = sse_put_preamble(&out, 2000, true);
	if (err == SW_OK)
		err = sse_encode(&out, &epoch, m->event, m->raw);
	buf_fini(&out);
	return err;
}

START_TEST(memory_may_run_out)
{
	struct memory m = { .raw = _i % 2 == 0 };
	char payload[3000];

	memset(payload, '\n', sizeof(payload));
	events_setup();
	m.event = event_of(_i / 2 == 0 ? EVENT_TEXT : EVENT_BINARY, "type", "",
	    ARRAY(payload));
	oom_tell(memory_story, &m);
	event_unref(m.event);
	events_teardown();
}
END_TEST

/* The first bytes alone may fail, with room for all the rest. */
static int
first_bytes_story(void *arg)
{
	struct buf out;
	int err;

	buf_init(&out, 1 << 20);
	err = sse_encode(&out, &epoch, arg, true);
	buf_fini(&out);
	return err;
}

START_TEST(a_block_without_its_beginning_is_an_error)
{
	struct event *e;

	events_setup();
	e = event_of(EVENT_BINARY, "type", "x/y", STR("payload"));
	oom_tell(first_bytes_story, e);
	event_unref(e);
	events_teardown();
}
END_TEST

SUITE("sse", LOOP(text_is_split_at_every_kind_of_line_end, COUNT(texts)),
    TEST(every_mix_of_line_ends_arrives_with_lf),
    LOOP(an_event_is_a_block_with_its_id, COUNT(blocks)),
    TEST(a_stream_begins_with_a_comment_and_the_retry),
    TEST(half_a_block_is_an_error), LOOP(memory_may_run_out, 4),
    TEST(a_block_without_its_beginning_is_an_error))
