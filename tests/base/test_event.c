#include "proxy/base/event.h"

#include <pthread.h>

#include "proxy/base/err.h"
#include "tests/bytes.h"
#include "tests/suite.h"

static struct channels *registry;
static struct channel *channel;

static void
setup(void)
{
	ck_assert_int_eq(channels_new(&registry, 10), SW_OK);
	ck_assert_int_eq(
	    channels_get(&channel, registry, STR("room-7")), SW_OK);
	ck_assert_uint_eq(event_memory(), 0);
}

/* Every event must be gone by now, and with it all it held. */
static void
teardown(void)
{
	ck_assert_uint_eq(event_memory(), 0);
	ck_assert_uint_eq(atomic_load(&channel->refs), 1);
	channel_unref(channel);
	channels_free(registry);
}

static struct event *
make(struct str type, struct str content_type, struct str payload)
{
	struct event *e = NULL;

	ck_assert_int_eq(
	    event_new(&e, channel, EVENT_TEXT, type, content_type, payload.len),
	    SW_OK);
	if (payload.len > 0)
		memcpy(event_payload(e), payload.p, payload.len);
	return e;
}

START_TEST(an_event_holds_its_texts_and_its_payload)
{
	struct event *e;

	setup();
	e = make(STR("greeting"), STR("text/plain"), BYTES("hello\0world"));
	ck_assert_int_eq(e->kind, EVENT_TEXT);
	ck_assert_ptr_eq(e->channel, channel);
	assert_text(event_type(e), "greeting");
	assert_text(event_content_type(e), "text/plain");
	assert_bytes(event_data(e), BYTES("hello\0world"));
	ck_assert_uint_eq(
	    e->id | e->previous | e->jump | e->number | e->total | e->time_ms,
	    0);
	for (int f = 0; f < FORM_COUNT; f++)
		ck_assert_ptr_null(event_form(e, (enum form)f));
	event_unref(e);
	event_unref(NULL);
	teardown();
}
END_TEST

START_TEST(all_of_it_may_be_empty)
{
	struct str none = { NULL, 0 };
	struct event *e;

	setup();
	e = make(none, none, none);
	ck_assert_uint_eq(event_type(e).len, 0);
	ck_assert_uint_eq(event_content_type(e).len, 0);
	ck_assert_uint_eq(event_data(e).len, 0);
	event_unref(e);
	teardown();
}
END_TEST

START_TEST(texts_of_the_greatest_length_fit_and_longer_ones_do_not)
{
	char text[256];
	struct event *e = NULL;

	setup();
	memset(text, 't', sizeof(text));
	ck_assert_int_eq(event_new(&e, channel, EVENT_JSON,
			     bytes_of(text, EVENT_TYPE_MAX + 1), STR(""), 1),
	    SW_ELIMIT);
	ck_assert_int_eq(event_new(&e, channel, EVENT_JSON, STR(""),
			     bytes_of(text, EVENT_CONTENT_TYPE_MAX + 1), 1),
	    SW_ELIMIT);
#if SIZE_MAX > UINT32_MAX
	ck_assert_int_eq(event_new(&e, channel, EVENT_JSON, STR(""), STR(""),
			     (size_t)UINT32_MAX + 1),
	    SW_ELIMIT);
#endif
	ck_assert_ptr_null(e);
	e = make(bytes_of(text, EVENT_TYPE_MAX),
	    bytes_of(text, EVENT_CONTENT_TYPE_MAX), STR("payload"));
	ck_assert_uint_eq(event_type(e).len, EVENT_TYPE_MAX);
	ck_assert_uint_eq(event_content_type(e).len, EVENT_CONTENT_TYPE_MAX);
	assert_text(event_data(e), "payload");
	event_unref(e);
	teardown();
}
END_TEST

START_TEST(an_event_keeps_its_channel)
{
	struct channel *other;
	struct event *e;

	setup();
	ck_assert_int_eq(channels_get(&other, registry, STR("other")), SW_OK);
	ck_assert_int_eq(
	    event_new(&e, other, EVENT_JSON, STR(""), STR(""), 0), SW_OK);
	channel_unref(other);
	ck_assert_ptr_eq(channels_find(registry, STR("other")), other);
	channel_unref(other);
	event_unref(e);
	ck_assert_ptr_null(channels_find(registry, STR("other")));
	teardown();
}
END_TEST

