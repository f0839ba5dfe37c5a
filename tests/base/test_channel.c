#include "proxy/base/channel.h"

#include <pthread.h>
#include <stdio.h>

#include "proxy/base/err.h"
#include "tests/bytes.h"
#include "tests/suite.h"

static struct channels *registry;

static void
start(size_t limit)
{
	ck_assert_int_eq(channels_new(&registry, limit), SW_OK);
}

static struct channel *
get(const char *name)
{
	struct channel *c = NULL;

	ck_assert_int_eq(channels_get(&c, registry, str_of(name)), SW_OK);
	ck_assert_ptr_nonnull(c);
	return c;
}

START_TEST(names_are_of_few_characters)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "abcdefghijklmnopqrstuvwxyz"
				      "0123456789._~:-";

	for (int c = 0; c < 256; c++) {
		char text[3] = { 'a', (char)c, 'b' };
		bool ok = c != 0 && strchr(allowed, c) != NULL;

		ck_assert(channel_name_valid(bytes_of(text, 3)) == ok);
		ck_assert(channel_name_valid(bytes_of(text + 1, 1)) == ok);
	}
}
END_TEST

START_TEST(names_have_1_to_128_of_them)
{
	char text[CHANNEL_NAME_MAX + 1];
	struct channel *c;

	memset(text, 'n', sizeof(text));
	ck_assert(!channel_name_valid(bytes_of(text, 0)));
	for (size_t n = 1; n <= CHANNEL_NAME_MAX; n++)
		ck_assert(channel_name_valid(bytes_of(text, n)));
	ck_assert(!channel_name_valid(bytes_of(text, sizeof(text))));
	start(10);
	ck_assert_int_eq(
	    channels_get(&c, registry, bytes_of(text, sizeof(text))),
	    SW_EINVAL);
	ck_assert_int_eq(channels_get(&c, registry, STR("")), SW_EINVAL);
	ck_assert_int_eq(channels_get(&c, registry, STR("a b")), SW_EINVAL);
	ck_assert_int_eq(
	    channels_get(&c, registry, bytes_of(text, CHANNEL_NAME_MAX)),
	    SW_OK);
	assert_bytes(c->name, bytes_of(text, CHANNEL_NAME_MAX));
	ck_assert_uint_eq(strlen(c->name.p), CHANNEL_NAME_MAX);
	channel_unref(c);
	channels_free(registry);
}
END_TEST

START_TEST(one_name_is_one_channel_while_it_lives)
{
	struct channel *a, *again, *other;

	start(10);
	ck_assert_ptr_null(channels_find(registry, STR("a")));
	a = get("a");
	other = get("b");
	ck_assert_ptr_ne(a, other);
	again = get("a");
	ck_assert_ptr_eq(again, a);
	ck_assert_ptr_eq(channels_find(registry, STR("a")), a);
	channel_unref(a);
	channel_unref(a);
	/* One reference is left. */
	ck_assert_ptr_eq(channel_ref(a), a);
	channel_unref(a);
	ck_assert_ptr_eq(channels_find(registry, STR("a")), a);
	channel_unref(a);
	channel_unref(again);
	ck_assert_ptr_null(channels_find(registry, STR("a")));
	channel_unref(other);
	channel_unref(NULL);
	channels_free(registry);
	channels_free(NULL);
}
END_TEST

START_TEST(a_channel_begins_anew_after_its_end)
{
	struct channel *c;

	start(10);
	c = get("a");
	ck_assert_uint_eq(channel_head(c), 0);
	ck_assert_uint_eq(channel_floor(c), 0);
	atomic_store(&c->head, 99);
	atomic_store(&c->floor, 98);
	atomic_store(&c->subscribers[AUDIENCE_SSE], 3);
	ck_assert_uint_eq(channel_head(c), 99);
	ck_assert_uint_eq(channel_floor(c), 98);
	channel_unref(c);
	c = get("a");
	ck_assert_uint_eq(channel_head(c), 0);
	ck_assert_uint_eq(channel_floor(c), 0);
	ck_assert_uint_eq(atomic_load(&c->subscribers[AUDIENCE_SSE]), 0);
	ck_assert_ptr_null(channel_policy(c));
	channel_unref(c);
	channels_free(registry);
}
END_TEST

