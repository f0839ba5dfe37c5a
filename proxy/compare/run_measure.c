/* What a run makes of what it has seen. */
#include <sys/resource.h>

#include "proxy/compare/run_private.h"

double
run_cpu_seconds(void)
{
	struct rusage u;

	if (getrusage(RUSAGE_SELF, &u) != 0)
		return 0;
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* Started anew, it counts from 0 again. */
static bool
is_same(const struct gauge *now, const struct gauge *before)
{
	return now->started >= before->started &&
	    now->started <= before->started &&
	    now->cpu_seconds >= before->cpu_seconds;
}

/* What it has counted in this phase; false if that is not known. */
static bool
subtract(struct gauge *out, const struct gauge *now, const struct gauge *before)
{
	*out = *now;
	out->requests -= before->requests;
	out->events -= before->events;
	for (size_t b = 0; b < BUCKET_COUNT; b++)
		out->bytes[b] -= before->bytes[b];
	return is_same(now, before);
}

/* CPU and memory are of the process: of all who are measured together. */
static void
measure_process(struct run *r, struct phase *p)
{
	const struct gauge *before = &r->before[0];

	p->has_process = r->abreast == 1 && before->has_process &&
	    r->ready.has_process && r->after.has_process &&
	    is_same(&r->ready, before) && is_same(&r->after, &r->ready);
	if (!p->has_process)
		return;
	p->cpu_seconds = r->after.cpu_seconds - r->ready.cpu_seconds;
	p->opening_cpu_seconds = r->ready.cpu_seconds - before->cpu_seconds;
	p->resident = r->after.resident;
	p->growth = (int64_t)r->after.resident - (int64_t)before->resident;
}

static void
measure_counts(struct run *r, struct phase *p, const struct gauge *before,
    const struct gauge *now)
{
	const struct tally *t = &p->tally;

	p->has_counts = now->there && (before->there || !r->has_api) &&
	    subtract(&p->counts, now, before);
	/* The demo's are of us alone. */
	p->counts_others = p->has_counts && r->has_api &&
	    (p->counts.requests != t->requests ||
		p->counts.events != t->received + t->duplicates + t->foreign);
	if (r->has_api && before->there && !p->has_counts)
		r->result->no_gauge =
		    "the gateway was started anew meanwhile, and counts from 0";
}

/* What is counted may be counted a moment later. */
bool
run_is_counted(const struct run *r, const struct gauge *now)
{
	for (size_t i = 0; i < r->abreast; i++) {
		const struct tally *t = &r->crowds[i].tally;
		const struct gauge *before = &r->before[i];

		if (!now[i].there || (r->has_api && !before->there) ||
		    !is_same(&now[i], before))
			continue;
		if (now[i].requests - before->requests < t->requests)
			return false;
		if (r->has_api ?
			now[i].events - before->events < t->received :
			now[i].bytes[BUCKET_PAYLOAD] < t->bytes[BUCKET_PAYLOAD])
			return false;
	}
	return true;
}

/* What the publisher knows; the demo tells it when it stops. */
void
run_measure_published(struct run *r)
{
	for (size_t i = 0; i < r->abreast; i++) {
		struct phase *p = run_phase(r, i);

		p->published = r->publisher.stored;
		p->refused = r->publisher.refused;
		p->delayed = r->publisher.delayed;
	}
}

void
run_measure_time(struct run *r)
{
	for (size_t i = 0; i < r->abreast; i++) {
		struct phase *p = run_phase(r, i);

		p->seconds =
		    (double)(loop_now_ms(r->loop) - r->began_ms) / 1000;
		p->own_cpu_seconds = run_cpu_seconds() - r->own_cpu_seconds;
		p->cut_short = r->interrupted;
	}
}

void
run_measure(struct run *r, const struct gauge *now)
{
	for (size_t i = 0; i < r->abreast; i++) {
		struct phase *p = run_phase(r, i);

		p->tally = r->crowds[i].tally;
		measure_counts(r, p, &r->before[i], &now[i]);
		measure_process(r, p);
	}
}

/* The highest number that anybody has got. */
static uint64_t
find_highest(const struct run *r)
{
	uint64_t highest = r->numbers;

	for (size_t i = 0; i < r->abreast; i++)
		for (size_t j = 0; j < r->crowds[i].begun; j++) {
			uint64_t n = r->crowds[i].clients[j].seen.highest;

			highest = n > highest ? n : highest;
		}
	return highest;
}

static bool
has_received(const struct run *r)
{
	for (size_t i = 0; i < r->abreast; i++)
		if (r->crowds[i].tally.received > 0)
			return true;
	return false;
}

void
run_measure_early(struct run *r)
{
	if (r->state < RUN_PUBLISHING || !has_received(r))
		return;
	if (r->state < RUN_SETTLING && r->result->by_demo)
		/* The demo was not asked any more: so many it has published. */
		for (size_t i = 0; i < r->abreast; i++)
			run_phase(r, i)->published =
			    find_highest(r) - r->numbers;
	else if (r->state < RUN_SETTLING)
		run_measure_published(r);
	if (r->state <= RUN_SETTLING)
		run_measure_time(r);
	for (size_t i = 0; i < r->abreast; i++) {
		struct phase *p = run_phase(r, i);

		p->tally = r->crowds[i].tally;
		p->cut_short = true;
		measure_process(r, p);
	}
	r->result->count += r->abreast;
}
