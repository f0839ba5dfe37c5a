#include "proxy/survey.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/err.h"
#include "proxy/gateway.h"

enum {
	PART_MAX = 64 << 20,
	/* Who listens meanwhile waits for some milliseconds. */
	FULL = 1 << 20,
};

struct survey *
survey_new(struct worker *asker, void (*ask)(struct survey_part *p),
    void (*finish)(struct survey *s), void *ctx)
{
	size_t n = gateway_worker_count(asker->gateway);
	struct survey *s = calloc(1, sizeof(*s) + n * sizeof(s->parts[0]));

	if (s == NULL)
		return NULL;
	s->asker = asker;
	s->left = s->parts_count = n;
	s->ask = ask;
	s->finish = finish;
	s->ctx = ctx;
	for (size_t i = 0; i < n; i++) {
		s->parts[i].survey = s;
		s->parts[i].worker = gateway_worker(asker->gateway, i);
		buf_init(&s->parts[i].out, PART_MAX);
		buf_init(&s->parts[i].items, PART_MAX);
	}
	return s;
}

void
survey_free(struct survey *s)
{
	for (size_t i = 0; i < s->parts_count; i++) {
		buf_fini(&s->parts[i].out);
		buf_fini(&s->parts[i].items);
	}
	free(s);
}

static void
collect(struct task *t)
{
	struct survey_part *p = container_of(t, struct survey_part, task);

	if (--p->survey->left == 0)
		p->survey->finish(p->survey);
}

static void
ask(struct task *t)
{
	struct survey_part *p = container_of(t, struct survey_part, task);

	p->survey->ask(p);
	p->task.run = collect;
	loop_post(p->survey->asker->loop, &p->task);
}

void
survey_start(struct survey *s)
{
	for (size_t i = 0, n = s->parts_count; i < n; i++) {
		s->parts[i].task.run = ask;
		loop_post(s->parts[i].worker->loop, &s->parts[i].task);
	}
}

struct item {
	uint64_t id;
	const struct survey_part *part;
	size_t from, length;
};

void
survey_item(struct survey_part *p, uint64_t id, size_t from)
{
	const struct item item = { id, p, from, buf_len(&p->out) - from };

	buf_put(&p->items, &item, sizeof(item));
}

bool
survey_has_room(struct survey_part *p)
{
	p->full = buf_len(&p->out) >= FULL;
	return !p->full;
}

/* Behind the last item of a full part, others of that part are missing. */
static uint64_t
complete_until(const struct survey *s)
{
	uint64_t until = UINT64_MAX;

	for (size_t i = 0; i < s->parts_count; i++) {
		struct str items = buf_str(&s->parts[i].items);
		struct item last;

		if (!s->parts[i].full)
			continue;
		memcpy(&last, items.p + items.len - sizeof(last), sizeof(last));
		if (last.id < until)
			until = last.id;
	}
	return until;
}

static int
compare_items(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* All items, to be freed; NULL: `out` has the error. */
static struct item *
collect_items(struct survey *s, struct buf *out, size_t *n)
{
	struct item *items;
	size_t bytes = 0;

	for (size_t i = 0; i < s->parts_count; i++) {
		struct survey_part *p = &s->parts[i];

		if (buf_error(&p->out) != SW_OK)
			out->error = buf_error(&p->out);
		if (buf_error(&p->items) != SW_OK)
			out->error = buf_error(&p->items);
		bytes += buf_len(&p->items);
	}
	items = malloc(bytes + 1);
	if (items == NULL)
		out->error = SW_ENOMEM;
	if (buf_error(out) != SW_OK) {
		free(items);
		return NULL;
	}
	bytes = 0;
	for (size_t i = 0; i < s->parts_count; i++) {
		struct str part = buf_str(&s->parts[i].items);

		if (part.len > 0)
			memcpy((char *)items + bytes, part.p, part.len);
		bytes += part.len;
	}
	*n = bytes / sizeof(*items);
	return items;
}

uint64_t
survey_put_items(struct survey *s, uint64_t limit, struct buf *out)
{
	size_t n, i;
	uint64_t until;
	struct item *items = collect_items(s, out, &n);

	if (items == NULL)
		return 0;
	until = complete_until(s);
	qsort(items, n, sizeof(*items), compare_items);
	for (i = 0; i < n && i < limit && items[i].id <= until; i++) {
		struct str text = buf_str(&items[i].part->out);

		buf_puts(out, i == 0 ? "" : ",");
		buf_put(out, text.p + items[i].from, items[i].length);
	}
	free(items);
	return i;
}
