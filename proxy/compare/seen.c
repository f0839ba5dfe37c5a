#include "proxy/compare/seen.h"

#include <string.h>

static uint64_t
bit_of(uint64_t n)
{
	return UINT64_C(1) << (n % 64);
}

static uint64_t *
word_of(struct seen *s, uint64_t n)
{
	return &s->bits[n % SEEN_BACK / 64];
}

void
seen_init(struct seen *s, uint64_t before)
{
	/* As if all of them had come. */
	memset(s->bits, 0xff, sizeof(s->bits));
	s->highest = before;
}

enum seen_as
seen_take(struct seen *s, uint64_t n)
{
	if (n > s->highest) {
		uint64_t passed = n - s->highest - 1;

		/* Places of those passed over, and of their predecessors. */
		if (passed >= SEEN_BACK)
			memset(s->bits, 0, sizeof(s->bits));
		else
			for (uint64_t i = s->highest + 1; i < n; i++)
				*word_of(s, i) &= ~bit_of(i);
		s->highest = n;
		*word_of(s, n) |= bit_of(n);
		return SEEN_NEXT;
	}
	if (s->highest - n >= SEEN_BACK || (*word_of(s, n) & bit_of(n)) != 0)
		return SEEN_AGAIN;
	*word_of(s, n) |= bit_of(n);
	return SEEN_LATE;
}
