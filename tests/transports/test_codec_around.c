#include "tests/suite.h"
#include "tests/transports/events.h"
#include "transports/codec.h"
#include "transports/sse.h"
#include "transports/ws_frame.h"

/* Large payloads: their forms are what they would be, without a copy. */

static const struct epoch epoch = { "k3x9" };

static struct codec codec;
static struct buf got, want;

static void
setup(void)
{
	events_setup();
	ck_assert_int_eq(codec_init(&codec, &epoch, 256, 1), SW_OK);
	buf_init(&got, 1 << 20);
	buf_init(&want, 1 << 20);
}

static void
teardown(void)
{
	buf_fini(&got);
	buf_fini(&want);
	codec_fini(&codec);
	events_teardown();
}

/* A payload of each kind, and the forms that have it as it is. */
static const struct {
	enum event_kind kind;
	char first, middle, last;
	bool poll, sse_json, sse_raw;
} kinds[] = {
	{ EVENT_JSON, '"', 'x', '"', true, true, true },
	{ EVENT_JSON, '[', '\n', ']', true, false, false },
	{ EVENT_JSON, '[', '\r', ']', true, false, false },
	{ EVENT_TEXT, 'a', 'x', 'z', true, true, true },
	{ EVENT_TEXT, 'a', '"', 'z', false, false, true },
	{ EVENT_TEXT, 'a', '\\', 'z', false, false, true },
	{ EVENT_TEXT, 'a', '\t', 'z', false, false, true },
	{ EVENT_TEXT, 'a', '\n', 'z', false, false, false },
	{ EVENT_TEXT, 'a', '\r', 'z', false, false, false },
	{ EVENT_BINARY, '\0', '\xff', '\n', false, false, false },
};

static struct event *
event_sized(size_t i, size_t size)
{
	char *payload = malloc(size);
	struct event *e;

	ck_assert_ptr_nonnull(payload);
	memset(payload, kinds[i].kind == EVENT_JSON ? ' ' : 'y', size);
	if (kinds[i].kind == EVENT_JSON && kinds[i].first == '"')
		memset(payload, 'x', size);
	payload[0] = kinds[i].first;
	payload[size / 2] = kinds[i].middle;
	payload[size - 1] = kinds[i].last;
	e = event_of(kinds[i].kind, "t", "", bytes_of(payload, size));
	free(payload);
	return e;
}

static bool
borrows(size_t i, enum form f)
{
	switch (f) {
	case FORM_WS_RAW:
		return true;
	case FORM_WS_JSON:
	case FORM_POLL_JSON:
	case FORM_POLL_RAW:
		return kinds[i].poll;
	case FORM_SSE_JSON:
		return kinds[i].sse_json;
	case FORM_SSE_RAW:
		return kinds[i].sse_raw;
	default:
		return false;
	}
}

/* What the form is by the functions that copy. */
static void
put_want(struct event *e, enum form f)
{
	struct buf text;

	buf_clear(&want);
	buf_init(&text, 1 << 20);
	switch (f) {
	case FORM_WS_RAW:
		ws_put_frame(&want,
		    e->kind == EVENT_BINARY ? WS_BINARY : WS_TEXT,
		    event_data(e));
		break;
	case FORM_WS_JSON:
		envelope_put(&text, &epoch, e);
		ws_put_frame(&want, WS_TEXT, buf_str(&text));
		break;
	case FORM_SSE_JSON:
	case FORM_SSE_RAW:
		sse_encode(&want, &epoch, e, f == FORM_SSE_RAW);
		break;
	case FORM_POLL_JSON:
		envelope_put(&want, &epoch, e);
		break;
	default:
		envelope_put_data(&want, e);
	}
	ck_assert_int_eq(buf_error(&want), SW_OK);
	buf_fini(&text);
}

/* The pieces of a form from a byte on; do they have the payload itself? */
static bool
put_got(struct event *e, const struct encoding *form, size_t from)
{
	struct iovec pieces[ENCODING_PIECES];
	int n = event_form_pieces(e, form, from, pieces);
	bool borrowed = false;

	buf_clear(&got);
	for (int i = 0; i < n; i++) {
		ck_assert_uint_gt(pieces[i].iov_len, 0);
		borrowed |= pieces[i].iov_base == event_payload(e);
		buf_put(&got, pieces[i].iov_base, pieces[i].iov_len);
	}
	return borrowed;
}

