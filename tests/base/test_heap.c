#include "proxy/base/heap.h"

#include "tests/suite.h"

enum { MAX = 300 };

static struct heap_entry heap[MAX];
static uint64_t keys[MAX];
static unsigned seed;

static uint64_t
next_random(void)
{
	seed = seed * 1103515245 + 12345;
	return seed >> 16;
}

/* Few different keys, so that many are equal; and all of them different. */
static void
fill(size_t count, uint64_t different)
{
	for (size_t i = 0; i < count; i++) {
		keys[i] = next_random() % different;
		heap[i] = (struct heap_entry){ keys[i], &keys[i] };
	}
	heap_build(heap, count);
}

START_TEST(entries_are_taken_in_the_order_of_their_keys)
{
	for (size_t count = 0; count <= MAX; count++) {
		uint64_t before = 0, sum = 0;
		size_t left = count;

		fill(count, count % 2 == 0 ? 7 : UINT64_MAX);
		for (; left > 0; heap_settle(heap, left)) {
			ck_assert_uint_ge(heap[0].key, before);
			/* An item stays with its key, and comes once. */
			ck_assert_uint_eq(
			    *(uint64_t *)heap[0].item, heap[0].key);
			*(uint64_t *)heap[0].item = UINT64_MAX;
			before = heap[0].key;
			sum++;
			heap[0] = heap[--left];
		}
		ck_assert_uint_eq(sum, count);
	}
}
END_TEST

START_TEST(the_first_finds_its_place_when_its_key_grows)
{
	uint64_t before = 0;

	fill(MAX, 1000);
	for (unsigned i = 0; i < 10 * MAX; i++) {
		ck_assert_uint_ge(heap[0].key, before);
		before = heap[0].key;
		heap[0].key += next_random() % 100;
		heap_settle(heap, MAX);
	}
}
END_TEST

SUITE("heap", TEST(entries_are_taken_in_the_order_of_their_keys),
    TEST(the_first_finds_its_place_when_its_key_grows))
