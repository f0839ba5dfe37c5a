#ifndef SPILLWAY_PROXY_COMPARE_PROGRESS_H
#define SPILLWAY_PROXY_COMPARE_PROGRESS_H

#include "proxy/compare/options.h"
#include "proxy/compare/tally.h"

/*
 * How far it is, on the standard error: a line that renews itself on a
 * terminal, elsewhere one for each step. Nothing with --quiet.
 */
void progress_say(const struct compare_options *o, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* On a terminal alone; as often as one may call it. */
void progress_show(const struct compare_options *o, const char *name,
    const struct tally *t, uint64_t published, uint64_t ms);
/* What went wrong, even with --quiet. */
void progress_complain(const char *why);
void progress_end(const struct compare_options *o);

#endif
