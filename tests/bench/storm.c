#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/comeback.h"
#include "tests/bench/modes.h"
#include "tests/bench/publisher.h"
#include "tests/bench/subscriber.h"

/*
 * Two processes, so that what the load has to do for those who come back is
 * no delay of those who stayed: they are in the one that measures, and it
 * goes first where both share a core.
 */

/* What is told of those who came back; in memory that both see. */
struct told {
	struct tally tally;
	uint64_t busy_ns;
	_Atomic bool all;
};

static void
failed(const char *what)
{
	perror(what);
	exit(1);
}

/* What half of them missed leaves the memory before the others miss any. */
static void
miss_events(struct bench *b)
{
	uint32_t near = b->o.channels / 2, far = b->o.channels - near;

	first_event(b);
	all_leave(b);
	publish_more(b, near, far, b->o.away);
	publish_more(b, b->o.channels, FILLERS, b->o.filler / FILLERS);
	publish_more(b, 0, near, b->o.away);
}

/*
 * They stop once they have left, come back when they are continued, and are
 * there until they are ended: that so many leave at once is another story.
 */
static _Noreturn void
come_back(struct bench *b, struct told *told)
{
	uint64_t before;
	uint32_t i;

	wires_init(&b->wires); /* the other process has its own */
	bench_subscribers(b);
	bench_publishers(b);
	miss_events(b);
	raise(SIGSTOP);
	before = b->tally.deliveries;
	b->wires.busy_ns = b->wires.woken_ns = 0;
	bench_open(b, 0, b->o.subs, WIRE_FAST);
	for (i = 0; i < b->o.subs; i++)
		while (subscriber_misses(&b->subs[i]) > 0)
			bench_turn(b);
	for (i = 0; i < b->nsubs; i++)
		b->tally.lost += subscriber_misses(&b->subs[i]);
	b->tally.deliveries -= before;
	told->tally = b->tally;
	told->busy_ns = b->wires.busy_ns;
	told->all = true;
	for (;;)
		pause();
}

static pid_t
returning(const struct bench *b, struct told *told)
{
	struct bench theirs = *b;
	pid_t pid = fork();
	int state;

	if (pid < 0)
		failed("fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setpriority(PRIO_PROCESS, 0, 19);
		theirs.o.live = 0;
		come_back(&theirs, told);
	}
	if (waitpid(pid, &state, WUNTRACED) != pid || !WIFSTOPPED(state))
		failed("those who were to leave");
	return pid;
}

static bool
are_back(pid_t pid, const struct told *told)
{
	if (waitpid(pid, NULL, WNOHANG) != 0)
		failed("those who were to come back");
	return told->all;
}

static void
leave(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void
live_turn(struct bench *b, const struct pace *p)
{
	bench_turn_for(b, pace_rest_ns(p));
}

/* Those of the stream that goes on. */
static void
live_begin(struct bench *b, uint32_t channel)
{
	uint32_t i;

	b->o.subs = 0;
	bench_subscribers(b);
	for (i = 0; i < b->nsubs; i++)
		subscriber_init(&b->subs[i], b, channel, true);
	bench_open(b, 0, b->nsubs, WIRE_FAST);
	bench_publishers(b);
}

static void
add_told(struct bench *b, const struct told *told)
{
	struct tally *t = &b->tally;

	t->deliveries += told->tally.deliveries;
	t->lost += told->tally.lost;
	t->again += told->tally.again;
	t->damaged += told->tally.damaged;
	t->gaps += told->tally.gaps;
	t->refused += told->tally.refused;
	t->closed += told->tally.closed;
	b->wires.busy_ns += told->busy_ns;
}

void
mode_storm(struct bench *b)
{
	uint32_t channel = b->o.channels + FILLERS;
	struct pace quiet = { .from = channel,
		.count = 1,
		.rate = b->o.rate,
		.ns = (uint64_t)(b->o.seconds * (double)SECOND) };
	struct pace meanwhile = quiet;
	struct told *told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct span s;
	pid_t pid;

	if (told == MAP_FAILED)
		failed("mmap");
	pid = returning(b, told);
	live_begin(b, channel);
	bench_rest(b, 500 * MS);
	span_begin(b, &s);
	while (publish(b, &quiet))
		live_turn(b, &quiet);
	bench_wait(b, DELIVERED);
	bench_report(b, "quiet_p50_us", histogram_us(&b->tally.delivery, 0.5));
	bench_report(b, "quiet_p99_us", histogram_us(&b->tally.delivery, 0.99));
	span_begin(b, &s);
	meanwhile.ns = 0;
	kill(pid, SIGCONT);
	while (!are_back(pid, told)) {
		publish(b, &meanwhile);
		live_turn(b, &meanwhile);
	}
	bench_wait(b, DELIVERED);
	add_told(b, told);
	span_end(b, &s);
	leave(pid);
	munmap(told, sizeof(*told));
}
