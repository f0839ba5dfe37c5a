#include "proxy/stream/hub.h"

#include "proxy/stream/deliver.h"
#include "tests/proxy/stream/hub_world.h"

enum { LINKS = 200, WINDOW = 100, ROOM = 1 << 20 };

/* Who was woken, in order; what a subscriber does is its own matter. */
static struct link *woken[10 * LINKS];
static size_t woken_count;
static void (*on_wake)(struct link *l);

void __wrap_deliver_wake(struct link *l);
void __wrap_subscriber_close(struct subscriber *s, enum close_why why);

void
__wrap_deliver_wake(struct link *l)
{
	ck_assert_uint_lt(woken_count, COUNT(woken));
	woken[woken_count++] = l;
	if (on_wake != NULL)
		on_wake(l);
}

static struct hub_world w;
static struct link links[LINKS];
static enum close_why closed_why;
static size_t closed_count;

/* A subscriber of one link: here it is the link itself. */
void
__wrap_subscriber_close(struct subscriber *s, enum close_why why)
{
	struct link *l = (struct link *)(void *)s;

	closed_count++;
	closed_why = why;
	hub_unlink(w.hub, l);
}

static void
set_up(void)
{
	hub_world_init(&w, ROOM, WINDOW);
	memset(links, 0, sizeof(links));
	woken_count = closed_count = 0;
	on_wake = NULL;
	for (size_t i = 0; i < LINKS; i++)
		links[i].subscriber = (struct subscriber *)(void *)&links[i];
}

static void
link_all(const char *name, size_t from, size_t count)
{
	struct hub_channel *hc = hub_world_channel(&w, name);

	for (size_t i = from; i < from + count; i++)
		ck_assert_int_eq(
		    hub_link(w.hub, &links[i], hc, hub_channel_newest(hc)),
		    SW_OK);
}

static void
clean_up(void)
{
	for (size_t i = 0; i < LINKS; i++)
		if (links[i].channel != NULL)
			hub_unlink(w.hub, &links[i]);
	hub_world_fini(&w);
}

static bool
was_woken(const struct link *l)
{
	for (size_t i = 0; i < woken_count; i++)
		if (woken[i] == l)
			return true;
	return false;
}

START_TEST(each_link_of_the_channel_hears_of_news_once)
{
	set_up();
	link_all("a", 0, 50);
	link_all("b", 50, 50);
	hub_world_publish(&w, "a", 10);
	hub_world_publish(&w, "a", 10);
	ck_assert(link_has_news(&links[0]));
	ck_assert(!link_has_news(&links[50]));
	ck_assert(!hub_deliver(w.hub, 1000));
	ck_assert_uint_eq(woken_count, 50);
	for (size_t i = 0; i < 50; i++)
		ck_assert(was_woken(&links[i]));
	/* And not again. */
	ck_assert(!hub_deliver(w.hub, 1000));
	ck_assert_uint_eq(woken_count, 50);
	clean_up();
}
END_TEST

START_TEST(a_budget_ends_a_turn_and_the_next_goes_on)
{
	size_t turns = 1;

	set_up();
	link_all("a", 0, 60);
	link_all("b", 60, 60);
	hub_world_publish(&w, "a", 1);
	hub_world_publish(&w, "b", 1);
	while (hub_deliver(w.hub, 7)) {
		ck_assert_uint_eq(woken_count, 7 * turns);
		turns++;
	}
	ck_assert_uint_eq(woken_count, 120);
	for (size_t i = 0; i < 120; i++)
		ck_assert(was_woken(&links[i]));
	clean_up();
}
END_TEST

/* What comes while a channel is delivered is delivered to all of it. */
START_TEST(news_during_a_delivery_reach_those_who_were_visited)
{
	set_up();
	link_all("a", 0, 20);
	hub_world_publish(&w, "a", 1);
	ck_assert(hub_deliver(w.hub, 5));
	hub_world_publish(&w, "a", 1);
	ck_assert(!hub_deliver(w.hub, 1000));
	ck_assert_uint_eq(woken_count, 40);
	clean_up();
}
END_TEST

