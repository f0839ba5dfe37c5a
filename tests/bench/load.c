/*
 * The load of the benchmark: subscribers and publishers, in one thread (those
 * of a storm in two), on loopback. One run, one line of JSON; README.md tells
 * what is in it.
 *
 * Exits with 1 if an event was lost, came twice, or came in the wrong order,
 * or if anything was refused; with 2 if the options make no sense.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proxy/base/digest.h"
#include "tests/bench/modes.h"
#include "tests/bench/payload.h"
#include "tests/bench/publisher.h"
#include "tests/bench/subscriber.h"

static const struct mode {
	const char *name;
	void (*run)(struct bench *b);
	bool resumes;
} modes[] = {
	{ "flow", mode_flow, false },
	{ "reconnect", mode_flow, true },
	{ "idle", mode_idle, false },
	{ "churn", mode_churn, false },
	{ "catchup", mode_catchup, true },
	{ "storm", mode_storm, true },
};

static const char *const dialects[] = { "spillway", "nchan", "limit" };
static const char *const transports[] = { "ws", "sse", "long", "short" };
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Numbers, where they go, and what they may be. */
#define U32(field) offsetof(struct options, field), false
#define F64(field) offsetof(struct options, field), true
static const struct number {
	const char *name;
	size_t at;
	bool is_double;
	double min, max;
} numbers[] = {
	{ "--subs", U32(subs), 0, 60000 },
	{ "--channels", U32(channels), 1, 60000 },
	{ "--size", U32(size), PAYLOAD_MIN, 16 * 1024 * 1024 },
	{ "--pubs", U32(pubs), 1, 1000 },
	{ "--depth", U32(depth), 1, DEPTH_MAX },
	{ "--batch", U32(batch), 0, 10000 },
	{ "--window", U32(window), 0, 1e6 },
	{ "--warm", U32(warm), 0, 1e6 },
	{ "--each", U32(each), 0, 1e9 },
	{ "--rounds", U32(rounds), 1, 1000 },
	{ "--away", U32(away), 0, 1e6 },
	{ "--slow", U32(slow), 0, 60000 },
	{ "--gap-ms", U32(gap_ms), 0, 60000 },
	{ "--live", U32(live), 0, 60000 },
	{ "--filler", U32(filler), 0, 1e8 },
	{ "--rate", F64(rate), 0, 1e7 },
	{ "--seconds", F64(seconds), 0, 600 },
	{ "--drop", F64(drop), 0, 1000 },
};

static void
misused(const char *what)
{
	fprintf(stderr, "load: %s?\n", what);
	exit(2);
}

static unsigned
choose(const char *const *from, size_t n, const char *value)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (strcmp(from[i], value) == 0)
			return i;
	misused(value);
	return 0;
}

static double
number(const char *text, double min, double max)
{
	char *end;
	double value = strtod(text, &end);

	if (*text == '\0' || *end != '\0' || !(value >= min && value <= max))
		misused(text);
	return value;
}

static void
take_number(struct options *o, const char *name, const char *value)
{
	double v;
	size_t i;

	for (i = 0; i < COUNT(numbers); i++) {
		if (strcmp(numbers[i].name, name) != 0)
			continue;
		v = number(value, numbers[i].min, numbers[i].max);
		if (numbers[i].is_double)
			memcpy((char *)o + numbers[i].at, &v, sizeof(v));
		else
			*(uint32_t *)(void *)((char *)o + numbers[i].at) =
			    (uint32_t)v;
		return;
	}
	misused(name);
}

static void
take_option(struct options *o, const char *name, const char *value)
{
	if (strcmp(name, "--mode") == 0)
		o->mode = value;
	else if (strcmp(name, "--dialect") == 0)
		o->dialect = choose(dialects, COUNT(dialects), value);
	else if (strcmp(name, "--transport") == 0)
		o->wants = choose(transports, COUNT(transports), value);
	else if (strcmp(name, "--sub-port") == 0)
		o->sub_port = (uint16_t)number(value, 1, 65535);
	else if (strcmp(name, "--pub-port") == 0)
		o->pub_port = (uint16_t)number(value, 1, 65535);
	else if (strcmp(name, "--pids") == 0)
		server_parse(&o->server, value);
	else if (strcmp(name, "--max-seconds") == 0)
		alarm((unsigned)number(value, 1, 3600));
	else
		take_number(o, name, value);
}

static const struct mode *
mode_of(const struct options *o)
{
	size_t i;

	for (i = 0; i < COUNT(modes); i++)
		if (strcmp(modes[i].name, o->mode) == 0)
			return &modes[i];
	misused(o->mode);
	return NULL;
}

/* What cannot be run, rather than measuring something else in silence. */
static void
check_options(const struct options *o)
{
	if (o->sub_port == 0 || o->pub_port == 0)
		misused("--sub-port, --pub-port");
	if (o->slow > o->subs)
		misused("--slow");
	if (o->subs % o->channels != 0)
		misused("--subs is not a multiple of --channels");
	if (o->batch > 0 && (o->dialect == NCHAN || o->channels % o->pubs != 0))
		misused("--batch with this dialect, or these --pubs");
}

static void
bench_init(struct bench *b)
{
	struct rlimit files;
	uint64_t random;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	wires_init(&b->wires);
	digest_random(&random, sizeof(random));
	snprintf(b->run, sizeof(b->run), "%08x", (uint32_t)random);
	/* Behind those of the subscribers: filler, and what goes on. */
	b->nchannels = b->o.channels + FILLERS + 1;
	b->channels = calloc(b->nchannels, sizeof(*b->channels));
	if (b->channels == NULL)
		abort();
	buf_init(&b->report, 65536);
}

/* Everything that was published, everybody has. */
static bool
audit(struct bench *b)
{
	struct tally *t = &b->tally;
	uint32_t i;

	for (i = 0; i < b->nsubs; i++)
		t->lost += subscriber_misses(&b->subs[i]);
	bench_report(b, "lost", (double)t->lost);
	bench_report(b, "again", (double)t->again);
	bench_report(b, "damaged", (double)t->damaged);
	bench_report(b, "gaps", (double)t->gaps);
	bench_report(b, "refused", (double)t->refused);
	bench_report(b, "closed", (double)t->closed);
	return t->lost + t->again + t->damaged + t->gaps + t->refused +
	    t->closed ==
	    0;
}

int
main(int argc, char **argv)
{
	static struct bench b;
	const struct mode *mode;
	bool clean;
	int i;

	b.o = (struct options){ .mode = "flow",
		.channels = 1,
		.size = 100,
		.pubs = 1,
		.depth = 1,
		.rounds = 1,
		.seconds = 2 };
	for (i = 1; i + 1 < argc; i += 2)
		take_option(&b.o, argv[i], argv[i + 1]);
	if (i < argc)
		misused(argv[i]);
	check_options(&b.o);
	mode = mode_of(&b.o);
	b.o.resumes = mode->resumes;
	bench_init(&b);
	mode->run(&b);
	clean = audit(&b);
	printf("{%.*s}\n", STR_ARG(buf_str(&b.report)));
	if (!clean)
		fprintf(stderr,
		    "load: FAULT: see lost, again, damaged, gaps, "
		    "refused and closed above\n");
	return clean ? 0 : 1;
}
