#include "proxy/base/map.h"

#include "proxy/base/err.h"
#include "proxy/base/list.h"
#include "tests/bytes.h"
#include "tests/suite.h"

enum { MANY = 5000 };

struct thing {
	struct map_entry entry;
	char name[24];
	unsigned seen;
	bool there;
};

static struct thing things[MANY];

static struct str
name_of(const struct thing *t)
{
	return str_of(t->name);
}

static void
fill(struct map *m, uint64_t seed)
{
	map_init(m, seed);
	for (unsigned i = 0; i < MANY; i++) {
		struct thing *t = &things[i];

		*t = (struct thing){ .there = true };
		/* Of all lengths from 1 on: the hash reads eight at a time. */
		snprintf(t->name, sizeof(t->name), "%.*s%u", (int)(i % 13),
		    "-------------", i);
		ck_assert_ptr_null(map_find(m, name_of(t)));
		ck_assert_int_eq(map_add(m, &t->entry, name_of(t)), SW_OK);
		ck_assert_uint_eq(m->count, i + 1);
	}
}

START_TEST(an_empty_map_finds_nothing)
{
	struct map m;

	map_init(&m, 1);
	ck_assert_ptr_null(map_find(&m, STR("a")));
	ck_assert_ptr_null(map_next(&m, NULL));
	map_fini(&m);
	map_fini(&m);
}
END_TEST

START_TEST(every_entry_is_found_while_the_table_grows)
{
	struct map m;

	fill(&m, 42);
	for (unsigned i = 0; i < MANY; i++) {
		/* The key's bytes count, not where they are. */
		char *copy = bytes_copy(name_of(&things[i]));
		struct str key = { copy, strlen(things[i].name) };

		ck_assert_ptr_eq(map_find(&m, key), &things[i].entry);
		free(copy);
	}
	ck_assert_ptr_null(map_find(&m, STR("nobody")));
	ck_assert_ptr_null(map_find(&m, STR("")));
	map_fini(&m);
}
END_TEST

START_TEST(walking_meets_every_entry_once)
{
	struct map_entry *e = NULL;
	struct map m;

	fill(&m, 7);
	while ((e = map_next(&m, e)) != NULL)
		container_of(e, struct thing, entry)->seen++;
	for (unsigned i = 0; i < MANY; i++)
		ck_assert_uint_eq(things[i].seen, 1);
	map_fini(&m);
}
END_TEST

START_TEST(what_is_removed_is_gone_and_the_rest_is_not)
{
	struct map_entry *e = NULL;
	uint64_t random = 12345;
	unsigned left = 0;
	struct map m;

	fill(&m, 99);
	for (unsigned i = 0; i < MANY; i++)
		if (bytes_random(&random) % 3 != 0) {
			map_remove(&m, &things[i].entry);
			things[i].there = false;
		} else {
			left++;
		}
	ck_assert_uint_eq(m.count, left);
	for (unsigned i = 0; i < MANY; i++)
		ck_assert_ptr_eq(map_find(&m, name_of(&things[i])),
		    things[i].there ? &things[i].entry : NULL);
	while ((e = map_next(&m, e)) != NULL) {
		struct thing *t = container_of(e, struct thing, entry);

		ck_assert(t->there);
		t->seen++;
		left--;
	}
	ck_assert_uint_eq(left, 0);
	/* And it may come back. */
	for (unsigned i = 0; i < MANY; i++)
		if (!things[i].there)
			ck_assert_int_eq(
			    map_add(&m, &things[i].entry, name_of(&things[i])),
			    SW_OK);
	ck_assert_uint_eq(m.count, MANY);
	map_fini(&m);
}
END_TEST

START_TEST(keys_are_bytes_with_a_length)
{
	static const struct {
		const char *p;
		size_t len;
	} keys[] = {
		{ "a", 1 },
		{ "a\0", 2 },
		{ "a\0\0", 3 },
		{ "aaaaaaaa", 8 },
		{ "aaaaaaaa\0", 9 },
		{ "aaaaaaaab", 9 },
		{ "aaaaaaaaaaaaaaaa", 16 },
		{ "", 0 },
	};
	struct map_entry entries[COUNT(keys)];
	struct map m;

	map_init(&m, 3);
	for (size_t i = 0; i < COUNT(keys); i++) {
		struct str key = { keys[i].p, keys[i].len };

		ck_assert_ptr_null(map_find(&m, key));
		ck_assert_int_eq(map_add(&m, &entries[i], key), SW_OK);
	}
	for (size_t i = 0; i < COUNT(keys); i++) {
		struct str key = { keys[i].p, keys[i].len };

		ck_assert_ptr_eq(map_find(&m, key), &entries[i]);
	}
	map_fini(&m);
}
END_TEST

/* Who does not know the seed cannot choose names that meet in one slot. */
START_TEST(the_seed_changes_where_names_meet)
{
	struct map_entry entries[2][64];
	char names[64][8];
	struct map maps[2];
	unsigned same = 0;

	map_init(&maps[0], 1);
	map_init(&maps[1], 2);
	for (unsigned i = 0; i < 64; i++) {
		snprintf(names[i], sizeof(names[i]), "ch-%u", i);
		for (unsigned k = 0; k < 2; k++)
			ck_assert_int_eq(
			    map_add(&maps[k], &entries[k][i], str_of(names[i])),
			    SW_OK);
	}
	for (unsigned i = 0; i < 64; i++)
		same += (entries[0][i].hash & 63) == (entries[1][i].hash & 63);
	ck_assert_uint_lt(same, 16);
	map_fini(&maps[0]);
	map_fini(&maps[1]);
}
END_TEST

SUITE("map", TEST(an_empty_map_finds_nothing),
    TEST(every_entry_is_found_while_the_table_grows),
    TEST(walking_meets_every_entry_once),
    TEST(what_is_removed_is_gone_and_the_rest_is_not),
    TEST(keys_are_bytes_with_a_length), TEST(the_seed_changes_where_names_meet))