static void
leave_when_woken(struct link *l)
{
	/* With a neighbour, who was visited or is still to be. */
	size_t i = (size_t)(l - links), other = i ^ 1;

	hub_unlink(w.hub, l);
	if (i % 3 == 0 && links[other].channel != NULL)
		hub_unlink(w.hub, &links[other]);
}

START_TEST(whoever_leaves_meanwhile_hides_nobody)
{
	bool gone[LINKS];

	set_up();
	link_all("a", 0, LINKS);
	on_wake = leave_when_woken;
	hub_world_publish(&w, "a", 1);
	ck_assert(!hub_deliver(w.hub, 100000));
	for (size_t i = 0; i < LINKS; i++) {
		gone[i] = links[i].channel == NULL;
		ck_assert(gone[i]);
		/* Woken once, or taken along by who was. */
		ck_assert(was_woken(&links[i]) || was_woken(&links[i ^ 1]));
	}
	for (size_t i = 0; i < woken_count; i++)
		for (size_t j = i + 1; j < woken_count; j++)
			ck_assert_ptr_ne(woken[i], woken[j]);
	clean_up();
}
END_TEST

START_TEST(a_channel_begins_behind_what_it_never_saw)
{
	struct hub_channel *hc;
	struct channel *c;

	set_up();
	/* Two ids that went to channels of others. */
	w.id = 2;
	hub_world_commit(&w, NULL, 0, NULL);
	c = world_channel(&w.world, "old");
	atomic_store(&c->head, 1);
	hc = hub_world_channel(&w, "old");
	ck_assert_uint_eq(hc->window.after, 1);
	channel_unref(c);
	/* Its newest event is on its way, what was before that is not here. */
	c = world_channel(&w.world, "moving");
	channel_advance(c, 1);
	channel_advance(c, 9);
	hc = hub_world_channel(&w, "moving");
	ck_assert_uint_eq(hc->window.after, 1);
	channel_unref(c);
	/* More than that are, and which was before them nobody knows. */
	c = world_channel(&w.world, "running");
	channel_advance(c, 1);
	channel_advance(c, 8);
	channel_advance(c, 9);
	hc = hub_world_channel(&w, "running");
	ck_assert_uint_eq(hc->window.after, 2);
	channel_unref(c);
	/* Its first ones are: nothing was before, and nobody has missed it. */
	c = world_channel(&w.world, "new");
	channel_advance(c, 8);
	channel_advance(c, 9);
	hc = hub_world_channel(&w, "new");
	ck_assert_uint_eq(hc->window.after, 0);
	channel_unref(c);
	clean_up();
}
END_TEST

START_TEST(a_window_keeps_the_newest)
{
	struct hub_channel *hc;

	set_up();
	link_all("a", 0, 1);
	for (unsigned i = 0; i < 3 * WINDOW; i++)
		hub_world_publish(&w, "a", 10);
	hc = hub_world_channel(&w, "a");
	ck_assert_uint_eq(hc->window.count, WINDOW);
	ck_assert_uint_eq(hub_channel_newest(hc), 3 * WINDOW);
	ck_assert_uint_eq(hc->window.after, 2 * WINDOW);
	ck_assert_uint_eq(w.hub->events, WINDOW);
	ck_assert_uint_eq(w.hub->bytes, hc->window.bytes);
	/* A cursor at its edge is in it, one before that is not. */
	links[0].pos = 2 * WINDOW;
	ck_assert(link_in_window(&links[0]));
	links[0].pos--;
	ck_assert(!link_in_window(&links[0]));
	ck_assert(link_has_news(&links[0]));
	clean_up();
}
END_TEST

START_TEST(memory_is_taken_from_who_was_quiet_longest)
{
	char name[16];

	set_up();
	link_all("old", 0, 1);
	hub_world_publish(&w, "old", 1000);
	for (unsigned i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		hub_world_publish(&w, name, 10000);
		ck_assert_uint_le(w.hub->bytes, ROOM);
	}
	/* Somebody listens: it is here, with nothing in its window. */
	ck_assert_uint_eq(hub_world_channel(&w, "old")->window.count, 0);
	ck_assert(link_in_window(&links[0]) == false);
	/* Nobody does: gone. */
	ck_assert_ptr_null(hub_channel_find(w.hub, STR("c0")));
	ck_assert_ptr_nonnull(hub_channel_find(w.hub, STR("c199")));
	clean_up();
}
END_TEST

