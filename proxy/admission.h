#ifndef SPILLWAY_PROXY_ADMISSION_H
#define SPILLWAY_PROXY_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/address.h"

/*
 * How many connections there may be: in all, and from one address (of IPv6: one
 * /64, which is what one customer has). Any thread.
 */
struct admission;

int admission_new(struct admission **out, uint64_t total, uint64_t per_address);
void admission_free(struct admission *a);
void admission_limits(struct admission *a, uint64_t total,
    uint64_t per_address); /* 0: no limit per address */

/* True, and counted, if one more may come. */
bool admission_enter(struct admission *a, const struct address *peer);
void admission_leave(struct admission *a, const struct address *peer);

#endif
