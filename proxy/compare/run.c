#include "proxy/compare/run.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
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

/* It may have come from the gateway, and goes to a terminal and to JSON. */
static void
copy_plain(char *out, size_t room, const char *text)
{
	size_t n = 0;

	for (; text[n] != '\0' && n + 1 < room; n++)
		out[n] = text[n] < ' ' || text[n] > '~' ? '?' : text[n];
	out[n] = '\0';
}

void
run_fail(struct run *r, const char *why)
{
	char text[400];

	copy_plain(text, sizeof(text), why);
	if (!r->failed)
		buf_puts(r->why, text);
	r->failed = true;
	loop_stop(r->loop);
}

void
run_enter(struct run *r, enum run_state state)
{
	r->state = state;
	r->since_ms = loop_now_ms(r->loop);
}

void
run_enter_publishing(struct run *r)
{
	run_enter(r, RUN_PUBLISHING);
	r->began_ms = r->since_ms;
	r->own_cpu_seconds = run_cpu_seconds();
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

/*
 * Subscribers do not get in. Where this is a transport's turn, the others may
 * do better: a proxy on the way may strip what a WebSocket needs.
 */
static void
give_up(struct run *r, const char *why)
{
	struct phase *p = run_phase(r, 0);

	if (r->abreast > 1 || r->state != RUN_OPENING) {
		run_fail(r, why);
		return;
	}
	copy_plain(p->why, sizeof(p->why), why);
	r->crowds[0].closing = true;
	run_enter(r, RUN_REFUSED);
}

static void
crowd_refused(struct crowd *c, const char *why)
{
	/* Who leaves may be told anything. */
	if (!c->closing)
		give_up(c->ctx, why);
}

/* For people. */
static const char *
name_of(struct run *r)
{
	return r->abreast > 1 ? "together" :
				transports[run_phase(r, 0)->transport].name;
}

static void
open_crowds(struct run *r)
{
	run_enter(r, RUN_OPENING);
	progress_say(r->options, "%s: %" PRIu64 " subscribers come", name_of(r),
	    r->options->subscribers * r->abreast);
	for (size_t i = 0; i < r->abreast; i++) {
		r->crowds[i] = (struct crowd){ .loop = r->loop,
			.options = r->options,
			.context = r->context,
			.transport = run_phase(r, i)->transport,
			.run = r->result->by_demo ? NULL : r->id,
			.pane = r->has_api ? NULL : r->panes[i],
			.before = r->numbers,
			.refused = crowd_refused,
			.ctx = r };
		if (crowd_open(&r->crowds[i]) != SW_OK)
			run_fail(r, err_info(SW_ENOMEM)->sentence);
	}
}

static void
close_crowds(struct run *r)
{
	run_enter(r, RUN_CLOSING);
	for (size_t i = 0; i < r->abreast; i++)
		crowd_close(&r->crowds[i]);
}

/* Of all crowds under way. */
static size_t
count_there(const struct run *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->abreast; i++)
		n += r->crowds[i].there;
	return n;
}

static size_t
count_leaving(const struct run *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->abreast; i++)
		n += r->crowds[i].leaving;
	return n;
}

static void
publish(struct run *r)
{
	progress_say(
	    r->options, "%s: all are there, events follow", name_of(r));
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
	for (size_t i = 0; i < r->abreast; i++)
		run_phase(r, i)->opening_seconds =
		    (double)in_state_ms(r) / 1000;
	if (r->has_api)
		run_ask_gauge(r, RUN_READY);
	else
		publish(r);
}

/* All has arrived, or what is missing will not. */
static void
settled(struct run *r)
{
	run_measure_time(r);
	if (r->has_api)
		run_ask_gauge(r, RUN_AFTER);
	else
		close_crowds(r);
}

static void
end_phases(struct run *r, const struct gauge *now)
{
	run_measure(r, now);
	for (size_t i = 0; i < r->abreast; i++) {
		const struct phase *p = run_phase(r, i);

		progress_say(r->options,
		    "%s: %" PRIu64 " published, %" PRIu64 " of %" PRIu64
		    " received",
		    transports[p->transport].name, p->published,
		    p->tally.received, phase_expected(r->result, p));
	}
	r->result->count += r->abreast;
	run_enter(r, RUN_NEXT);
}

void
run_take_gauge(struct run *r, const struct gauge *g)
{
	switch (r->state) {
	case RUN_BEFORE:
		memcpy(r->before, g, sizeof(r->before));
		open_crowds(r);
		break;
	case RUN_READY:
		r->ready = *g;
		publish(r);
		break;
	case RUN_AFTER:
		r->after = *g;
		close_crowds(r);
		break;
	case RUN_COUNTS:
		if (!run_is_counted(r, g) && r->tries++ < COUNTS_TRIES)
			run_enter(r, RUN_AGAIN);
		else
			end_phases(r, g);
		break;
	default:
		break;
	}
}

