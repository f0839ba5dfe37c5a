#ifndef SPILLWAY_STORAGE_PAST_H
#define SPILLWAY_STORAGE_PAST_H

#include "proxy/base/buf.h"
#include "proxy/base/policy.h"
#include "proxy/base/str.h"

/*
 * Which channels memory alone kept, and up to when.
 *
 * Of a channel with `durability = memory` the store does not even know that it
 * had events. Should it be stored from some start on, a cursor from before that
 * may be one behind which events are gone. So the store remembers what the
 * configuration said, in a text of spans, the newest last:
 *
 *	FROM UPTO       the ids that were given out meanwhile; UPTO 0: still so
 *	memory PATTERN  what held for the channels that match, the first line
 *	stored PATTERN  that does
 *
 * A line without text ends a span.
 */
enum { PAST_SPANS = 8, PAST_TEXT_MAX = 64 << 20 };

struct past_span {
	uint64_t from, upto;
};

/* A text made ready for looking channels up: any thread may, at any time. */
struct past {
	char *text; /* the patterns are there */
	struct past_rule {
		const char *pattern;
		bool memory;
		struct past_span ids;
	} * rules; /* of the newest span first */
	size_t count;
};

/* A span that goes on is one up to `head`. SW_ENOMEM. */
int past_read(struct past *p, struct str text, uint64_t head);
void past_fini(struct past *p);

/* The newest span in which memory alone kept the channel; else zeroes. */
struct past_span past_find(const struct past *p, struct str channel);

/*
 * Append rules for channels whose policy is the first one that matches: none
 * if memory keeps no channel. Fails as buf_error does.
 */
int past_put_rules(
    struct buf *out, const struct policy *policies, size_t count);

/* Has memory kept the same channels ever since the log began, or none? */
bool past_is_plain(struct str text);

/* What the text says holds now; empty if memory keeps no channel. */
struct str past_rules(struct str text);

/*
 * The text with `rules` from `head` on, in `out`, which must be empty. More
 * than PAST_SPANS are not kept: `*dropped` is the end of the newest one that
 * was left out, or 0. Fails as buf_error does.
 */
int past_turn(struct buf *out, struct str text, struct str rules, uint64_t head,
    uint64_t *dropped);

#endif
