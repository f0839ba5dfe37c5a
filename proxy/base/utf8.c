#include "proxy/base/utf8.h"

#include <stddef.h>
#include <string.h>

#define HIGH_BITS 0x8080808080808080ULL

/* What follows a first byte: how many more, and the range of the next. */
static bool
first_byte(struct utf8 *u, uint8_t c)
{
	*u = UTF8_START;
	if (c < 0x80)
		return true;
	if (c < 0xc2 || c > 0xf4)
		return false;
	u->left = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	if (c == 0xe0)
		u->low = 0xa0; /* shorter forms exist */
	else if (c == 0xed)
		u->high = 0x9f; /* surrogates */
	else if (c == 0xf0)
		u->low = 0x90;
	else if (c == 0xf4)
		u->high = 0x8f; /* above U+10FFFF */
	return true;
}

/* Many bytes at a time, then eight; stops before the first that is not. */
static const uint8_t *
skip_ascii(const uint8_t *p, const uint8_t *end)
{
	enum { WORDS = 8 };
	uint64_t words[WORDS], all;

	while (end - p >= (ptrdiff_t)sizeof(words)) {
		memcpy(words, p, sizeof(words));
		all = 0;
		for (size_t i = 0; i < WORDS; i++)
			all |= words[i];
		if ((all & HIGH_BITS) != 0)
			break;
		p += sizeof(words);
	}
	while (end - p >= 8) {
		memcpy(words, p, 8);
		if ((words[0] & HIGH_BITS) != 0)
			break;
		p += 8;
	}
	return p;
}

bool
utf8_feed(struct utf8 *u, const void *bytes, size_t n)
{
	const uint8_t *p = bytes, *end;

	if (n == 0)
		return true; /* and `bytes` may be NULL */
	end = p + n;
	while (p < end) {
		if (u->left == 0) {
			p = skip_ascii(p, end);
			if (p == end)
				break;
			if (*p < 0x80) {
				p++;
				continue;
			}
			if (!first_byte(u, *p++))
				return false;
			continue;
		}
		if (*p < u->low || *p > u->high)
			return false;
		u->left--;
		u->low = 0x80;
		u->high = 0xbf;
		p++;
	}
	return true;
}

bool
utf8_valid(const void *bytes, size_t n)
{
	struct utf8 u = UTF8_START;

	return utf8_feed(&u, bytes, n) && utf8_complete(&u);
}
