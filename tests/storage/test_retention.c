#include "storage/retention.h"
#include "tests/storage/world.h"
#include "tests/suite.h"

enum { EVENTS = 200 };

/* A channel's events as plain numbers; event i has number i + 1. */
struct past {
	uint64_t size[EVENTS];
	uint64_t total[EVENTS];
	uint64_t time_ms[EVENTS];
	size_t count;
};

static uint64_t
id_of(size_t i)
{
	return 10 + 3 * (uint64_t)i;
}

static void
past_add(struct past *p, uint64_t size, uint64_t time_ms)
{
	size_t i = p->count++;

	p->size[i] = size;
	p->total[i] = (i == 0 ? 0 : p->total[i - 1]) + size;
	p->time_ms[i] = time_ms;
}

static struct retention
retention_now(const struct past *p, const struct policy *policy,
    uint64_t now_ms, uint64_t floor)
{
	return retention_of(
	    policy, now_ms, p->count, p->total[p->count - 1], floor);
}

static bool
keeps(const struct retention *r, const struct past *p, size_t i)
{
	return retention_keeps(r, id_of(i), i + 1, p->total[i], p->time_ms[i]);
}

/* The rule in words: so many newest, so many bytes of them, so old at most. */
static bool
should_keep(const struct past *p, const struct policy *policy, uint64_t now_ms,
    uint64_t floor, size_t i)
{
	uint64_t newer = p->count - 1 - i, newer_bytes = 0;

	for (size_t k = i + 1; k < p->count; k++)
		newer_bytes += p->size[k];
	return newer < policy->history_events && id_of(i) > floor &&
	    (policy->history_bytes == 0 ||
		newer_bytes < policy->history_bytes) &&
	    (policy->history_age_ms == 0 || now_ms < policy->history_age_ms ||
		p->time_ms[i] >= now_ms - policy->history_age_ms);
}

START_TEST(the_newest_events_are_kept)
{
	const struct policy policy = { .history_events = 3 };
	struct past p = { .count = 0 };
	struct retention r;

	for (int i = 0; i < 10; i++)
		past_add(&p, 1, 1000);
	r = retention_now(&p, &policy, 5000, 0);
	ck_assert(!keeps(&r, &p, 6));
	ck_assert(keeps(&r, &p, 7));
	ck_assert(keeps(&r, &p, 9));
}
END_TEST

START_TEST(fewer_events_than_the_limit_are_all_kept)
{
	const struct policy policy = { .history_events = 3 };
	struct past p = { .count = 0 };
	struct retention r;

	for (int i = 0; i < 3; i++) {
		past_add(&p, 1, 1000);
		r = retention_now(&p, &policy, 5000, 0);
		ck_assert(keeps(&r, &p, 0));
	}
}
END_TEST

START_TEST(a_limit_of_no_events_keeps_none)
{
	const struct policy policy = { .history_events = 0 };
	struct past p = { .count = 0 };
	struct retention r;

	past_add(&p, 1, 1000);
	r = retention_now(&p, &policy, 5000, 0);
	ck_assert(!keeps(&r, &p, 0));
}
END_TEST

START_TEST(bytes_are_kept_up_to_the_event_that_reaches_the_limit)
{
	const struct policy policy = {
		.history_events = UINT64_MAX,
		.history_bytes = 100,
	};
	struct past p = { .count = 0 };
	struct retention r;

	for (int i = 0; i < 10; i++)
		past_add(&p, 40, 1000);
	r = retention_now(&p, &policy, 5000, 0);
	ck_assert(!keeps(&r, &p, 6)); /* 120 bytes are newer */
	ck_assert(keeps(&r, &p, 7));  /* 80 are */
}
END_TEST

START_TEST(a_single_event_above_the_byte_limit_is_kept)
{
	const struct policy policy = {
		.history_events = UINT64_MAX,
		.history_bytes = 100,
	};
	struct past p = { .count = 0 };
	struct retention r;

	past_add(&p, 1, 1000);
	past_add(&p, 5000, 1000);
	r = retention_now(&p, &policy, 5000, 0);
	ck_assert(!keeps(&r, &p, 0));
	ck_assert(keeps(&r, &p, 1));
}
END_TEST

START_TEST(an_event_is_kept_up_to_its_last_millisecond)
{
	const struct policy policy = {
		.history_events = UINT64_MAX,
		.history_age_ms = 500,
	};
	struct past p = { .count = 0 };
	struct retention r;

	past_add(&p, 1, 1000);
	r = retention_now(&p, &policy, 1500, 0);
	ck_assert(keeps(&r, &p, 0));
	r = retention_now(&p, &policy, 1501, 0);
	ck_assert(!keeps(&r, &p, 0));
}
END_TEST

START_TEST(no_age_and_no_bytes_mean_any)
{
	const struct policy policy = { .history_events = UINT64_MAX };
	struct past p = { .count = 0 };
	struct retention r;

	past_add(&p, 0, 0);
	past_add(&p, 1u << 30, 1);
	r = retention_now(&p, &policy, UINT64_MAX, 0);
	ck_assert(keeps(&r, &p, 0));
	ck_assert(keeps(&r, &p, 1));
}
END_TEST

START_TEST(nothing_at_or_below_the_floor_is_kept)
{
	const struct policy policy = { .history_events = UINT64_MAX };
	struct past p = { .count = 0 };
	struct retention r;

	for (int i = 0; i < 3; i++)
		past_add(&p, 1, 1000);
	r = retention_now(&p, &policy, 5000, id_of(1));
	ck_assert(!keeps(&r, &p, 0));
	ck_assert(!keeps(&r, &p, 1));
	ck_assert(keeps(&r, &p, 2));
}
END_TEST

/* For any past and limits: the rule in words, and never a hole in it. */
START_TEST(the_rule_is_exact_and_monotone)
{
	uint64_t random = (uint64_t)_i;
	struct past p = { .count = 0 };
	struct policy policy;
	uint64_t now = 1000, floor;
	struct retention r;
	bool kept = false;

	for (size_t n = 1 + random_below(&random, EVENTS); n > 0; n--) {
		past_add(&p, random_below(&random, 4) * 50, now);
		now += random_below(&random, 3) * 100;
	}
	now += random_below(&random, 1000);
	policy = (struct policy){
		.history_events = random_below(&random, 2) == 0 ?
		    UINT64_MAX :
		    random_below(&random, EVENTS),
		.history_bytes =
		    random_below(&random, 2) * random_below(&random, 5000),
		.history_age_ms =
		    random_below(&random, 2) * random_below(&random, 9000),
	};
	floor = random_below(&random, 2) * id_of(random_below(&random, EVENTS));
	r = retention_now(&p, &policy, now, floor);
	for (size_t i = 0; i < p.count; i++) {
		ck_assert_int_eq(
		    keeps(&r, &p, i), should_keep(&p, &policy, now, floor, i));
		ck_assert(!kept || keeps(&r, &p, i));
		kept = keeps(&r, &p, i);
	}
}
END_TEST

SUITE("storage/retention", TEST(the_newest_events_are_kept),
    TEST(fewer_events_than_the_limit_are_all_kept),
    TEST(a_limit_of_no_events_keeps_none),
    TEST(bytes_are_kept_up_to_the_event_that_reaches_the_limit),
    TEST(a_single_event_above_the_byte_limit_is_kept),
    TEST(an_event_is_kept_up_to_its_last_millisecond),
    TEST(no_age_and_no_bytes_mean_any),
    TEST(nothing_at_or_below_the_floor_is_kept),
    LOOP(the_rule_is_exact_and_monotone, 300))
