#ifndef SPILLWAY_PROXY_BASE_LOG_H
#define SPILLWAY_PROXY_BASE_LOG_H

#include <stdbool.h>

#include "proxy/base/str.h"

/*
 * The log: one event, one line, on standard error.
 *
 * A line is a few words, then `key=value` fields, so that it is complete on its
 * own: "closed id=42 transport=sse why=stalled". A value with blanks is written
 * as key="...". As JSON the fields at its end become members, and what is in
 * front of them "message".
 * Any thread may log at any time; a line leaves in one write. When nobody takes
 * lines for a second they are lost, and counted, until somebody does.
 */
enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Lines above `level` are dropped. */
void log_set(enum log_level level, bool json);
bool log_enabled(enum log_level level);

void log_write(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__) /* act on it */
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)   /* we coped */
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)   /* begins, ends */
#define log_debug(...)                                     \
	do {                                               \
		if (log_enabled(LOG_DEBUG))                \
			log_write(LOG_DEBUG, __VA_ARGS__); \
	} while (0)

/*
 * Text that came from a peer, safe inside a line: in double quotes, with
 * quotes, backslashes and everything outside printable ASCII escaped, cut to
 * fit. Returns `out`.
 */
#define LOG_QUOTED 160
const char *log_quote(char out[LOG_QUOTED], struct str text);

#endif
