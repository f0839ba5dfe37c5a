#ifndef SPILLWAY_PROXY_CERTIFICATES_H
#define SPILLWAY_PROXY_CERTIFICATES_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "proxy/tls.h"

/*
 * The certificates in use: read at the start, again with the configuration, and
 * when their files have changed. Of the thread that waits for signals.
 */
struct certificates {
	struct tls_tickets *tickets;
	struct tls_context *context; /* NULL: there are none */
	uint64_t tried;              /* the state of the files when last read */
	uint64_t seen;               /* by the last look */
};

/* What is wrong with them is logged. */
int certificates_open(struct certificates *c, const struct conf *conf);
void certificates_close(struct certificates *c); /* also of zeros */

/*
 * Read them again. The context before, to be released when nobody begins a
 * handshake with it any more; NULL if it stays in use, for a reason that is
 * logged.
 */
struct tls_context *certificates_renew(
    struct certificates *c, const struct conf *conf);

/*
 * Look at the files: true if they are others than those that were read last,
 * and the same as at the look before. Certificate and key are written one after
 * the other.
 */
bool certificates_changed(struct certificates *c, const struct conf *conf);

#endif