/* One channel must not push all others out. */
START_TEST(a_channel_has_a_share_of_the_memory)
{
	set_up();
	link_all("small", 0, 1);
	hub_world_publish(&w, "small", 100);
	for (unsigned i = 0; i < 90; i++)
		hub_world_publish(&w, "large", 20000);
	ck_assert_uint_le(
	    hub_world_channel(&w, "large")->window.bytes, ROOM / 4);
	ck_assert_uint_eq(hub_world_channel(&w, "small")->window.count, 1);
	/* But always its newest event, however large. */
	hub_world_publish(&w, "large", ROOM / 2);
	ck_assert_uint_eq(hub_world_channel(&w, "large")->window.count, 1);
	clean_up();
}
END_TEST

START_TEST(an_event_that_was_missed_ends_what_was_before)
{
	struct channel *c;
	struct event *e;

	set_up();
	link_all("a", 0, 1);
	hub_world_publish(&w, "a", 1);
	hub_world_publish(&w, "a", 1);
	c = world_channel(&w.world, "a");
	w.id++; /* one in between, which never came here */
	e = make_sized_event(c, 1);
	e->previous = w.id;
	e->id = ++w.id;
	hub_world_commit(&w, &e, 1, NULL);
	ck_assert_uint_eq(hub_world_channel(&w, "a")->window.count, 1);
	ck_assert_uint_eq(hub_world_channel(&w, "a")->window.after, 3);
	ck_assert(!link_in_window(&links[0]));
	channel_unref(c);
	clean_up();
}
END_TEST

START_TEST(who_listens_to_a_channel_that_is_cleared_is_closed)
{
	set_up();
	link_all("a", 0, 30);
	link_all("b", 30, 30);
	hub_world_publish(&w, "a", 1);
	hub_world_publish(&w, "b", 1);
	hub_world_commit(&w, NULL, 0, world_channel(&w.world, "a"));
	ck_assert(!hub_deliver(w.hub, 1000));
	ck_assert_uint_eq(closed_count, 30);
	ck_assert_int_eq(closed_why, CLOSE_DELETED);
	for (size_t i = 0; i < 60; i++)
		ck_assert_int_eq(links[i].channel == NULL, i < 30);
	ck_assert_uint_eq(woken_count, 30);
	ck_assert_ptr_null(hub_channel_find(w.hub, STR("a")));
	/* A channel that nobody here has heard of. */
	hub_world_commit(&w, NULL, 0, world_channel(&w.world, "unheard-of"));
	ck_assert_uint_eq(closed_count, 30);
	clean_up();
}
END_TEST

/* And the turns between belong to the others, under its name too. */
START_TEST(thousands_who_listened_are_closed_in_portions)
{
	size_t turns = 1, before = 0;

	set_up();
	link_all("a", 0, 190);
	hub_world_publish(&w, "a", 1);
	hub_world_commit(&w, NULL, 0, world_channel(&w.world, "a"));
	ck_assert_ptr_null(hub_channel_find(w.hub, STR("a")));
	link_all("a", 190, 10);
	hub_world_publish(&w, "a", 1);
	while (hub_deliver(w.hub, 1000)) {
		ck_assert_uint_gt(closed_count, before);
		ck_assert_uint_lt(closed_count - before, 100);
		before = closed_count;
		for (size_t i = 0; i < 190; i++)
			ck_assert(links[i].channel == NULL ||
			    !link_has_news(&links[i]));
		turns++;
	}
	ck_assert_uint_ge(turns, 2);
	ck_assert_uint_eq(closed_count, 190);
	ck_assert_uint_eq(woken_count, 10);
	for (size_t i = 0; i < LINKS; i++)
		ck_assert_int_eq(links[i].channel == NULL, i < 190);
	clean_up();
}
END_TEST

