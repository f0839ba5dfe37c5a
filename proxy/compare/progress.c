#include "proxy/compare/progress.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 512 };

static const char renew[] = "\r\033[K";

static bool
on_terminal(void)
{
	return isatty(STDERR_FILENO) != 0;
}

/* A line that is wider than the terminal could not renew itself. */
static void
put_line(const char *line)
{
	struct winsize size;
	int room = INT_MAX;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
		room = size.ws_col - 1;
	fprintf(stderr, "%s%.*s", renew, room, line);
	fflush(stderr);
}

void
progress_say(const struct compare_options *o, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	va_list args;

	if (o->quiet)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (on_terminal())
		put_line(line);
	else
		fprintf(stderr, "spillway compare: %s\n", line);
}

void
progress_show(const struct compare_options *o, const char *name,
    const struct tally *t, uint64_t published, uint64_t ms)
{
	char line[LINE_MAX_BYTES], of[48] = "";

	if (o->quiet || !on_terminal())
		return;
	if (published > 0)
		snprintf(of, sizeof(of), ", %" PRIu64 " published", published);
	snprintf(line, sizeof(line),
	    "%s: %.1f of %.1f s%s, %" PRIu64
	    " received, p50 %.1f ms, p99 %.1f ms",
	    name, (double)ms / 1000, (double)o->duration_ms / 1000, of,
	    t->received, (double)latencies_at(&t->latency, 0.5) / 1e6,
	    (double)latencies_at(&t->latency, 0.99) / 1e6);
	put_line(line);
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
