#include "proxy/base/list.h"

#include "tests/bytes.h"
#include "tests/suite.h"

struct item {
	char name;
	struct list node;
};

static struct item items[8];
static struct list one, two;

static void
start(void)
{
	list_init(&one);
	list_init(&two);
	for (size_t i = 0; i < 8; i++) {
		items[i].name = (char)('a' + i);
		list_init(&items[i].node);
	}
}

/* The names, forwards; backwards must be the same. */
static const char *
names(struct list *l)
{
	static char text[2][16];
	static unsigned turn;
	char *out = text[turn++ & 1];
	size_t n = 0, back = 0;

	list_each (it, l)
		out[n++] = container_of(it, struct item, node)->name;
	out[n] = '\0';
	for (struct list *it = l->prev; it != l; it = it->prev) {
		ck_assert_uint_lt(back, n);
		ck_assert_int_eq(
		    out[n - ++back], container_of(it, struct item, node)->name);
	}
	ck_assert_uint_eq(back, n);
	return out;
}

static void
append(struct list *l, const char *which)
{
	for (; *which != '\0'; which++)
		list_append(l, &items[*which - 'a'].node);
}

START_TEST(nodes_stand_in_the_order_they_came)
{
	start();
	ck_assert(list_empty(&one));
	append(&one, "abc");
	ck_assert(!list_empty(&one));
	ck_assert_str_eq(names(&one), "abc");
}
END_TEST

START_TEST(a_node_is_removed_from_anywhere_and_twice)
{
	start();
	append(&one, "abcd");
	list_remove(&items[1].node);
	ck_assert_str_eq(names(&one), "acd");
	list_remove(&items[1].node);
	ck_assert_str_eq(names(&one), "acd");
	list_remove(&items[0].node);
	ck_assert_str_eq(names(&one), "cd");
	list_remove(&items[3].node);
	ck_assert_str_eq(names(&one), "c");
	list_remove(&items[2].node);
	ck_assert(list_empty(&one));
	append(&one, "b");
	ck_assert_str_eq(names(&one), "b");
}
END_TEST

START_TEST(shifting_takes_the_oldest)
{
	start();
	ck_assert_ptr_null(list_shift(&one));
	append(&one, "ab");
	ck_assert_ptr_eq(list_shift(&one), &items[0].node);
	ck_assert(list_empty(&items[0].node));
	ck_assert_ptr_eq(list_shift(&one), &items[1].node);
	ck_assert_ptr_null(list_shift(&one));
}
END_TEST

START_TEST(splicing_moves_all_nodes_to_the_end)
{
	start();
	append(&one, "ab");
	append(&two, "cd");
	list_splice(&one, &two);
	ck_assert_str_eq(names(&one), "abcd");
	ck_assert(list_empty(&two));
	/* Nothing moves from an empty list. */
	list_splice(&one, &two);
	ck_assert_str_eq(names(&one), "abcd");
	/* And all of it to one. */
	list_splice(&two, &one);
	ck_assert_str_eq(names(&two), "abcd");
	ck_assert(list_empty(&one));
}
END_TEST

START_TEST(the_visited_node_may_be_removed)
{
	start();
	append(&one, "abcdef");
	list_each_safe (it, after, &one)
		if ((container_of(it, struct item, node)->name & 1) != 0) {
			list_remove(it);
			list_append(&two, it);
		}
	ck_assert_str_eq(names(&one), "bdf");
	ck_assert_str_eq(names(&two), "ace");
}
END_TEST

SUITE("list", TEST(nodes_stand_in_the_order_they_came),
    TEST(a_node_is_removed_from_anywhere_and_twice),
    TEST(shifting_takes_the_oldest), TEST(splicing_moves_all_nodes_to_the_end),
    TEST(the_visited_node_may_be_removed))
