#include "proxy/base/utf8.h"

#include <string.h>

#define HIGH_BITS 0x8080808080808080ULL

/*
 * What may come next. Each state is a place in a row, where that row's byte has
 * the state that follows: one shift a byte, whatever the text is.
 */
enum {
	START = UTF8_BETWEEN,
	ONE = 6,  /* more, any */
	TWO = 12, /* likewise */
	E0 = 18,  /* behind that byte: shorter forms exist below a0 */
	ED = 24,  /* surrogates from a0 on */
	F0 = 30,  /* shorter forms below 90 */
	THREE = 36,
	F4 = 42,    /* above U+10FFFF from 90 on */
	WRONG = 48, /* for ever */
};

/* What follows on each state, in their order. */
#define ROW(start, one, two, e0, ed, f0, three, f4)                            \
	((uint64_t)(start) | (uint64_t)(one) << ONE | (uint64_t)(two) << TWO | \
	    (uint64_t)(e0) << E0 | (uint64_t)(ed) << ED |                      \
	    (uint64_t)(f0) << F0 | (uint64_t)(three) << THREE |                \
	    (uint64_t)(f4) << F4 | (uint64_t)WRONG << WRONG)
/* A byte that only begins a character, or never comes. */
#define FIRST(next) ROW(next, WRONG, WRONG, WRONG, WRONG, WRONG, WRONG, WRONG)

static const uint64_t rows[256] = {
	[0x00 ... 0x7f] = FIRST(START),
	[0x80 ... 0x8f] = ROW(WRONG, START, ONE, WRONG, ONE, WRONG, TWO, TWO),
	[0x90 ... 0x9f] = ROW(WRONG, START, ONE, WRONG, ONE, TWO, TWO, WRONG),
	[0xa0 ... 0xbf] = ROW(WRONG, START, ONE, ONE, WRONG, TWO, TWO, WRONG),
	[0xc0 ... 0xc1] = FIRST(WRONG), /* shorter forms exist */
	[0xc2 ... 0xdf] = FIRST(ONE),
	[0xe0] = FIRST(E0),
	[0xe1 ... 0xec] = FIRST(TWO),
	[0xed] = FIRST(ED),
	[0xee ... 0xef] = FIRST(TWO),
	[0xf0] = FIRST(F0),
	[0xf1 ... 0xf3] = FIRST(THREE),
	[0xf4] = FIRST(F4),
	[0xf5 ... 0xff] = FIRST(WRONG),
};

enum { WORDS = 8, WORD = sizeof(uint64_t), BLOCK = WORDS * WORD };

static bool
is_ascii_block(const uint8_t *p)
{
	uint64_t words[WORDS], all = 0;

	memcpy(words, p, sizeof(words));
	for (size_t i = 0; i < WORDS; i++)
		all |= words[i];
	return (all & HIGH_BITS) == 0;
}

static bool
is_ascii_word(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return (word & HIGH_BITS) == 0;
}

static uint64_t
walk(uint64_t state, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		state = rows[p[i]] >> (state & 63);
	return state & 63;
}

bool
utf8_feed(struct utf8 *u, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	uint64_t state = u->state;

	for (; n >= BLOCK && state != WRONG; p += BLOCK, n -= BLOCK)
		if (state != START || !is_ascii_block(p))
			state = walk(state, p, BLOCK);
	for (; n >= WORD; p += WORD, n -= WORD)
		if (state != START || !is_ascii_word(p))
			state = walk(state, p, WORD);
	u->state = (uint8_t)walk(state, p, n);
	return u->state != WRONG;
}

bool
utf8_valid(const void *bytes, size_t n)
{
	struct utf8 u = UTF8_START;

	return utf8_feed(&u, bytes, n) && utf8_complete(&u);
}
