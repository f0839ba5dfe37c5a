#include "proxy/survey.h"

#include <stdlib.h>

#include "proxy/gateway.h"

enum { PART_MAX = 64 << 20 };

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
	}
	return s;
}

void
survey_free(struct survey *s)
{
	for (size_t i = 0; i < s->parts_count; i++)
		buf_fini(&s->parts[i].out);
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
