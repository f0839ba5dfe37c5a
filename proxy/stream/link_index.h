#ifndef SPILLWAY_PROXY_STREAM_LINK_INDEX_H
#define SPILLWAY_PROXY_STREAM_LINK_INDEX_H

#include <stdint.h>

#include "proxy/stream/hub.h"

/*
 * The links of one subscriber by channel, for one that has too many of them to
 * walk along. They belong to the subscriber. One thread.
 */
struct link_index;

/* NULL is an empty one, and is made when it is added to. SW_ENOMEM. */
int link_index_add(struct link_index **x, struct link *l);
void link_index_remove(struct link_index *x, const struct link *l);
struct link *link_index_find(
    const struct link_index *x, const struct channel *c);
void link_index_free(struct link_index *x);

#endif