START_TEST(the_last_of_many_references_ends_an_event)
{
	struct event *e;

	setup();
	e = make(STR("t"), STR(""), STR("data"));
	ck_assert_ptr_eq(event_ref(e), e);
	event_ref_many(e, 3);
	for (int i = 0; i < 4; i++) {
		event_unref(e);
		ck_assert_uint_gt(event_memory(), 0);
	}
	assert_text(event_data(e), "data");
	event_unref(e);
	teardown();
}
END_TEST

START_TEST(a_form_is_kept_once_and_shared)
{
	const struct encoding *first, *second, *other;
	struct event *e;

	setup();
	e = make(STR("t"), STR(""), STR("data"));
	first = event_keep_form(e, FORM_SSE_RAW, "data: data\n\n", 12);
	ck_assert_ptr_nonnull(first);
	assert_text(bytes_of(first->bytes, first->len), "data: data\n\n");
	ck_assert_ptr_eq(event_form(e, FORM_SSE_RAW), first);
	ck_assert_ptr_null(event_form(e, FORM_SSE_JSON));
	/* Who comes second gets what the first one left. */
	second = event_keep_form(e, FORM_SSE_RAW, "data: data\n\n", 12);
	ck_assert_ptr_eq(second, first);
	other = event_keep_form(e, FORM_POLL_RAW, "\"data\"", 6);
	ck_assert_ptr_ne(other, first);
	ck_assert_ptr_eq(event_form(e, FORM_SSE_RAW), first);
	event_unref(e);
	teardown();
}
END_TEST

START_TEST(memory_counts_payloads_texts_and_forms)
{
	struct event *small, *large;
	uint64_t one, both, with_form;
	char *bytes = calloc(1, 100000);

	setup();
	ck_assert_ptr_nonnull(bytes);
	small = make(STR(""), STR(""), STR(""));
	one = event_memory();
	ck_assert_uint_ge(one, sizeof(struct event));
	large = make(STR("type"), STR("text/plain"), bytes_of(bytes, 100000));
	both = event_memory();
	ck_assert_uint_eq(both, 2 * one + 4 + 10 + 100000);
	event_keep_form(large, FORM_WS_RAW, bytes, 100000);
	with_form = event_memory();
	ck_assert_uint_ge(with_form, both + 100000);
	ck_assert_uint_le(with_form, both + 100000 + 64);
	/* What is made in vain is not counted. */
	event_keep_form(large, FORM_WS_RAW, bytes, 100000);
	ck_assert_uint_eq(event_memory(), with_form);
	event_unref(large);
	ck_assert_uint_eq(event_memory(), one);
	event_unref(small);
	free(bytes);
	teardown();
}
END_TEST

/* A body that has come whole may turn out to be something else. */
START_TEST(what_it_is_may_be_settled_later)
{
	struct event *e;
	uint64_t memory;

	setup();
	e = make(STR("greeting"), STR("application/octet-stream"),
	    STR("the payload"));
	memory = event_memory();
	event_settle(e, EVENT_JSON, STR("a/b+json"));
	ck_assert_int_eq(e->kind, EVENT_JSON);
	assert_text(event_type(e), "greeting");
	assert_text(event_content_type(e), "a/b+json");
	assert_text(event_data(e), "the payload");
	event_settle(e, EVENT_TEXT, STR(""));
	ck_assert_int_eq(e->kind, EVENT_TEXT);
	ck_assert_uint_eq(event_content_type(e).len, 0);
	assert_text(event_data(e), "the payload");
	ck_assert_uint_eq(event_memory(), memory);
	event_unref(e);
	teardown();
}
END_TEST

