#ifndef SPILLWAY_PROXY_BASE_COMMAND_LINE_H
#define SPILLWAY_PROXY_BASE_COMMAND_LINE_H

#include <stdbool.h>
#include <stdio.h>

/*
 * The options of `spillway compare` and `spillway token`, one after the other,
 * and the exit statuses that both have.
 */
enum command_status {
	COMMAND_FINE = 0,
	COMMAND_FAILED = 1,
	COMMAND_USAGE = 2,
};

struct option; /* of getopt.h */

struct command_line {
	const struct option *longs; /* 'h' is for help */
	void (*usage)(FILE *out);
	/* Takes one; false after it has said what is wrong with it. */
	bool (*take)(void *to, int id, const char *text);
};

/*
 * As main; `to` is given to take(). False: there is nothing more to do, and
 * `*status` says how it went. It is COMMAND_USAGE if there was no fault, for
 * those that are found later.
 */
bool command_line_read(
    const struct command_line *l, void *to, int argc, char **argv, int *status);

#endif
