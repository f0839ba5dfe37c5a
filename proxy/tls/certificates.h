#ifndef SPILLWAY_PROXY_TLS_CERTIFICATES_H
#define SPILLWAY_PROXY_TLS_CERTIFICATES_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "proxy/tls/tls.h"

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
 * Read them again. `*replaced` is the context before, to be released when
 * nobody begins a handshake with it any more, or NULL if it stays in use. Codes
 * as of tls_context_new: they cannot be used, the reason is logged, and all is
 * as it was.
 */
int certificates_renew(struct tls_context **replaced, struct certificates *c,
    const struct conf *conf);

/*
 * Look at the files: true, once, if they are others than those that were read
 * last, and the same as at the look before. Certificate and key are written one
 * after the other.
 */
bool certificates_changed(struct certificates *c, const struct conf *conf);

#endif