/* Each byte of it once, wherever the payload stands and it is gone on with. */
START_TEST(a_form_may_stand_around_the_payload)
{
	static const size_t holes[] = { 0, 3, 6, ENCODING_WHOLE };
	static const char *const wanted[] = { "datacolour", "coldataour",
		"colourdata", "colour" };
	char bytes[32];

	setup();
	for (size_t h = 0; h < COUNT(holes); h++) {
		struct event *e = make(STR("t"), STR("u"), STR("data"));
		const struct encoding *form = event_keep_form_around(
		    e, FORM_WS_RAW, "colour", 6, holes[h]);

		ck_assert_ptr_nonnull(form);
		ck_assert_uint_eq(form->len, strlen(wanted[h]));
		for (size_t from = 0; from <= form->len; from++) {
			struct iovec pieces[ENCODING_PIECES];
			int n = event_form_pieces(e, form, from, pieces);
			size_t len = 0;

			for (int i = 0; i < n; i++) {
				ck_assert_uint_gt(pieces[i].iov_len, 0);
				memcpy(bytes + len, pieces[i].iov_base,
				    pieces[i].iov_len);
				len += pieces[i].iov_len;
			}
			assert_text(bytes_of(bytes, len), wanted[h] + from);
		}
		event_unref(e);
	}
	ck_assert_uint_eq(event_memory(), 0);
	teardown();
}
END_TEST

enum { THREADS = 4, EVENTS = 2000 };

static struct event *shared[EVENTS];
static const struct encoding *seen[THREADS][EVENTS];
static pthread_barrier_t together;
static _Atomic unsigned strange;

/* Each asks for a form of each event, reads it, and lets the event go. */
static void *
ask_for_forms(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;

	pthread_barrier_wait(&together);
	for (unsigned i = 0; i < EVENTS; i++) {
		enum form f = (enum form)(i % FORM_COUNT);
		const struct encoding *form = event_form(shared[i], f);
		char bytes[24];
		int n = snprintf(bytes, sizeof(bytes), "form of %u", i);

		if (form == NULL)
			form = event_keep_form(shared[i], f, bytes, (size_t)n);
		if (form->len != (size_t)n ||
		    memcmp(form->bytes, bytes, (size_t)n) != 0 ||
		    event_form(shared[i], f) != form)
			atomic_fetch_add(&strange, 1);
		seen[me][i] = form;
		event_unref(event_ref(shared[i]));
		event_unref(shared[i]);
	}
	return NULL;
}

START_TEST(threads_that_make_the_same_form_share_one)
{
	pthread_t threads[THREADS];

	setup();
	for (unsigned i = 0; i < EVENTS; i++) {
		shared[i] = make(STR("t"), STR(""), STR("data"));
		/* One for each thread, and ours for the comparison. */
		event_ref_many(shared[i], THREADS);
	}
	pthread_barrier_init(&together, NULL, THREADS);
	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(
		    pthread_create(&threads[i], NULL, ask_for_forms, (void *)i),
		    0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&together);
	ck_assert_uint_eq(strange, 0);
	for (unsigned i = 0; i < EVENTS; i++) {
		for (unsigned t = 1; t < THREADS; t++)
			ck_assert_ptr_eq(seen[t][i], seen[0][i]);
		ck_assert_uint_eq(atomic_load(&shared[i]->refs), 1);
		event_unref(shared[i]);
	}
	teardown();
}
END_TEST

/* Nobody keeps one back: the last of the threads frees. */
START_TEST(threads_race_to_free_and_one_does)
{
	pthread_t threads[THREADS];

	setup();
	for (unsigned i = 0; i < EVENTS; i++) {
		shared[i] = make(STR("t"), STR(""), STR("data"));
		event_ref_many(shared[i], THREADS - 1);
	}
	pthread_barrier_init(&together, NULL, THREADS);
	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(
		    pthread_create(&threads[i], NULL, ask_for_forms, (void *)i),
		    0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&together);
	ck_assert_uint_eq(strange, 0);
	teardown();
}
END_TEST

SUITE("event", TEST(an_event_holds_its_texts_and_its_payload),
    TEST(all_of_it_may_be_empty),
    TEST(texts_of_the_greatest_length_fit_and_longer_ones_do_not),
    TEST(an_event_keeps_its_channel),
    TEST(the_last_of_many_references_ends_an_event),
    TEST(a_form_is_kept_once_and_shared),
    TEST(memory_counts_payloads_texts_and_forms),
    TEST(what_it_is_may_be_settled_later),
    TEST(a_form_may_stand_around_the_payload),
    TEST(threads_that_make_the_same_form_share_one),
    TEST(threads_race_to_free_and_one_does))
