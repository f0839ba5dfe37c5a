#include "transports/codec.h"

#include "proxy/base/err.h"
#include "proxy/base/json.h"
#include "tests/suite.h"
#include "tests/transports/events.h"
#include "tests/transports/zlib_oom.h"
#include "tests/transports/zlib_peer.h"
#include "transports/ws_frame.h"

static const struct epoch epoch = { "k3x9" };

enum { DEFLATE_MIN = 100 };

static struct codec codec;

static void
setup(void)
{
	events_setup();
	ck_assert_int_eq(codec_init(&codec, &epoch, DEFLATE_MIN, 1), SW_OK);
}

static void
teardown(void)
{
	codec_fini(&codec);
	events_teardown();
}

static struct str
form_of(struct event *e, enum form f)
{
	const struct encoding *form = codec_form(&codec, e, f);

	ck_assert_ptr_nonnull(form);
	return bytes_of(form->bytes, form->len);
}

/* Each kind of event, and how it looks; frames without their heads. */
static const struct {
	enum event_kind kind;
	const char *type, *content_type;
	struct str payload;
	const char *envelope, *data;
} kinds[] = {
	{ EVENT_JSON, "", "", BYTES("{\"a\": [1,  2.00]}"),
	    "{\"id\":\"k3x9-1042\",\"channel\":\"room-7\","
	    "\"type\":\"message\",\"time\":1763634245123,"
	    "\"data\":{\"a\": [1,  2.00]}}",
	    "{\"a\": [1,  2.00]}" },
	{ EVENT_TEXT, "greeting", "", BYTES("h\xc3\xa9llo\n\"you\"\\ \x01"),
	    "{\"id\":\"k3x9-1042\",\"channel\":\"room-7\","
	    "\"type\":\"greeting\",\"time\":1763634245123,"
	    "\"data\":\"h\xc3\xa9llo\\n\\\"you\\\"\\\\ \\u0001\"}",
	    "\"h\xc3\xa9llo\\n\\\"you\\\"\\\\ \\u0001\"" },
	{ EVENT_TEXT, "a\"b", "text/x; y=\"z\"", BYTES(""),
	    "{\"id\":\"k3x9-1042\",\"channel\":\"room-7\","
	    "\"type\":\"a\\\"b\",\"time\":1763634245123,"
	    "\"contentType\":\"text/x; y=\\\"z\\\"\",\"data\":\"\"}",
	    "\"\"" },
	{ EVENT_BINARY, "", "application/octet-stream", BYTES("\xff\x00\xfe"),
	    "{\"id\":\"k3x9-1042\",\"channel\":\"room-7\","
	    "\"type\":\"message\",\"time\":1763634245123,"
	    "\"contentType\":\"application/octet-stream\","
	    "\"encoding\":\"base64\",\"data\":\"/wD+\"}",
	    "\"/wD+\"" },
	{ EVENT_BINARY, "", "", BYTES(""),
	    "{\"id\":\"k3x9-1042\",\"channel\":\"room-7\","
	    "\"type\":\"message\",\"time\":1763634245123,"
	    "\"encoding\":\"base64\",\"data\":\"\"}",
	    "\"\"" },
};

static struct event *
event_kind(size_t i)
{
	return event_of(kinds[i].kind, kinds[i].type, kinds[i].content_type,
	    kinds[i].payload);
}

START_TEST(an_envelope_is_the_same_json_everywhere)
{
	struct event *e;
	struct buf out;

	setup();
	e = event_kind((size_t)_i);
	buf_init(&out, 1000);
	ck_assert_int_eq(envelope_put(&out, &epoch, e), SW_OK);
	assert_text(buf_str(&out), kinds[_i].envelope);
	ck_assert(json_valid(buf_str(&out)));
	buf_clear(&out);
	ck_assert_int_eq(envelope_put_data(&out, e), SW_OK);
	assert_text(buf_str(&out), kinds[_i].data);
	ck_assert(json_valid(buf_str(&out)));
	assert_text(form_of(e, FORM_POLL_JSON), kinds[_i].envelope);
	assert_text(form_of(e, FORM_POLL_RAW), kinds[_i].data);
	buf_fini(&out);
	event_unref(e);
	teardown();
}
END_TEST

START_TEST(a_websocket_carries_the_envelope_or_the_payload)
{
	struct event *e;
	struct buf want;

	setup();
	e = event_kind((size_t)_i);
	buf_init(&want, 1000);
	ws_put_frame(&want, WS_TEXT, str_of(kinds[_i].envelope));
	assert_bytes(form_of(e, FORM_WS_JSON), buf_str(&want));
	/* What is not text travels in a binary frame. */
	buf_clear(&want);
	ws_put_frame(&want,
	    kinds[_i].kind == EVENT_BINARY ? WS_BINARY : WS_TEXT,
	    kinds[_i].payload);
	assert_bytes(form_of(e, FORM_WS_RAW), buf_str(&want));
	buf_fini(&want);
	event_unref(e);
	teardown();
}
END_TEST

