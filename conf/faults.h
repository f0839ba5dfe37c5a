#ifndef SPILLWAY_CONF_FAULTS_H
#define SPILLWAY_CONF_FAULTS_H

#include <stddef.h>

#include "proxy/base/buf.h"

/*
 * What is wrong with a configuration, collected to be told all at once.
 */

/* A line of a file; `path` is borrowed for as long as the place is used. */
struct place {
	const char *path;
	unsigned file; /* its number, in the order in which files were read */
	unsigned line; /* 0: the file itself */
};

struct fault;

struct faults {
	struct fault *items;
	size_t count;
	int error; /* SW_ENOMEM when one could not be kept */
};

void faults_init(struct faults *f);
void faults_fini(struct faults *f);

/* Keep one: what to write instead, without a line's end. */
void faults_add(struct faults *f, struct place at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Append all of them, one a line as "file:line: text", file by file and line
 * by line. SW_ENOMEM or SW_ELIMIT when some are missing.
 */
int faults_put(struct faults *f, struct buf *out);

#endif