/* One goes by itself before its turn, and with the last the channel. */
START_TEST(who_leaves_a_deleted_channel_is_not_closed)
{
	set_up();
	link_all("a", 0, 2);
	hub_world_commit(&w, NULL, 0, world_channel(&w.world, "a"));
	hub_unlink(w.hub, &links[1]);
	hub_unlink(w.hub, &links[0]);
	ck_assert(!hub_deliver(w.hub, 1000));
	ck_assert_uint_eq(closed_count, 0);
	clean_up();
}
END_TEST

START_TEST(a_channel_goes_when_nobody_needs_it)
{
	set_up();
	link_all("a", 0, 2);
	hub_unlink(w.hub, &links[0]);
	ck_assert_ptr_nonnull(hub_channel_find(w.hub, STR("a")));
	hub_unlink(w.hub, &links[1]);
	ck_assert_ptr_null(hub_channel_find(w.hub, STR("a")));
	/* With events in its window it stays. */
	link_all("b", 2, 1);
	hub_world_publish(&w, "b", 1);
	hub_unlink(w.hub, &links[2]);
	ck_assert_ptr_nonnull(hub_channel_find(w.hub, STR("b")));
	ck_assert(!hub_deliver(w.hub, 10));
	ck_assert_uint_eq(woken_count, 0);
	clean_up();
}
END_TEST

/* What was made for a window is not taken for that of another channel. */
START_TEST(no_window_is_ever_like_one_before)
{
	enum { ROUNDS = 50 };
	uint64_t last = 0;
	char name[16];

	set_up();
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct hub_channel *hc;

		snprintf(name, sizeof(name), "c%u", i);
		hc = hub_world_channel(&w, name);
		ck_assert_uint_gt(hc->generation, last);
		last = hc->generation;
		hub_world_publish(&w, name, 10);
		ck_assert_uint_gt(hc->generation, last);
		last = hc->generation;
		/* The next one may have its place in memory. */
		hub_world_commit(&w, NULL, 0, world_channel(&w.world, name));
		ck_assert_ptr_null(hub_channel_find(w.hub, str_of(name)));
	}
	clean_up();
}
END_TEST

/* What a window holds cannot be forgotten. */
START_TEST(a_window_without_history_goes_unless_somebody_may_need_it)
{
	set_up();
	world_rule(&w.world, "aged",
	    (struct policy){
		.history_events = UINT64_MAX,
		.history_age_ms = 1000,
	    });
	link_all("aged-listened", 0, 1);
	hub_world_publish(&w, "aged-listened", 10);
	hub_world_publish(&w, "aged", 10);
	hub_world_publish(&w, "kept", 10);
	ck_assert(timer_is_set(&w.hub->look));
	w.hub->look.fire(&w.hub->look);
	ck_assert_ptr_null(hub_channel_find(w.hub, STR("aged")));
	ck_assert_uint_eq(hub_world_channel(&w, "kept")->window.count, 1);
	/* A slow socket is written from it. */
	ck_assert_uint_eq(
	    hub_world_channel(&w, "aged-listened")->window.count, 1);
	ck_assert_uint_eq(w.hub->events, 2);
	ck_assert(!hub_deliver(w.hub, 10));
	hub_unlink(w.hub, &links[0]);
	w.hub->look.fire(&w.hub->look);
	ck_assert_ptr_null(hub_channel_find(w.hub, STR("aged-listened")));
	clean_up();
}
END_TEST

SUITE("hub", TEST(each_link_of_the_channel_hears_of_news_once),
    TEST(a_budget_ends_a_turn_and_the_next_goes_on),
    TEST(news_during_a_delivery_reach_those_who_were_visited),
    TEST(whoever_leaves_meanwhile_hides_nobody),
    TEST(a_channel_begins_behind_what_it_never_saw),
    TEST(a_window_keeps_the_newest),
    TEST(memory_is_taken_from_who_was_quiet_longest),
    TEST(a_channel_has_a_share_of_the_memory),
    TEST(an_event_that_was_missed_ends_what_was_before),
    TEST(who_listens_to_a_channel_that_is_cleared_is_closed),
    TEST(thousands_who_listened_are_closed_in_portions),
    TEST(who_leaves_a_deleted_channel_is_not_closed),
    TEST(a_channel_goes_when_nobody_needs_it),
    TEST(no_window_is_ever_like_one_before),
    TEST(a_window_without_history_goes_unless_somebody_may_need_it))
