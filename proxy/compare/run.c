#include "proxy/compare/run.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "proxy/compare/progress.h"
#include "proxy/compare/run_private.h"

enum {
	PULSE_MS = 20,
	OPENING_MS = 30000,
	GOODBYE_MS = 5000,
	HURRY_MS = 5000, /* the grace of who was interrupted */
	COUNTS_TRIES = 250,
};

void
run_fail(struct run *r, const char *why)
{
	if (!r->failed)
		buf_puts(r->why, why);
	r->failed = true;
	loop_stop(r->loop);
}

void
run_enter(struct run *r, enum run_state state)
{
	r->state = state;
	r->since_ms = loop_now_ms(r->loop);
}

static double
own_cpu_seconds(void)
{
	struct rusage u;

	if (getrusage(RUSAGE_SELF, &u) != 0)
		return 0;
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

void
run_enter_publishing(struct run *r)
{
	run_enter(r, RUN_PUBLISHING);
	r->began_ms = r->since_ms;
	r->own_cpu_seconds = own_cpu_seconds();
}

static uint64_t
in_state_ms(const struct run *r)
{
	return loop_now_ms(r->loop) - r->since_ms;
}

/* The steps. */

static void
publisher_failed(struct publisher *p, const char *why)
{
	run_fail(p->ctx, why);
}

static void
crowd_refused(struct crowd *c, const char *why)
{
	/* Who leaves may be told anything. */
	if (!c->closing)
		run_fail(c->ctx, why);
}

static void
open_crowd(struct run *r)
{
	run_enter(r, RUN_OPENING);
	progress_say(r->options, "%s: %" PRIu64 " subscribers come",
	    run_transport(r), r->options->subscribers);
	r->crowd = (struct crowd){ .loop = r->loop,
		.options = r->options,
		.context = r->context,
		.transport = run_phase(r)->transport,
		.run = r->result->by_demo ? NULL : r->id,
		.pane = r->has_api ? NULL : r->pane,
		.before = r->numbers,
		.refused = crowd_refused,
		.ctx = r };
	if (crowd_open(&r->crowd) != SW_OK)
		run_fail(r, err_info(SW_ENOMEM)->sentence);
}

static void
publish(struct run *r)
{
	progress_say(
	    r->options, "%s: all are there, events follow", run_transport(r));
	run_enter_publishing(r);
	if (r->result->by_demo) {
		run_enter(r, RUN_STOPPING); /* until it has begun */
		run_begin_demo(r);
		return;
	}
	publisher_begin(
	    &r->publisher, r->numbers, compare_options_events(r->options));
}

/* All have come. */
static void
opened(struct run *r)
{
	run_phase(r)->opening_seconds = (double)in_state_ms(r) / 1000;
	if (r->has_api)
		run_ask_gauge(r, RUN_READY);
	else
		publish(r);
}

/* All has arrived, or what is missing will not. */
static void
settled(struct run *r)
{
	struct phase *p = run_phase(r);

	p->seconds = (double)(loop_now_ms(r->loop) - r->began_ms) / 1000;
	p->own_cpu_seconds = own_cpu_seconds() - r->own_cpu_seconds;
	p->cut_short = r->interrupted;
	if (r->has_api) {
		run_ask_gauge(r, RUN_AFTER);
		return;
	}
	run_enter(r, RUN_CLOSING);
	crowd_close(&r->crowd);
}

/* What it has counted in this phase. */
static void
subtract(struct gauge *out, const struct gauge *now, const struct gauge *before)
{
	*out = *now;
	out->requests -= before->requests;
	out->events -= before->events;
	for (size_t b = 0; b < BUCKET_COUNT; b++)
		out->bytes[b] -= before->bytes[b];
}

static void
measure(struct run *r, const struct gauge *now)
{
	struct phase *p = run_phase(r);
	const struct tally *t = &p->tally;

	p->has_counts = now->there && (r->before.there || !r->has_api);
	if (p->has_counts)
		subtract(&p->counts, now, &r->before);
	/* The demo's are of us alone. */
	p->counts_others = p->has_counts && r->has_api &&
	    (p->counts.requests != t->requests ||
		p->counts.events != t->received + t->duplicates + t->foreign);
	p->has_process = r->before.has_process && r->ready.has_process &&
	    r->after.has_process;
	if (!p->has_process)
		return;
	p->cpu_seconds = r->after.cpu_seconds - r->ready.cpu_seconds;
	p->opening_cpu_seconds = r->ready.cpu_seconds - r->before.cpu_seconds;
	p->resident = r->after.resident;
	p->growth = (int64_t)r->after.resident - (int64_t)r->before.resident;
}

/* What is counted may be counted a moment later. */
static bool
is_counted(const struct run *r, const struct gauge *now)
{
	const struct tally *t = &r->crowd.tally;
	const struct gauge *before = &r->before;

	if (!now->there || (r->has_api && !before->there))
		return true;
	if (now->requests - before->requests < t->requests)
		return false;
	return r->has_api ?
	    now->events - before->events >= t->received :
	    now->bytes[BUCKET_PAYLOAD] >= t->bytes[BUCKET_PAYLOAD];
}

static void
end_phase(struct run *r, const struct gauge *now)
{
	struct phase *p = run_phase(r);

	p->tally = r->crowd.tally;
	measure(r, now);
	progress_say(r->options,
	    "%s: %" PRIu64 " published, %" PRIu64 " of %" PRIu64 " received",
	    run_transport(r), p->published, p->tally.received,
	    phase_expected(r->result, p));
	r->result->count++;
	run_enter(r, RUN_NEXT);
}

void
run_take_gauge(struct run *r, const struct gauge *g)
{
	switch (r->state) {
	case RUN_BEFORE:
		r->before = *g;
		open_crowd(r);
		break;
	case RUN_READY:
		r->ready = *g;
		publish(r);
		break;
	case RUN_AFTER:
		r->after = *g;
		run_enter(r, RUN_CLOSING);
		crowd_close(&r->crowd);
		break;
	case RUN_COUNTS:
		if (!is_counted(r, g) && r->tries++ < COUNTS_TRIES)
			run_enter(r, RUN_AGAIN);
		else
			end_phase(r, g);
		break;
	default:
		break;
	}
}

/*
 * The next transport, or the end. What is left of the one before is freed here:
 * between turns nobody holds it.
 */
static void
begin_phase(struct run *r)
{
	struct result *result = r->result;

	crowd_free(&r->crowd);
	if (result->count == r->options->transport_count || r->interrupted) {
		loop_stop(r->loop);
		return;
	}
	*run_phase(r) =
	    (struct phase){ .transport =
				r->options->transports[result->count] };
	r->before = r->ready = r->after = (struct gauge){ .there = false };
	r->tries = 0;
	snprintf(
	    r->pane, sizeof(r->pane), "cli-%s-%s", r->id, run_transport(r));
	if (r->has_api)
		run_ask_gauge(r, RUN_BEFORE);
	else
		open_crowd(r);
}

/* They wait for events, or for nothing: has the right gateway got them? */
static void
check_epoch(struct run *r)
{
	struct cursor cursor;

	if (r->publisher.epoch.text[0] == '\0' ||
	    cursor_parse(&cursor, str_of(r->crowd.clients[0].cursor)) !=
		SW_OK ||
	    strcmp(cursor.epoch.text, r->publisher.epoch.text) == 0)
		return;
	run_fail(r,
	    "--url and --api are of two gateways: what is published with the "
	    "one does not reach the other");
}

static void
watch_publishing(struct run *r)
{
	struct phase *p = run_phase(r);

	if (r->result->by_demo) {
		if (r->interrupted ||
		    in_state_ms(r) >= r->options->duration_ms) {
			run_enter(r, RUN_STOPPING);
			run_stop_demo(r);
		}
		return;
	}
	check_epoch(r);
	if (r->interrupted)
		publisher_stop(&r->publisher);
	if (r->failed || !publisher_is_done(&r->publisher))
		return;
	p->published = r->publisher.stored;
	p->refused = r->publisher.refused;
	r->numbers += r->publisher.sent;
	run_enter(r, RUN_SETTLING);
}

static void
watch_settling(struct run *r)
{
	uint64_t grace = r->options->grace_ms;

	/* A short poll may have asked just before the last event. */
	if (run_phase(r)->transport == TRANSPORT_SHORT)
		grace += r->options->poll_interval_ms;
	if (r->interrupted && grace > HURRY_MS)
		grace = HURRY_MS;
	if (r->crowd.tally.received >=
		phase_expected(r->result, run_phase(r)) ||
	    in_state_ms(r) >= grace)
		settled(r);
}

static void
watch_opening(struct run *r)
{
	char why[120];

	if (r->interrupted) {
		loop_stop(r->loop);
	} else if (r->crowd.there == r->crowd.count) {
		opened(r);
	} else if (in_state_ms(r) >= OPENING_MS + r->options->subscribers * 5) {
		snprintf(why, sizeof(why),
		    "%s: only %zu of %zu subscribers are there after %d s",
		    run_transport(r), r->crowd.there, r->crowd.count,
		    OPENING_MS / 1000);
		run_fail(r, why);
	}
}

static void
beat(struct run *r)
{
	switch (r->state) {
	case RUN_NEXT:
		begin_phase(r);
		break;
	case RUN_OPENING:
		watch_opening(r);
		break;
	case RUN_PUBLISHING:
		watch_publishing(r);
		break;
	case RUN_SETTLING:
		watch_settling(r);
		break;
	case RUN_CLOSING:
		if (r->crowd.leaving == 0 || in_state_ms(r) >= GOODBYE_MS)
			run_ask_gauge(r, RUN_COUNTS);
		break;
	case RUN_AGAIN:
		run_ask_gauge(r, RUN_COUNTS);
		break;
	default: /* an answer is awaited */
		break;
	}
}

static void
on_pulse(struct timer *t)
{
	struct run *r = container_of(t, struct run, pulse);

	beat(r);
	if (r->state == RUN_PUBLISHING || r->state == RUN_SETTLING)
		progress_show(r->options, run_transport(r), &r->crowd.tally,
		    r->result->by_demo ? 0 : r->publisher.stored,
		    loop_now_ms(r->loop) - r->began_ms);
	loop_set_timer(r->loop, &r->pulse, loop_now_ms(r->loop) + PULSE_MS);
}

static void
on_signal(struct io *io, uint32_t events)
{
	struct run *r = container_of(io, struct run, signals);
	struct signalfd_siginfo info;

	(void)events;
	if (read(io->fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (r->interrupted)
		loop_stop(r->loop);
	r->interrupted = true;
	r->result->cut_short = true;
}

static int
take_signals(struct run *r)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	r->signals.ready = on_signal;
	r->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return r->signals.fd < 0 ? SW_EIO :
				   loop_add(r->loop, &r->signals, EPOLLIN);
}

static void
set_up(struct run *r, bool has_api)
{
	const struct compare_options *o = r->options;
	uint8_t random[ENVELOPE_RUN_LENGTH / 2];

	digest_random(random, sizeof(random));
	snprintf(r->id, sizeof(r->id), "%02x%02x%02x%02x", random[0], random[1],
	    random[2], random[3]);
	r->has_api = has_api;
	question_init(&r->api, r->loop, &o->api, r->context);
	question_init(&r->public, r->loop, &o->url, r->context);
	publisher_init(&r->publisher, r->loop, o, r->context);
	r->publisher.run = r->id;
	r->publisher.failed = publisher_failed;
	r->publisher.ctx = r;
	timer_init(&r->pulse, on_pulse);
	loop_set_timer(r->loop, &r->pulse, loop_now_ms(r->loop));
	run_enter(r, RUN_NEXT);
}

int
run_all(struct result *result, bool has_api, struct secure_context *context,
    struct buf *why)
{
	static struct run r; /* large, and there is one */
	int err;

	r = (struct run){ .options = result->options,
		.result = result,
		.context = context,
		.why = why,
		.signals = { .fd = -1 } };
	if ((err = loop_new(&r.loop)) != SW_OK)
		return err;
	set_up(&r, has_api);
	if ((err = take_signals(&r)) == SW_OK)
		loop_run(r.loop);
	crowd_free(&r.crowd);
	publisher_fini(&r.publisher);
	question_fini(&r.api);
	question_fini(&r.public);
	loop_clear_timer(&r.pulse);
	if (r.signals.fd >= 0)
		close(r.signals.fd);
	loop_free(r.loop);
	progress_end(result->options);
	return err != SW_OK ? err : r.failed ? SW_EIO : SW_OK;
}
