#ifndef SPILLWAY_PROXY_SOCKETS_H
#define SPILLWAY_PROXY_SOCKETS_H

#include <stddef.h>

#include "conf/conf.h"
#include "proxy/base/address.h"
#include "proxy/edge/conn.h"
#include "proxy/process.h"

struct worker;

/*
 * The sockets that we listen on, or that systemd has opened for us: one for
 * each address and worker. They are opened before all else, since that may take
 * rights that the rest is better without, and handed to the workers at its end.
 */
struct sockets {
	struct socket *items;
	size_t count;
	size_t workers;
	/* Borrowed while they are opened. */
	const struct conf *conf;
	const struct identity *identity; /* whose Unix sockets are */
	/* By kind, the first address that others reach, or "". */
	char reached[LISTENER_KINDS][ADDRESS_TEXT];
};

/* Zeroed before. What is wrong has been logged. */
int sockets_open(struct sockets *s, const struct conf *conf,
    const struct identity *identity, size_t workers);

/*
 * May they be used with that configuration? What others reach asks for a
 * decision, or for a token, also after a reload, and where the configuration
 * cannot see it. SW_EINVAL: no, and what to write has been logged.
 */
int sockets_check(const struct sockets *s, const struct conf *conf);

/* Each worker gets its own. */
int sockets_hand_out(struct sockets *s, struct worker *const *workers);

/* What nobody took; what is known of them stays. */
void sockets_close(struct sockets *s);

#endif
