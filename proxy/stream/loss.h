#ifndef SPILLWAY_PROXY_STREAM_LOSS_H
#define SPILLWAY_PROXY_STREAM_LOSS_H

#include "proxy/stream/subscriber.h"

/*
 * Telling a subscriber what it missed for good: silence about loss would be a
 * bug. Streams are told with a notice; a poll, which has one answer, with a
 * member of it. Where a loss is told, the position moves past it, so that it is
 * told once.
 */
struct replay;

/* A loss that is yet to be told, when it is known where things go on. */
struct lost {
	enum gap_reason reason;
	struct cursor after;
	struct channel *channel; /* a later subscription's, or NULL */
	struct lost *next;
};

/*
 * The cursor of the subscriber, or of one link of it, is of no use, for that
 * reason. SW_ENOMEM.
 */
int loss_note(struct subscriber *s, enum gap_reason reason,
    const struct cursor *after, const struct link *link);
/*
 * What was noted of the link `alone`, or of those that are not: it goes on with
 * event `first`; 0: with what the windows have.
 */
void loss_tell(struct subscriber *s, const struct link *alone, uint64_t first);
/* Who has left the channel has lost nothing there; NULL: all that was noted. */
void loss_forget(struct subscriber *s, const struct channel *c);

/* What its window holds and retention does not is skipped. */
void loss_trim(struct subscriber *s, struct link *l);

/*
 * The link `alone`, or those that are not, have everything that this worker
 * knows of: what is missing from here on is a loss, wherever they began.
 */
void loss_caught_up(struct subscriber *s, const struct link *alone);
/*
 * Of channels that only memory keeps, what the windows dropped is skipped. When
 * a read is over, these are the ones that it was not for: a reload may have
 * changed the others meanwhile.
 */
void loss_skip_memory(struct subscriber *s, bool alone, bool after_read);

/*
 * Does the window of each channel that a read found nothing of go on where the
 * read ended? If not, nobody knows where things go on: read again.
 */
bool loss_is_clear(struct subscriber *s, const struct replay *r);
/* Then: what the read found missing. */
void loss_after_read(struct subscriber *s, const struct replay *r);

#endif
