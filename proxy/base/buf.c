#include "proxy/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/err.h"

void
buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .max = max };
}

void
buf_fini(struct buf *b)
{
	free(b->bytes);
	*b = (struct buf){ .max = b->max };
}

static int
fail(struct buf *b, int err)
{
	if (b->error == SW_OK)
		b->error = err;
	return err;
}

int
buf_reserve(struct buf *b, size_t n)
{
	size_t len = buf_len(b), cap;
	uint8_t *bytes;

	if (n <= b->cap - b->tail && n <= b->max - len)
		return SW_OK;
	if (n > b->max || len > b->max - n)
		return fail(b, SW_ELIMIT);
	if (b->head > 0 && (b->head >= len || n <= b->cap - len)) {
		memmove(b->bytes, b->bytes + b->head, len);
		b->tail = len;
		b->head = 0;
		if (n <= b->cap - len)
			return SW_OK;
	}
	cap = b->cap < 64 ? 64 : b->cap * 2;
	if (cap < b->head + len + n)
		cap = b->head + len + n;
	bytes = realloc(b->bytes, cap);
	if (bytes == NULL)
		return fail(b, SW_ENOMEM);
	b->bytes = bytes;
	b->cap = cap;
	return SW_OK;
}

int
buf_put_u64(struct buf *b, uint64_t value)
{
	char digits[20];
	size_t n = sizeof(digits);

	do {
		digits[--n] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	return buf_put(b, digits + n, sizeof(digits) - n);
}

int
buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;
	int n, err;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0)
		return fail(b, SW_EINVAL);
	/* vsnprintf writes a final NUL, which stays outside the contents. */
	if ((err = buf_reserve(b, (size_t)n + 1)) != SW_OK)
		return err;
	va_start(args, format);
	vsnprintf((char *)b->bytes + b->tail, (size_t)n + 1, format, args);
	va_end(args);
	b->tail += (size_t)n;
	return SW_OK;
}

void
buf_drop(struct buf *b, size_t n)
{
	b->head += n;
	if (b->head == b->tail)
		b->head = b->tail = 0;
}

void
buf_clear(struct buf *b)
{
	b->head = b->tail = 0;
	b->error = SW_OK;
}

void
buf_release(struct buf *b)
{
	if (buf_len(b) > 0)
		return;
	free(b->bytes);
	b->bytes = NULL;
	b->head = b->tail = b->cap = 0;
}

uint8_t *
buf_take(struct buf *b, size_t *len)
{
	uint8_t *bytes = b->bytes;

	*len = buf_len(b);
	if (bytes != NULL && b->head > 0)
		memmove(bytes, bytes + b->head, *len);
	*b = (struct buf){ .max = b->max };
	return bytes;
}
