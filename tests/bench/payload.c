#include "tests/bench/payload.h"

#include <string.h>

/* Where the fields are. */
enum { AT_CHANNEL = 6, AT_SEQ = 11, AT_STAMP = 20, AT_FILL = 36 };

static void
put_hex(uint8_t *out, size_t digits, uint64_t value)
{
	while (digits-- > 0) {
		out[digits] = (uint8_t) "0123456789abcdef"[value & 15];
		value >>= 4;
	}
}

static uint64_t
get_hex(const char *p, size_t digits)
{
	uint64_t value = 0;

	for (; digits > 0; digits--, p++)
		value = value << 4 |
		    (uint64_t)(*p >= 'a' ? *p - 'a' + 10 : *p - '0');
	return value;
}

void
payload_write(uint8_t *out, size_t size, struct payload what)
{
	memset(out, 'x', size);
	memcpy(out, PAYLOAD_MARK, AT_CHANNEL);
	put_hex(out + AT_CHANNEL, 4, what.channel);
	put_hex(out + AT_SEQ, 8, what.seq);
	put_hex(out + AT_STAMP, 16, what.stamp);
	out[AT_SEQ - 1] = out[AT_STAMP - 1] = out[AT_FILL] = ':';
	out[size - 1] = ';';
}

int
payload_next(struct payload *out, struct str *text, size_t size)
{
	const char *p;

	if (text->len < AT_CHANNEL)
		return 0;
	p = memmem(text->p, text->len, PAYLOAD_MARK, AT_CHANNEL);
	if (p == NULL)
		return 0;
	text->len -= (size_t)(p - text->p);
	text->p = p;
	if (text->len < size || p[AT_SEQ - 1] != ':' ||
	    p[AT_STAMP - 1] != ':' || p[AT_FILL] != ':' || p[size - 1] != ';')
		return -1;
	out->channel = (uint32_t)get_hex(p + AT_CHANNEL, 4);
	out->seq = (uint32_t)get_hex(p + AT_SEQ, 8);
	out->stamp = get_hex(p + AT_STAMP, 16);
	text->p += size;
	text->len -= size;
	return 1;
}