START_TEST(an_event_stream_carries_blocks)
{
	struct event *e;

	setup();
	e = event_of(EVENT_TEXT, "t", "", STR("one\ntwo"));
	assert_text(form_of(e, FORM_SSE_RAW),
	    "id: k3x9-1042\nevent: t\ndata: one\ndata: two\n\n");
	assert_text(form_of(e, FORM_SSE_JSON),
	    "id: k3x9-1042\nevent: t\ndata: {\"id\":\"k3x9-1042\","
	    "\"channel\":\"room-7\",\"type\":\"t\",\"time\":1763634245123,"
	    "\"data\":\"one\\ntwo\"}\n\n");
	event_unref(e);
	teardown();
}
END_TEST

/* A thousand subscribers send the same memory. */
START_TEST(a_form_is_made_once)
{
	const struct encoding *made[FORM_COUNT];
	char payload[300];
	struct event *e;
	struct codec other;

	setup();
	ck_assert_int_eq(codec_init(&other, &epoch, DEFLATE_MIN, 9), SW_OK);
	memset(payload, 'x', sizeof(payload));
	e = event_of(EVENT_TEXT, "", "", ARRAY(payload));
	for (int f = 0; f < FORM_COUNT; f++) {
		made[f] = codec_form(&codec, e, (enum form)f);
		ck_assert_ptr_nonnull(made[f]);
		for (int g = 0; g < f; g++)
			ck_assert_ptr_ne(made[f], made[g]);
	}
	/* Also by another worker. */
	for (int f = 0; f < FORM_COUNT; f++) {
		ck_assert_ptr_eq(codec_form(&codec, e, (enum form)f), made[f]);
		ck_assert_ptr_eq(codec_form(&other, e, (enum form)f), made[f]);
	}
	codec_fini(&other);
	event_unref(e);
	teardown();
}
END_TEST

static const struct {
	enum form form, plain;
	int bits; /* the window of the peer */
	bool raw;
} deflated[] = {
	{ FORM_WS_JSON_DEFLATE, FORM_WS_JSON, 15, false },
	{ FORM_WS_RAW_DEFLATE, FORM_WS_RAW, 15, true },
	{ FORM_WS_JSON_DEFLATE_SMALL, FORM_WS_JSON, 8, false },
	{ FORM_WS_RAW_DEFLATE_SMALL, FORM_WS_RAW, 8, true },
};

/* The payload of a frame, and its first byte. */
static struct str
unframe(struct str frame, unsigned *first)
{
	const uint8_t *p = (const uint8_t *)frame.p;
	size_t extra = p[1] == 126 ? 2 : p[1] == 127 ? 8 : 0, length = 0;

	for (size_t i = 0; i < extra; i++)
		length = length << 8 | p[2 + i];
	*first = p[0];
	ck_assert_uint_eq((extra == 0 ? p[1] : length) + 2 + extra, frame.len);
	return bytes_of(p + 2 + extra, frame.len - 2 - extra);
}

START_TEST(a_deflated_frame_inflates_to_the_message)
{
	static const size_t sizes[] = { DEFLATE_MIN, 1000, 70000, 1 << 20 };
	struct buf envelope;

	setup();
	buf_init(&envelope, 2 << 20);
	for (size_t k = 0; k < usually(COUNT(sizes), COUNT(sizes) - 1); k++)
		for (int binary = 0; binary < 2; binary++) {
			char *payload = malloc(sizes[k]);
			struct event *e;
			struct str bytes;
			struct buf back;
			unsigned first;

			ck_assert_ptr_nonnull(payload);
			for (size_t i = 0; i < sizes[k]; i++)
				payload[i] = "again and "[i % 10];
			e = event_of(binary ? EVENT_BINARY : EVENT_TEXT, "", "",
			    bytes_of(payload, sizes[k]));
			bytes = unframe(form_of(e, deflated[_i].form), &first);
			/* FIN, RSV1, and the kind. */
			ck_assert_uint_eq(first,
			    0xc0 |
				(binary && deflated[_i].raw ? WS_BINARY :
							      WS_TEXT));
			ck_assert_uint_lt(
			    bytes.len, form_of(e, deflated[_i].plain).len);
			back = peer_inflate(bytes, deflated[_i].bits);
			buf_clear(&envelope);
			envelope_put(&envelope, &epoch, e);
			assert_bytes(buf_str(&back),
			    deflated[_i].raw ? event_data(e) :
					       buf_str(&envelope));
			buf_fini(&back);
			event_unref(e);
			free(payload);
		}
	buf_fini(&envelope);
	teardown();
}
END_TEST

START_TEST(a_small_message_stays_plain_and_costs_no_copy)
{
	char payload[DEFLATE_MIN - 1];
	struct event *e;

	setup();
	memset(payload, 'x', sizeof(payload));
	e = event_of(EVENT_TEXT, "", "", ARRAY(payload));
	ck_assert_ptr_eq(codec_form(&codec, e, deflated[_i].form),
	    codec_form(&codec, e, deflated[_i].plain));
	ck_assert_ptr_null(event_form(e, deflated[_i].form));
	event_unref(e);
	teardown();
}
END_TEST