START_TEST(there_are_no_more_channels_than_the_limit)
{
	struct channel *a, *b, *c = NULL;

	start(2);
	a = get("a");
	b = get("b");
	ck_assert_int_eq(channels_get(&c, registry, STR("c")), SW_ELIMIT);
	ck_assert_ptr_null(c);
	/* Those that exist are still given out. */
	channel_unref(get("a"));
	channel_unref(b);
	c = get("c");
	channel_unref(a);
	channel_unref(c);
	channels_free(registry);
}
END_TEST

START_TEST(numbers_are_small_unique_and_given_out_again)
{
	enum { N = 500 };
	struct channel *c[N];
	bool used[N] = { false };
	char name[16];

	start(N);
	ck_assert_uint_eq(channels_numbers(registry), 0);
	for (unsigned i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "ch-%u", i);
		c[i] = get(name);
		ck_assert_uint_lt(c[i]->number, channels_numbers(registry));
		ck_assert_uint_lt(c[i]->number, N);
		ck_assert(!used[c[i]->number]);
		used[c[i]->number] = true;
	}
	ck_assert_uint_eq(channels_numbers(registry), N);
	/* Half of them go, and as many others come. */
	for (unsigned i = 0; i < N; i += 2) {
		used[c[i]->number] = false;
		channel_unref(c[i]);
	}
	for (unsigned i = 0; i < N; i += 2) {
		snprintf(name, sizeof(name), "new-%u", i);
		c[i] = get(name);
		ck_assert_uint_lt(c[i]->number, N);
		ck_assert(!used[c[i]->number]);
		used[c[i]->number] = true;
	}
	ck_assert_uint_eq(channels_numbers(registry), N);
	for (unsigned i = 0; i < N; i++)
		channel_unref(c[i]);
	channels_free(registry);
}
END_TEST

static const struct policy rooms = { .history_events = 1 };
static const struct policy others = { .history_events = 2 };
static const struct policy later = { .history_events = 3 };

static const struct policy *
find_policy(void *ctx, struct str name)
{
	atomic_fetch_add((_Atomic unsigned *)ctx, 1);
	return str_starts(name, "room-") ? &rooms : &others;
}

static const struct policy *
find_later(void *ctx, struct str name)
{
	(void)name;
	atomic_fetch_add((_Atomic unsigned *)ctx, 1);
	return &later;
}

START_TEST(policies_come_with_a_channel_and_with_a_reload)
{
	unsigned asked = 0, asked_later = 0;
	struct channel *early, *room, *other;
	uint32_t reloads;

	start(10);
	early = get("room-0");
	ck_assert_ptr_null(channel_policy(early));
	channels_reload(registry, find_policy, &asked);
	ck_assert_uint_eq(asked, 1);
	ck_assert_ptr_eq(channel_policy(early), &rooms);
	room = get("room-1");
	other = get("lobby");
	ck_assert_uint_eq(asked, 3);
	ck_assert_ptr_eq(channel_policy(room), &rooms);
	ck_assert_ptr_eq(channel_policy(other), &others);
	channel_unref(get("lobby"));
	ck_assert_uint_eq(asked, 3);
	reloads = channels_reloads(registry);
	ck_assert_uint_eq(reloads % 2, 0);
	channels_reload(registry, find_later, &asked_later);
	ck_assert_uint_ne(channels_reloads(registry), reloads);
	ck_assert_uint_eq(channels_reloads(registry) % 2, 0);
	ck_assert_uint_eq(asked_later, 3);
	ck_assert_uint_eq(asked, 3);
	ck_assert_ptr_eq(channel_policy(early), &later);
	ck_assert_ptr_eq(channel_policy(room), &later);
	ck_assert_ptr_eq(channel_policy(other), &later);
	channel_unref(early);
	channel_unref(room);
	channel_unref(other);
	channels_free(registry);
}
END_TEST

