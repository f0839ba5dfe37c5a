#include "proxy/stream/merge.h"

#include <stdio.h>

#include "tests/oom.h"
#include "tests/proxy/stream/hub_world.h"

enum { LINKS = 150, EVENTS = 3000, WINDOW = 64 };

static struct hub_world w;
static struct link links[LINKS];

static const char *
name_of(unsigned i)
{
	static char name[16];

	snprintf(name, sizeof(name), "c%u", i);
	return name;
}

/*
 * A channel for each link; some are busier than others, some have no event, and
 * every link has got to another place.
 */
static void
set_up(void)
{
	unsigned random = 1;

	hub_world_init(&w, 64 << 20, WINDOW);
	memset(links, 0, sizeof(links));
	for (unsigned i = 0; i < LINKS; i++) {
		ck_assert_int_eq(hub_link(w.hub, &links[i],
				     hub_world_channel(&w, name_of(i)), 0),
		    SW_OK);
		links[i].next = i + 1 < LINKS ? &links[i + 1] : NULL;
	}
	for (unsigned i = 0; i < EVENTS; i++) {
		random = random * 1103515245 + 12345;
		hub_world_publish(
		    &w, name_of((random >> 16) % (LINKS / 2) * 2), 10);
	}
	for (unsigned i = 0; i < LINKS; i++)
		links[i].pos = (uint64_t)i * EVENTS / LINKS;
}

static void
clean_up(void)
{
	for (unsigned i = 0; i < LINKS; i++)
		if (links[i].channel != NULL)
			hub_unlink(w.hub, &links[i]);
	hub_world_fini(&w);
}

static unsigned
count_news(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < LINKS; i++) {
		const struct window *window;

		if (links[i].channel == NULL || links[i].alone)
			continue;
		window = &links[i].channel->window;
		n += window->count - window_find(window, links[i].pos);
	}
	return n;
}

/* Each event of each link, once, in the order of ids. */
static void
check_all(struct merge *m)
{
	unsigned want = count_news(), n = 0;
	uint64_t before = 0;
	struct link *owner;
	struct event *e;

	ck_assert_int_eq(merge_begin(m, &links[0]), SW_OK);
	while ((e = merge_peek(m, &owner)) != NULL) {
		ck_assert_uint_gt(e->id, before);
		ck_assert_uint_gt(e->id, owner->pos);
		ck_assert(!owner->alone);
		ck_assert_ptr_eq(owner->channel->channel, e->channel);
		before = e->id;
		n++;
		merge_advance(m);
	}
	ck_assert_uint_gt(n, 0);
	ck_assert_uint_eq(n, want);
}

START_TEST(news_of_all_links_come_in_the_order_of_ids)
{
	struct merge m = { .heap = NULL };

	set_up();
	check_all(&m);
	/* Again, with what it has. */
	check_all(&m);
	merge_free(&m);
	clean_up();
}
END_TEST

START_TEST(links_that_are_apart_or_gone_have_no_part)
{
	struct merge m = { .heap = NULL };

	set_up();
	for (unsigned i = 0; i < LINKS; i += 4)
		links[i].alone = true;
	hub_unlink(w.hub, &links[0]);
	check_all(&m);
	merge_free(&m);
	clean_up();
}
END_TEST

START_TEST(without_news_there_is_nothing)
{
	struct merge m = { .heap = NULL };
	struct link *owner;

	set_up();
	for (unsigned i = 0; i < LINKS; i++)
		links[i].pos = EVENTS;
	ck_assert_int_eq(merge_begin(&m, &links[0]), SW_OK);
	ck_assert_ptr_null(merge_peek(&m, &owner));
	merge_free(&m);
	clean_up();
}
END_TEST

static int
begin(void *arg)
{
	struct merge m = { .heap = NULL };
	int err = merge_begin(&m, arg);

	merge_free(&m);
	return err;
}

START_TEST(memory_runs_out)
{
	set_up();
	oom_tell(begin, &links[0]);
	clean_up();
}
END_TEST

SUITE("merge", TEST(news_of_all_links_come_in_the_order_of_ids),
    TEST(links_that_are_apart_or_gone_have_no_part),
    TEST(without_news_there_is_nothing), TEST(memory_runs_out))
