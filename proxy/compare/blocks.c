#include "proxy/compare/blocks.h"

#include "proxy/base/err.h"

void
blocks_init(struct blocks *b)
{
	*b = (struct blocks){ 0 };
	buf_init(&b->line, BLOCKS_BLOCK_MAX);
	buf_init(&b->data, BLOCKS_BLOCK_MAX);
	buf_init(&b->name, 1 << 10);
}

void
blocks_fini(struct blocks *b)
{
	buf_fini(&b->line);
	buf_fini(&b->data);
	buf_fini(&b->name);
}

static int
end_block(struct blocks *b, const struct blocks_handler *h)
{
	int err = SW_OK;

	if (b->has_data)
		err = h->take(
		    h->ctx, buf_str(&b->name), buf_str(&b->data), b->size);
	else
		h->skip(h->ctx, b->size);
	buf_clear(&b->name);
	buf_clear(&b->data);
	b->has_data = false;
	b->size = 0;
	return err;
}

static int
end_line(struct blocks *b, const struct blocks_handler *h)
{
	struct str line = buf_str(&b->line), value = { "", 0 };
	const char *colon;
	int err = SW_OK;

	if (line.len == 0)
		return end_block(b, h);
	colon = memchr(line.p, ':', line.len);
	if (colon != NULL) {
		value = (struct str){ colon + 1,
			line.len - (size_t)(colon + 1 - line.p) };
		line.len = (size_t)(colon - line.p);
		if (value.len > 0 && value.p[0] == ' ')
			value = (struct str){ value.p + 1, value.len - 1 };
	}
	if (str_is(line, "data")) {
		if (b->has_data)
			buf_put(&b->data, "\n", 1);
		b->has_data = true;
		buf_put_str(&b->data, value);
		err = buf_error(&b->data);
	} else if (str_is(line, "event")) {
		buf_clear(&b->name);
		err = buf_put_str(&b->name, value);
	}
	buf_clear(&b->line);
	return err;
}

int
blocks_read(struct blocks *b, const uint8_t *p, size_t n,
    const struct blocks_handler *h)
{
	size_t at = 0, begin;
	int err;

	while (at < n) {
		/* The LF of a CR LF, whose line has ended already. */
		if (b->after_cr && p[at] == '\n') {
			b->after_cr = false;
			b->size++;
			at++;
			continue;
		}
		b->after_cr = false;
		begin = at;
		while (at < n && p[at] != '\n' && p[at] != '\r')
			at++;
		err = buf_put(&b->line, p + begin, at - begin);
		b->size += at - begin;
		if (err != SW_OK)
			return err;
		if (at == n)
			break;
		b->after_cr = p[at++] == '\r';
		b->size++;
		if ((err = end_line(b, h)) != SW_OK)
			return err;
	}
	/* Thousands of readers wait most of the time. */
	buf_release(&b->line);
	buf_release(&b->data);
	return SW_OK;
}
