#ifndef SPILLWAY_CONF_DIRECTIVES_H
#define SPILLWAY_CONF_DIRECTIVES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/str.h"

/* Where the daemon keeps its files; the build may say otherwise. */
#ifndef SPILLWAY_STATEDIR
#define SPILLWAY_STATEDIR "/var/lib/spillway"
#endif
#ifndef SPILLWAY_DATADIR
#define SPILLWAY_DATADIR "/usr/share/spillway"
#endif

/*
 * The table of directives: parsing, range checks, the printed configuration,
 * the sample file and the manual are all read from it. A new directive is a
 * field in struct conf and a row here.
 */
enum directive_kind {
	KIND_FLAG,  /* bool */
	KIND_WORD,  /* an enum or a bool: the word's index in `words` */
	KIND_COUNT, /* a number, as the rows below: uint64_t or unsigned */
	KIND_BYTES,
	KIND_MSEC,
	KIND_PATH,      /* char * */
	KIND_ADDRESSES, /* char ** with a count, as the rows below */
	KIND_PATHS,
	KIND_TOKENS,
	KIND_KEYS,  /* likewise, and what they stand for in a list of its own */
	KIND_TEXTS, /* likewise; any text that is not empty */
	KIND_ORIGINS, /* likewise */
	KIND_BACKENDS,
	KIND_NETWORKS,
	KIND_HEADERS,
	KIND_NAME, /* char * */
};

/* The headings of the documents, in their order. */
enum directive_group {
	GROUP_EVERYDAY,
	GROUP_TLS,
	GROUP_ACCESS,
	GROUP_CHANNELS,
	GROUP_STREAMS,
	GROUP_POLLS,
	GROUP_PUBLISHING,
	GROUP_STORE,
	GROUP_REQUESTS,
	GROUP_BACKEND,
	GROUP_BRIDGE,
	GROUP_LIMITS,
	GROUP_COUNT,
};

struct directive {
	const char *name;
	enum directive_kind kind;
	enum directive_group group;
	bool channel;  /* of a channel: may stand in a block, sets a policy */
	bool route;    /* of a route: likewise, sets a struct route */
	bool pool;     /* in a route only with a `backend` of its own */
	bool restart;  /* a change needs one; others are re-read on SIGHUP */
	size_t offset; /* of the field in struct conf, policy or route */
	size_t size;   /* of the field */
	size_t count_offset;  /* of a list's count */
	const char *fallback; /* as a file would say it; NULL: an empty list */
	uint64_t min, max;
	const char *zero; /* what 0 means where it is outside of min..max */
	const char *const *words; /* all, or what may stand for a value */
	const char *example;      /* where there is no fallback */
	const char *help;
};

/* In the order of the documents, group by group; `i` below their number. */
const struct directive *directive_at(size_t i);
size_t directive_count(void);
size_t directive_index(const struct directive *d); /* of one of them */

/* What a group is called. */
extern const char *const directive_groups[GROUP_COUNT];

/* Two directives of which the first may not be above the second. */
struct directive_pair {
	const char *low;
	const char *high;
};

extern const struct directive_pair directive_pairs[];
extern const size_t directive_pair_count;

/* NULL if there is none. */
const struct directive *directive_find(struct str name);

/* Where a setting may stand. */
enum block_kind { BLOCK_NONE, BLOCK_CHANNEL, BLOCK_ROUTE, BLOCK_KINDS };

/* What begins such a block; NULL for BLOCK_NONE. */
extern const char *const block_names[BLOCK_KINDS];

static inline bool
directive_stands_in(const struct directive *d, enum block_kind kind)
{
	return kind == BLOCK_NONE || (kind == BLOCK_CHANNEL && d->channel) ||
	    (kind == BLOCK_ROUTE && d->route);
}

/* The name that `name` may have meant there; NULL if none is near. */
const char *directive_nearest(struct str name, enum block_kind kind);

static inline bool
directive_is_list(const struct directive *d)
{
	return d->kind >= KIND_ADDRESSES && d->kind <= KIND_HEADERS;
}

static inline bool
directive_is_text(const struct directive *d)
{
	return d->kind == KIND_PATH || d->kind == KIND_NAME;
}

/* What stands behind it is for nobody to read. */
static inline bool
directive_is_secret(const struct directive *d)
{
	return d->kind == KIND_TOKENS || d->kind == KIND_KEYS;
}

#endif
