#ifndef SPILLWAY_PROXY_BASE_HEADWAY_H
#define SPILLWAY_PROXY_BASE_HEADWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Does the other side of a socket take what it is sent?
 *
 * A socket goes on taking for a quarter of an hour after its peer has vanished
 * without a word, so what counts is what the peer has acknowledged.
 */

/*
 * Have the system ask after so long a silence whether the peer is there, and
 * end the connection after as long again without an answer; 0: it asks nobody.
 * Other sockets than those of TCP refuse it, and have no need of it.
 */
void headway_probe(int fd, uint64_t silence_ms);

/* Bytes that were written, and that the peer's system has not taken yet. */
size_t headway_untaken(int fd);
/*
 * Has it taken some since this was asked last, as `*taken` remembers? Also if
 * there is nothing to take; and of Unix sockets, of which the system does not
 * know.
 */
bool headway_is_made(int fd, uint32_t *taken);

/* What was seen of one socket; times are as loop_lived_ms counts. */
struct headway {
	uint32_t taken;
	uint64_t looked_ms;
	uint64_t made_ms;
};

void headway_begin(struct headway *h, uint64_t lived_ms);
/*
 * How long none was made: to be asked each time before more is sent. It looks
 * once a second at most, and says 0 between.
 */
uint64_t headway_missing_ms(struct headway *h, int fd, uint64_t lived_ms);

#endif