static const enum form plain[] = { FORM_WS_JSON, FORM_WS_RAW, FORM_SSE_JSON,
	FORM_SSE_RAW, FORM_POLL_JSON, FORM_POLL_RAW };

START_TEST(a_form_is_the_same_bytes_around_the_payload)
{
	static const size_t sizes[] = { CODEC_AROUND_MIN - 1, CODEC_AROUND_MIN,
		65535, 65536, 100000 };
	size_t kind = (size_t)_i;

	setup();
	for (size_t s = 0; s < COUNT(sizes); s++) {
		struct event *e = event_sized(kind, sizes[s]);

		for (size_t k = 0; k < COUNT(plain); k++) {
			const struct encoding *form =
			    codec_form(&codec, e, plain[k]);

			ck_assert_ptr_nonnull(form);
			put_want(e, plain[k]);
			ck_assert_int_eq(put_got(e, form, 0),
			    sizes[s] >= CODEC_AROUND_MIN &&
				borrows(kind, plain[k]));
			assert_bytes(buf_str(&got), buf_str(&want));
			ck_assert_uint_eq(form->len, buf_len(&want));
		}
		event_unref(e);
	}
	teardown();
}
END_TEST

/* A socket may take any part of it. */
START_TEST(it_goes_on_from_any_byte)
{
	setup();
	for (size_t k = 0; k < COUNT(plain); k++) {
		struct event *e = event_sized(0, CODEC_AROUND_MIN);
		const struct encoding *form = codec_form(&codec, e, plain[k]);
		size_t len;

		ck_assert_ptr_nonnull(form);
		put_want(e, plain[k]);
		len = buf_len(&want);
		for (size_t from = 0; from <= len; from++) {
			/* Not every byte in the middle. */
			if (from > 500 && from < len - 500)
				from = len - 500;
			put_got(e, form, from);
			ck_assert_uint_eq(buf_len(&got), len - from);
			if (from < len)
				ck_assert_mem_eq(buf_head(&got),
				    buf_head(&want) + from, len - from);
		}
		event_unref(e);
	}
	teardown();
}
END_TEST

START_TEST(it_costs_the_memory_of_what_is_around)
{
	struct event *e;
	uint64_t before;

	setup();
	e = event_sized(0, 100000);
	before = event_memory();
	for (size_t k = 0; k < COUNT(plain); k++)
		ck_assert_ptr_nonnull(codec_form(&codec, e, plain[k]));
	ck_assert_uint_gt(event_memory(), before);
	ck_assert_uint_lt(event_memory(), before + 2000);
	event_unref(e);
	teardown();
}
END_TEST

/* Noise that was not worth deflating borrows the payload as well. */
START_TEST(what_does_not_shrink_is_not_copied_either)
{
	size_t size = 50000;
	char *payload = malloc(size);
	const struct encoding *form;
	uint64_t seed = 5;
	struct event *e;

	setup();
	ck_assert_ptr_nonnull(payload);
	for (size_t i = 0; i < size; i++)
		payload[i] = (char)bytes_random(&seed);
	e = event_of(EVENT_BINARY, "", "", bytes_of(payload, size));
	form = codec_form(&codec, e, FORM_WS_RAW_DEFLATE);
	ck_assert_ptr_nonnull(form);
	put_want(e, FORM_WS_RAW);
	ck_assert(put_got(e, form, 0));
	assert_bytes(buf_str(&got), buf_str(&want));
	ck_assert_ptr_eq(codec_form(&codec, e, FORM_WS_RAW_DEFLATE), form);
	event_unref(e);
	free(payload);
	teardown();
}
END_TEST

SUITE("codec_around",
    LOOP(a_form_is_the_same_bytes_around_the_payload, COUNT(kinds)),
    TEST(it_goes_on_from_any_byte), TEST(it_costs_the_memory_of_what_is_around),
    TEST(what_does_not_shrink_is_not_copied_either))
