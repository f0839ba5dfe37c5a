#ifndef SPILLWAY_PROXY_BRIDGE_BRIDGE_LETTER_H
#define SPILLWAY_PROXY_BRIDGE_BRIDGE_LETTER_H

#include "proxy/bridge/bridge_event.h"

/*
 * An event as bytes, for the outbox: what is stored today may be read by the
 * next version, so the first byte says how it is written.
 */
int bridge_letter_put(struct buf *out, const struct bridge_event *e);

/* SW_EINVAL if it cannot be understood. The texts are borrowed from it. */
int bridge_letter_read(struct bridge_event *out, struct str bytes);

#endif