/* Some at a time, and all of them. */
START_TEST(thousands_have_another_policy_after_a_reload)
{
	enum { MANY = 3000 };
	static struct channel *c[MANY];
	unsigned asked = 0;

	start(MANY);
	for (unsigned i = 0; i < MANY; i++) {
		char name[16];

		snprintf(name, sizeof(name), "room-%u", i);
		c[i] = get(name);
	}
	channels_reload(registry, find_later, &asked);
	ck_assert_uint_eq(asked, MANY);
	for (unsigned i = 0; i < MANY; i++) {
		ck_assert_ptr_eq(channel_policy(c[i]), &later);
		channel_unref(c[i]);
	}
	channels_free(registry);
}
END_TEST

struct walk {
	unsigned met, count;
	struct channel *kept;
};

static void
visit(void *ctx, struct channel *c)
{
	struct walk *w = ctx;

	w->met |= 1u << (c->name.p[0] - 'a');
	if (w->kept == NULL)
		w->kept = channel_ref(c);
	w->count++;
}

START_TEST(walking_meets_every_channel_once_in_steps)
{
	struct walk none = { 0 }, all = { 0 }, some = { 0 };
	struct channel *c[5];

	start(10);
	ck_assert(!channels_visit(registry, 0, 1, visit, &none));
	for (unsigned i = 0; i < 5; i++)
		c[i] = get((const char *[]){ "a", "b", "c", "d", "e" }[i]);
	channel_unref(c[2]);
	ck_assert(!channels_visit(registry, 0, 5, visit, &all));
	ck_assert_uint_eq(all.met, 0x1b);
	ck_assert_uint_eq(all.count, 4);
	ck_assert(channels_visit(registry, 0, 4, visit, &some));
	ck_assert_uint_eq(some.count, 3);
	/* One that comes meanwhile may have a number that was passed by. */
	c[2] = get("f");
	ck_assert(!channels_visit(registry, 4, 4, visit, &some));
	ck_assert_uint_eq(some.met, 0x1b);
	ck_assert_uint_eq(some.count, 4);
	ck_assert(!channels_visit(registry, 8, UINT32_MAX, visit, &none));
	ck_assert_uint_eq(none.count, 0);
	for (unsigned i = 0; i < 5; i++)
		channel_unref(c[i]);
	/* What the walk took a reference to is still there. */
	ck_assert_ptr_eq(channels_find(registry, all.kept->name), all.kept);
	channel_unref(all.kept);
	channel_unref(all.kept);
	channel_unref(some.kept);
	channels_free(registry);
}
END_TEST

enum { THREADS = 4, ROUNDS = 50000, NAMES = 3 };

static _Atomic unsigned strange;
static pthread_barrier_t together;

/* Few names, so that last references go while others ask for them. */
static void *
come_and_go(void *arg)
{
	static const char *const names[NAMES] = { "a", "b", "c" };
	uint64_t random = (uintptr_t)arg;
	struct channel *held[4] = { NULL };

	pthread_barrier_wait(&together);
	for (unsigned i = 0; i < ROUNDS; i++) {
		const char *name = names[bytes_random(&random) % NAMES];
		struct channel **slot = &held[bytes_random(&random) % 4], *c;

		if (bytes_random(&random) % 4 == 0)
			c = channels_find(registry, str_of(name));
		else if (channels_get(&c, registry, str_of(name)) != SW_OK)
			c = NULL;
		if (c != NULL && (!str_is(c->name, name) || c->number >= NAMES))
			atomic_fetch_add(&strange, 1);
		if (c != NULL)
			channel_unref(channel_ref(c));
		channel_unref(*slot);
		*slot = c;
	}
	for (unsigned i = 0; i < 4; i++)
		channel_unref(held[i]);
	return NULL;
}

