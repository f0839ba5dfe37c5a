#include "proxy/base/utf8.h"

#include <string.h>

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

bool
utf8_feed(struct utf8 *u, const void *bytes, size_t n)
{
	const uint8_t *p = bytes, *end;

	if (n == 0)
		return true; /* and `bytes` may be NULL */
	end = p + n;
	while (p < end) {
		if (u->left == 0) {
			uint64_t word;

			/* ASCII, eight bytes at a time. */
			while (end - p >= 8) {
				memcpy(&word, p, 8);
				if ((word & 0x8080808080808080ULL) != 0)
					break;
				p += 8;
			}
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
