/*
 * What a server says to `spillway compare`: responses, WebSocket frames,
 * blocks of SSE, and the events and figures in them. The first byte says which.
 *
 * Cut after every byte, they mean the same; every byte is somebody's; and what
 * becomes a part of the next request is a cursor.
 */
#include "proxy/base/cursor.h"
#include "proxy/base/json.h"
#include "proxy/compare/answer.h"
#include "proxy/compare/blocks.h"
#include "proxy/compare/envelope.h"
#include "proxy/compare/frames.h"
#include "proxy/compare/gauge.h"
#include "tests/fuzz/fuzz.h"

/* What a reader told, and how it ended. */
struct story {
	struct buf text;
	uint64_t size;
	int err;
};

static void
story_init(struct story *s)
{
	*s = (struct story){ .err = SW_OK };
	buf_init(&s->text, SIZE_MAX / 2);
}

static void
read_answer(struct story *s, const char *p, size_t n, size_t step)
{
	struct answer a;

	answer_init(&a);
	while (n > 0 && a.state != ANSWER_END && s->err == SW_OK) {
		size_t part = n < step ? n : step, used, data;

		s->err =
		    answer_read(&a, (const uint8_t *)p, part, &used, &data);
		if (s->err != SW_OK)
			break;
		must(used <= part && data <= used);
		must(used > 0);
		buf_put(&s->text, p + used - data, data);
		s->size += used;
		p += used;
		n -= used;
	}
	buf_printf(&s->text, "|%u %d %d", a.status, (int)a.state, a.closes);
	if (a.state != ANSWER_HEAD && s->err == SW_OK)
		buf_printf(&s->text, " %.*s",
		    STR_ARG(answer_header(&a, "Content-Type")));
	answer_fini(&a);
}

static int
take_frame(void *ctx, enum ws_opcode opcode, struct str payload, uint64_t size)
{
	struct story *s = ctx;

	must(size >= payload.len + 2);
	buf_printf(&s->text, "%d:", opcode);
	buf_put_str(&s->text, payload);
	s->size += size;
	return SW_OK;
}

static void
read_frames(struct story *s, const char *p, size_t n, size_t step)
{
	const struct frames_handler handler = { take_frame, s };
	struct frames f;

	frames_init(&f);
	for (size_t part; n > 0 && s->err == SW_OK; p += part, n -= part) {
		part = n < step ? n : step;
		s->err = frames_read(&f, (const uint8_t *)p, part, &handler);
	}
	frames_fini(&f);
}

static int
take_block(void *ctx, struct str name, struct str data, uint64_t size)
{
	struct story *s = ctx;

	must(size > data.len);
	buf_put_str(&s->text, name);
	buf_puts(&s->text, ":");
	buf_put_str(&s->text, data);
	s->size += size;
	return SW_OK;
}

static void
skip_block(void *ctx, uint64_t size)
{
	struct story *s = ctx;

	s->size += size;
}

static void
read_blocks(struct story *s, const char *p, size_t n, size_t step)
{
	const struct blocks_handler handler = { take_block, skip_block, s };
	struct blocks b;

	blocks_init(&b);
	for (size_t part; n > 0 && s->err == SW_OK; p += part, n -= part) {
		part = n < step ? n : step;
		s->err = blocks_read(&b, (const uint8_t *)p, part, &handler);
	}
	s->size += b.size;
	blocks_fini(&b);
}

static void
check_cuts(struct str bytes,
    void (*read)(struct story *s, const char *p, size_t n, size_t step))
{
	struct story whole, cut;

	story_init(&whole);
	story_init(&cut);
	read(&whole, bytes.p, bytes.len, bytes.len);
	read(&cut, bytes.p, bytes.len, 1);
	must(whole.err == cut.err);
	if (whole.err == SW_OK) {
		must(whole.size == cut.size && whole.size <= bytes.len);
		must(fuzz_same(buf_str(&whole.text), buf_str(&cut.text)));
	}
	if (read == read_blocks && whole.err == SW_OK)
		must(whole.size == bytes.len);
	buf_fini(&whole.text);
	buf_fini(&cut.text);
}

static void
check_event(struct str text)
{
	struct envelope e;
	struct cursor c;
	struct stamp s;

	if (!json_valid(text) || !envelope_read(&e, text))
		return;
	must(e.id.p == NULL || cursor_parse(&c, e.id) == SW_OK);
	must(e.cursor.p == NULL || cursor_parse(&c, e.cursor) == SW_OK);
	if (stamp_read(&s, e.data.p == NULL ? text : e.data))
		must(s.n > 0 && s.n <= INT64_MAX);
}

static void
check_gauge(struct str text)
{
	struct gauge g;

	gauge_read_metrics(&g, text, "ws");
	must(!g.has_process || g.cpu_seconds >= 0);
	gauge_read_panes(&g, text, "a");
	must(!g.has_process);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str bytes;
	char *copy;

	if (size < 2)
		return 0;
	bytes = (struct str){ (const char *)data + 1, size - 1 };
	copy = fuzz_copy(bytes);
	bytes.p = copy;
	switch (data[0]) {
	case 'f':
		check_cuts(bytes, read_frames);
		break;
	case 'b':
		check_cuts(bytes, read_blocks);
		break;
	case 'e':
		check_event(bytes);
		break;
	case 'g':
		check_gauge(bytes);
		break;
	default:
		check_cuts(bytes, read_answer);
		break;
	}
	free(copy);
	return 0;
}
