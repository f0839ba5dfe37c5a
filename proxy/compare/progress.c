#include "proxy/compare/progress.h"

#include <inttypes.h>
#include <stdarg.h>
#include <unistd.h>

static const char renew[] = "\r\033[K";

static bool
on_terminal(void)
{
	return isatty(STDERR_FILENO) != 0;
}

void
progress_say(const struct compare_options *o, const char *format, ...)
{
	va_list args;

	if (o->quiet)
		return;
	fputs(on_terminal() ? renew : "spillway compare: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs(on_terminal() ? "" : "\n", stderr);
	fflush(stderr);
}

void
progress_show(const struct compare_options *o, const char *name,
    const struct tally *t, uint64_t published, uint64_t ms)
{
	if (o->quiet || !on_terminal())
		return;
	fprintf(stderr, "%s%s: %.1f of %.1f s", renew, name, (double)ms / 1000,
	    (double)o->duration_ms / 1000);
	if (published > 0)
		fprintf(stderr, ", %" PRIu64 " published", published);
	fprintf(stderr, ", %" PRIu64 " received, p50 %.1f ms, p99 %.1f ms",
	    t->received, (double)latencies_at(&t->latency, 0.5) / 1e6,
	    (double)latencies_at(&t->latency, 0.99) / 1e6);
	fflush(stderr);
}

void
progress_complain(const char *why)
{
	fprintf(stderr, "%sspillway compare: %s\n", on_terminal() ? renew : "",
	    why);
}

void
progress_end(const struct compare_options *o)
{
	if (!o->quiet && on_terminal())
		fputs(renew, stderr);
}
