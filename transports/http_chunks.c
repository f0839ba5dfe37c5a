#include "transports/http_chunks.h"

#include "proxy/base/err.h"

static int
digit_of(uint8_t b)
{
	if (b >= '0' && b <= '9')
		return b - '0';
	b |= 0x20;
	return b >= 'a' && b <= 'f' ? b - 'a' + 10 : -1;
}

/* Text of an extension or a trailer: no control character but the tab. */
static int
drop(struct chunks *c, uint8_t b)
{
	if ((b < 0x20 && b != '\t') || b == 0x7f ||
	    ++c->dropped > CHUNKS_DROPPED_MAX)
		return SW_EPROTO;
	return SW_OK;
}

static int
expect(struct chunks *c, uint8_t b, uint8_t wanted, enum chunks_state next)
{
	if (b != wanted)
		return SW_EPROTO;
	c->state = next;
	return SW_OK;
}

static int
step_digits(struct chunks *c, uint8_t b)
{
	int digit = digit_of(b);

	if (digit >= 0) {
		if (c->left >> 56 != 0)
			return SW_EPROTO; /* no body is as large */
		/* Zeros in front say nothing, and there may be any number. */
		if (c->state == CHUNKS_DIGITS && c->left == 0 &&
		    drop(c, b) != SW_OK)
			return SW_EPROTO;
		c->left = c->left << 4 | (unsigned)digit;
		c->state = CHUNKS_DIGITS;
		return SW_OK;
	}
	if (c->state == CHUNKS_SIZE)
		return SW_EPROTO;
	if (b == ';') {
		c->state = CHUNKS_EXTENSION;
		return drop(c, b);
	}
	return expect(c, b, '\r', CHUNKS_SIZE_LF);
}

/* A byte that is not the body's. */
static int
step(struct chunks *c, uint8_t b)
{
	switch (c->state) {
	case CHUNKS_SIZE:
	case CHUNKS_DIGITS:
		return step_digits(c, b);
	case CHUNKS_EXTENSION:
		return b == '\r' ? expect(c, b, '\r', CHUNKS_SIZE_LF) :
				   drop(c, b);
	case CHUNKS_SIZE_LF:
		return expect(
		    c, b, '\n', c->left > 0 ? CHUNKS_DATA : CHUNKS_TRAILER);
	case CHUNKS_DATA_CR:
		return expect(c, b, '\r', CHUNKS_DATA_LF);
	case CHUNKS_DATA_LF:
		return expect(c, b, '\n', CHUNKS_SIZE);
	case CHUNKS_TRAILER:
		if (b == '\r')
			return expect(c, b, '\r', CHUNKS_LAST_LF);
		c->state = CHUNKS_TRAILER_LINE;
		return drop(c, b);
	case CHUNKS_TRAILER_LINE:
		return b == '\r' ? expect(c, b, '\r', CHUNKS_TRAILER_LF) :
				   drop(c, b);
	case CHUNKS_TRAILER_LF:
		return expect(c, b, '\n', CHUNKS_TRAILER);
	case CHUNKS_LAST_LF:
		return expect(c, b, '\n', CHUNKS_END);
	case CHUNKS_DATA:
	case CHUNKS_END:
		break;
	}
	return SW_EPROTO;
}

int
chunks_read(struct chunks *c, const uint8_t *p, size_t n, size_t max,
    size_t *used, size_t *data)
{
	int err;

	*used = *data = 0;
	while (c->state != CHUNKS_DATA && c->state != CHUNKS_END) {
		if (*used == n)
			return SW_OK;
		if ((err = step(c, p[*used])) != SW_OK)
			return err;
		++*used;
	}
	if (c->state == CHUNKS_END)
		return SW_OK;
	*data = n - *used < max ? n - *used : max;
	if (*data > c->left)
		*data = (size_t)c->left;
	*used += *data;
	c->left -= *data;
	if (c->left == 0)
		c->state = CHUNKS_DATA_CR;
	return SW_OK;
}
