#include "proxy/stream/link_index.h"

#include "tests/oom.h"
#include "tests/suite.h"

enum { LINKS = 1000, STEP = 373 }; /* which has no factor of LINKS */

static struct channel channels[LINKS];
static struct hub_channel hub_channels[LINKS];
static struct link links[LINKS];

/* Every second number is of a channel that nobody has a link to. */
static void
set_up(void)
{
	for (uint32_t i = 0; i < LINKS; i++) {
		channels[i] = (struct channel){ .number = 2 * i + 1 };
		hub_channels[i] =
		    (struct hub_channel){ .channel = &channels[i] };
		links[i] = (struct link){ .channel = &hub_channels[i] };
	}
}

static struct link_index *
with_links(size_t count)
{
	struct link_index *x = NULL;

	for (size_t i = 0; i < count; i++)
		ck_assert_int_eq(
		    link_index_add(&x, &links[i * STEP % LINKS]), SW_OK);
	return x;
}

START_TEST(each_link_is_found_by_its_channel_and_no_other)
{
	struct channel other = { .number = 0 };
	struct link_index *x;

	set_up();
	x = with_links(LINKS);
	for (size_t i = 0; i < LINKS; i++) {
		ck_assert_ptr_eq(link_index_find(x, &channels[i]), &links[i]);
		ck_assert_ptr_null(link_index_find(x, &other));
		other.number += 2;
	}
	ck_assert_ptr_null(link_index_find(x, &other));
	link_index_free(x);
}
END_TEST

START_TEST(what_is_removed_is_not_found_and_the_others_are)
{
	struct link_index *x;

	set_up();
	x = with_links(LINKS);
	for (size_t i = 0; i < LINKS; i++)
		if (i % 3 != 0)
			link_index_remove(x, &links[i]);
	for (size_t i = 0; i < LINKS; i++)
		ck_assert_ptr_eq(link_index_find(x, &channels[i]),
		    i % 3 == 0 ? &links[i] : NULL);
	for (size_t i = 0; i < LINKS; i += 3)
		link_index_remove(x, &links[i]);
	for (size_t i = 0; i < LINKS; i++)
		ck_assert_ptr_null(link_index_find(x, &channels[i]));
	/* It is empty, and goes on. */
	ck_assert_int_eq(link_index_add(&x, &links[7]), SW_OK);
	ck_assert_ptr_eq(link_index_find(x, &channels[7]), &links[7]);
	link_index_free(x);
}
END_TEST

/* Whatever could not be added, what was there before is found. */
static int
add_some(void *arg)
{
	struct link_index *x = NULL;
	int err = SW_OK;
	size_t i, k;

	(void)arg;
	for (i = 0; i < 100 && err == SW_OK; i++)
		err = link_index_add(&x, &links[i]);
	for (k = 0; k + (err != SW_OK) < i; k++)
		if (link_index_find(x, &channels[k]) != &links[k])
			err = SW_EINVAL;
	link_index_free(x);
	return err;
}

START_TEST(memory_runs_out)
{
	set_up();
	oom_tell(add_some, NULL);
}
END_TEST

SUITE("link_index", TEST(each_link_is_found_by_its_channel_and_no_other),
    TEST(what_is_removed_is_not_found_and_the_others_are),
    TEST(memory_runs_out))