static void
free_crowds(struct run *r)
{
	for (size_t i = 0; i < TRANSPORT_COUNT; i++)
		crowd_free(&r->crowds[i]);
}

/*
 * The next transport, or the end. What is left of the one before is freed here:
 * between turns nobody holds it.
 */
static void
begin_phases(struct run *r)
{
	struct result *result = r->result;
	const struct compare_options *o = r->options;

	free_crowds(r);
	if (result->count == o->transport_count || r->interrupted) {
		loop_stop(r->loop);
		return;
	}
	r->abreast = o->together ? o->transport_count : 1;
	for (size_t i = 0; i < r->abreast; i++) {
		enum transport_id t = o->transports[result->count + i];

		*run_phase(r, i) = (struct phase){ .transport = t };
		r->before[i] = (struct gauge){ .there = false };
		snprintf(r->panes[i], sizeof(r->panes[i]), "cli-%s-%s", r->id,
		    transports[t].name);
	}
	r->ready = r->after = (struct gauge){ .there = false };
	r->tries = 0;
	if (r->has_api)
		run_ask_gauge(r, RUN_BEFORE);
	else
		open_crowds(r);
}

/* They wait for events, or for nothing: has the right gateway got them? */
static void
check_epoch(struct run *r)
{
	struct cursor cursor;

	if (r->publisher.epoch.text[0] == '\0' ||
	    cursor_parse(&cursor, str_of(r->crowds[0].clients[0].cursor)) !=
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
	publisher_watch(&r->publisher);
	if (r->failed || !publisher_is_done(&r->publisher))
		return;
	run_measure_published(r);
	r->numbers += r->publisher.sent;
	run_enter(r, RUN_SETTLING);
}

static bool
has_arrived(struct run *r)
{
	for (size_t i = 0; i < r->abreast; i++)
		if (r->crowds[i].tally.received <
		    phase_expected(r->result, run_phase(r, i)))
			return false;
	return true;
}

static void
watch_settling(struct run *r)
{
	/* A short poll may have asked just before the last event. */
	uint64_t grace = r->options->grace_ms + r->options->poll_interval_ms;

	if (r->interrupted && grace > HURRY_MS)
		grace = HURRY_MS;
	if (has_arrived(r) || in_state_ms(r) >= grace)
		settled(r);
}

static void
watch_opening(struct run *r)
{
	size_t there = count_there(r);
	uint64_t all = r->options->subscribers * r->abreast;
	char why[120];

	if (r->interrupted) {
		loop_stop(r->loop);
	} else if (there == all) {
		opened(r);
	} else if (in_state_ms(r) >= OPENING_MS + all * 5) {
		snprintf(why, sizeof(why),
		    "%s: only %zu of %" PRIu64
		    " subscribers are there after %d s",
		    name_of(r), there, all, OPENING_MS / 1000);
		give_up(r, why);
	}
}

/* On a terminal: all that is under way, in one line. */
static void
show_progress(struct run *r)
{
	static struct tally sum; /* large */

	sum = r->crowds[0].tally;
	for (size_t i = 1; i < r->abreast; i++) {
		const struct tally *t = &r->crowds[i].tally;

		sum.received += t->received;
		latencies_join(&sum.latency, &t->latency);
	}
	progress_show(r->options, name_of(r), &sum,
	    r->result->by_demo ? 0 : r->publisher.stored,
	    loop_now_ms(r->loop) - r->began_ms);
}

static void
beat(struct run *r)
{
	switch (r->state) {
	case RUN_NEXT:
		begin_phases(r);
		break;
	case RUN_OPENING:
		watch_opening(r);
		break;
	case RUN_REFUSED:
		progress_complain(run_phase(r, 0)->why);
		r->result->count++;
		run_enter(r, RUN_NEXT);
		break;
	case RUN_PUBLISHING:
		watch_publishing(r);
		break;
	case RUN_SETTLING:
		watch_settling(r);
		break;
	case RUN_CLOSING:
		if (count_leaving(r) == 0 || in_state_ms(r) >= GOODBYE_MS)
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
		show_progress(r);
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

static void
fill_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
}

static int
take_signals(struct run *r)
{
	sigset_t set;

	fill_signals(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	r->signals.ready = on_signal;
	r->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return r->signals.fd < 0 ? SW_EIO :
				   loop_add(r->loop, &r->signals, EPOLLIN);
}

/* They end us again: who reads our report may never do so. */
static void
release_signals(struct run *r)
{
	sigset_t set;

	if (r->signals.fd >= 0)
		close(r->signals.fd);
	fill_signals(&set);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
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
	run_measure_early(&r);
	free_crowds(&r);
	publisher_fini(&r.publisher);
	question_fini(&r.api);
	question_fini(&r.public);
	loop_clear_timer(&r.pulse);
	release_signals(&r);
	loop_free(r.loop);
	progress_end(result->options);
	return err != SW_OK ? err : r.failed ? SW_EIO : SW_OK;
}