/* Noise does not shrink: it goes out as it is, and nobody tries again. */
START_TEST(what_does_not_shrink_stays_plain)
{
	const struct encoding *first;
	char payload[500];
	uint64_t seed = 5;
	struct event *e;

	setup();
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (char)bytes_random(&seed);
	e = event_of(EVENT_BINARY, "", "", ARRAY(payload));
	first = codec_form(&codec, e, FORM_WS_RAW_DEFLATE);
	ck_assert_ptr_nonnull(first);
	assert_bytes(
	    bytes_of(first->bytes, first->len), form_of(e, FORM_WS_RAW));
	ck_assert_ptr_eq(event_form(e, FORM_WS_RAW_DEFLATE), first);
	ck_assert_ptr_eq(codec_form(&codec, e, FORM_WS_RAW_DEFLATE), first);
	event_unref(e);
	teardown();
}
END_TEST

START_TEST(a_large_event_leaves_no_large_buffers)
{
	size_t size = usually(8 << 20, 1 << 20);
	char *payload = calloc(1, size);
	struct event *e;

	setup();
	ck_assert_ptr_nonnull(payload);
	e = event_of(EVENT_BINARY, "", "", bytes_of(payload, size));
	for (int f = 0; f < FORM_COUNT; f++)
		ck_assert_ptr_nonnull(codec_form(&codec, e, (enum form)f));
	ck_assert_uint_le(codec.scratch.cap, 64 << 10);
	ck_assert_uint_le(codec.packed.cap, 64 << 10);
	event_unref(e);
	free(payload);
	teardown();
}
END_TEST

START_TEST(half_an_envelope_is_an_error)
{
	struct event *e;

	setup();
	e = event_kind((size_t)_i);
	for (size_t max = 0; max < strlen(kinds[_i].envelope); max++) {
		struct buf out;

		buf_init(&out, max);
		ck_assert_int_eq(envelope_put(&out, &epoch, e), SW_ELIMIT);
		buf_fini(&out);
	}
	event_unref(e);
	teardown();
}
END_TEST

/* One event, all of its forms, and the codec itself. */
struct memory {
	enum event_kind kind;
	struct str payload;
	enum form form;
};

static int
memory_story(void *arg)
{
	struct memory *m = arg;
	struct event *e = NULL;
	struct codec c;
	int err = codec_init(&c, &epoch, 0, 1);

	if (err == SW_OK)
		err = event_new(&e, events_channel, m->kind, STR("type"),
		    STR(""), m->payload.len);
	if (err == SW_OK) {
		if (m->payload.len > 0)
			memcpy(event_payload(e), m->payload.p, m->payload.len);
		if (codec_form(&c, e, m->form) == NULL)
			err = SW_ENOMEM;
	}
	event_unref(e);
	codec_fini(&c);
	return err;
}

START_TEST(memory_may_run_out)
{
	static const struct str payloads[] = { BYTES(""), BYTES("x"),
		BYTES("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa") };
	struct memory m = { .form = (enum form)_i };

	events_setup();
	for (size_t k = 0; k < COUNT(payloads); k++)
		for (int binary = 0; binary < 2; binary++) {
			m.kind = binary ? EVENT_BINARY : EVENT_TEXT;
			m.payload = payloads[k];
			oom_tell(memory_story, &m);
		}
	events_teardown();
}
END_TEST

/* What comes when memory is back is whole. */
START_TEST(a_form_can_be_made_after_a_failure)
{
	enum form f = (enum form)_i;
	char payload[300];
	struct event *e;
	struct buf want;

	setup();
	memset(payload, 'x', sizeof(payload));
	buf_init(&want, 2000);
	e = event_of(EVENT_TEXT, "", "", ARRAY(payload));
	buf_put_str(&want, form_of(e, f));
	event_unref(e);
	for (size_t k = 1; k < 30; k++) {
		const struct encoding *form;

		codec_fini(&codec);
		codec_init(&codec, &epoch, DEFLATE_MIN, 1);
		e = event_of(EVENT_TEXT, "", "", ARRAY(payload));
		oom_begin(k, false);
		form = codec_form(&codec, e, f);
		oom_end();
		ck_assert(oom_failed() == (form == NULL));
		assert_bytes(form_of(e, f), buf_str(&want));
		event_unref(e);
	}
	buf_fini(&want);
	teardown();
}
END_TEST

SUITE("codec", LOOP(an_envelope_is_the_same_json_everywhere, COUNT(kinds)),
    LOOP(a_websocket_carries_the_envelope_or_the_payload, COUNT(kinds)),
    TEST(an_event_stream_carries_blocks), TEST(a_form_is_made_once),
    LOOP(a_deflated_frame_inflates_to_the_message, COUNT(deflated)),
    LOOP(a_small_message_stays_plain_and_costs_no_copy, COUNT(deflated)),
    TEST(what_does_not_shrink_stays_plain),
    TEST(a_large_event_leaves_no_large_buffers),
    LOOP(half_an_envelope_is_an_error, COUNT(kinds)),
    LOOP(memory_may_run_out, FORM_COUNT),
    LOOP(a_form_can_be_made_after_a_failure, FORM_COUNT))