START_TEST(threads_share_channels_and_end_them_once)
{
	struct walk none = { 0 };
	pthread_t threads[THREADS];

	start(NAMES);
	pthread_barrier_init(&together, NULL, THREADS);
	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, come_and_go,
				     (void *)(i * 7919 + 17)),
		    0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&together);
	ck_assert_uint_eq(strange, 0);
	/* Nobody holds one: none is left, and their numbers came back. */
	channels_visit(registry, 0, UINT32_MAX, visit, &none);
	ck_assert_uint_eq(none.met, 0);
	ck_assert_uint_le(channels_numbers(registry), NAMES);
	channels_free(registry);
}
END_TEST

static void *
reload_often(void *asked)
{
	pthread_barrier_wait(&together);
	for (unsigned i = 0; i < 500; i++)
		channels_reload(registry, find_later, asked);
	return NULL;
}

START_TEST(a_reload_may_happen_at_any_time)
{
	pthread_t threads[2], reloader;
	/* Outlives the reloader: others look policies up after its end. */
	unsigned asked = 0, asked_later = 0;
	struct channel *c;

	start(NAMES);
	channels_reload(registry, find_policy, &asked);
	c = get("a");
	pthread_barrier_init(&together, NULL, 3);
	ck_assert_int_eq(
	    pthread_create(&reloader, NULL, reload_often, &asked_later), 0);
	for (uintptr_t i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, come_and_go,
				     (void *)(i + 3)),
		    0);
	for (unsigned i = 0; i < 1000; i++)
		ck_assert_ptr_nonnull(channel_policy(c));
	pthread_join(reloader, NULL);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&together);
	ck_assert_ptr_eq(channel_policy(c), &later);
	ck_assert_uint_eq(strange, 0);
	channel_unref(c);
	channels_free(registry);
}
END_TEST

START_TEST(what_a_channel_had_may_be_forgotten)
{
	struct channel *a, *b;

	start(10);
	a = get("a");
	atomic_store(&a->head, 7);
	ck_assert(channel_has_head(a));
	ck_assert(channel_is_shared(channel_ref(a)));
	ck_assert(!channel_forget(a));
	channel_unref(a);
	ck_assert(!channel_is_shared(a));
	ck_assert(channel_forget(a));
	ck_assert_ptr_null(channels_find(registry, STR("a")));
	/* From here on a new one may be one that had events up to there. */
	b = get("b");
	ck_assert_uint_eq(channel_head(b), 7);
	ck_assert(!channel_has_head(b));
	/* It is never less. */
	channels_forgot(registry, 5);
	a = get("a");
	ck_assert_uint_eq(channel_head(a), 7);
	channels_forgot(registry, 9);
	ck_assert_uint_eq(channel_head(b), 7);
	channel_unref(b);
	channel_unref(a);
	a = get("a");
	ck_assert_uint_eq(channel_head(a), 9);
	channel_unref(a);
	channels_free(registry);
}
END_TEST

SUITE("channel", TEST(names_are_of_few_characters),
    TEST(names_have_1_to_128_of_them),
    TEST(one_name_is_one_channel_while_it_lives),
    TEST(a_channel_begins_anew_after_its_end),
    TEST(there_are_no_more_channels_than_the_limit),
    TEST(numbers_are_small_unique_and_given_out_again),
    TEST(policies_come_with_a_channel_and_with_a_reload),
    TEST(thousands_have_another_policy_after_a_reload),
    TEST(walking_meets_every_channel_once_in_steps),
    TEST(threads_share_channels_and_end_them_once),
    TEST(a_reload_may_happen_at_any_time),
    TEST(what_a_channel_had_may_be_forgotten))
