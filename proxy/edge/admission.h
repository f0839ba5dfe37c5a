#ifndef SPILLWAY_PROXY_EDGE_ADMISSION_H
#define SPILLWAY_PROXY_EDGE_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/address.h"
#include "proxy/edge/limits.h"

/*
 * How many connections there may be: in all, and from one address (of IPv6: one
 * /64, which is what one customer has); and how fast they may come from there.
 * Any thread.
 */
struct admission;

/* Connections that come at once are those of so much time. */
enum { ADMISSION_BURST_MS = 10000 };
/* Beyond the total: for publishers and operators, when clients have it all. */
enum { ADMISSION_RESERVE = 32 };

struct admission_limits {
	uint64_t total;
	/* For connections, and for what some need besides; 0: no limit. */
	uint64_t descriptors;
	/* Of one address; 0: no limit. */
	uint64_t per_address;
	uint64_t rate;     /* a second */
	uint64_t tls_rate; /* those that begin with a handshake */
	bool loopback;     /* also of what this machine is itself */
};

int admission_new(
    struct admission **out, const struct admission_limits *limits);
void admission_free(struct admission *a);
void admission_configure(
    struct admission *a, const struct admission_limits *limits);

/*
 * True, and counted, if one more may come at that time; else `*why` is the
 * limit in its way. `api`: it is for the API, which has a reserve.
 */
bool admission_enter(struct admission *a, const struct address *peer, bool tls,
    bool api, uint64_t now_ms, enum limit *why);
/*
 * One that was admitted when nobody knew whose it is (its family is 0) is this
 * address's from now on, if that may have one more: it has its place in all.
 */
bool admission_identify(struct admission *a, const struct address *peer,
    bool tls, uint64_t now_ms, enum limit *why);
void admission_leave(struct admission *a, const struct address *peer);

/*
 * A connection that was admitted needs so many descriptors more; false if they
 * do not fit beside what is in use. They are given back before it leaves.
 */
bool admission_take(struct admission *a, uint64_t descriptors);
void admission_give(struct admission *a, uint64_t descriptors);

/* Addresses that something is remembered of. */
size_t admission_addresses(struct admission *a);

#endif
