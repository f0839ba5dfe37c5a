#ifndef SPILLWAY_CONF_SOURCE_H
#define SPILLWAY_CONF_SOURCE_H

#include <stddef.h>

#include "conf/faults.h"
#include "proxy/base/buf.h"

/*
 * The text of one configuration file. Its path outlives the text, for places.
 */
enum { SOURCE_MAX = 1024 * 1024 };

struct source {
	char *path;
	unsigned number; /* among the files of a configuration */
	char *text;      /* terminated; ends with a new line */
	size_t len;
};

/*
 * Read a file. SW_EINVAL when it cannot be used, with the reason appended to
 * `why`; SW_ENOMEM.
 */
int source_read(
    struct source **out, const char *path, unsigned number, struct buf *why);
void source_free(struct source *s); /* accepts NULL */

static inline struct place
source_place(const struct source *s, unsigned line)
{
	return (struct place){ s->path, s->number, line };
}

#endif
