#ifndef SPILLWAY_PROXY_COMPARE_PLACE_H
#define SPILLWAY_PROXY_COMPARE_PLACE_H

#include <stdbool.h>
#include <sys/socket.h>

#include "proxy/base/buf.h"

/* Where a gateway is: http://HOST[:PORT][/PATH], https likewise. */
enum { PLACE_NAME_MAX = 253, PLACE_BASE_MAX = 512 };

struct place {
	bool secure;
	char host[PLACE_NAME_MAX + 1]; /* of IPv6, without its brackets */
	char port[6];
	char authority[PLACE_NAME_MAX + 10]; /* for Host */
	char base[PLACE_BASE_MAX];           /* before all paths; or empty */
	struct sockaddr_storage addr;        /* what place_find has found */
	socklen_t addr_len;
};

/* SW_EINVAL, and what to write instead in `*advice`. ws and wss are fine. */
int place_parse(struct place *out, const char *url, const char **advice);

/*
 * Look its name up, and find the first of its addresses where somebody listens.
 * Waits for that, some seconds at most. SW_EIO, with the reason in `why`.
 */
int place_find(struct place *p, struct buf *why);

#endif
