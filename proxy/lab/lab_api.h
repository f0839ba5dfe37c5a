#ifndef SPILLWAY_PROXY_LAB_LAB_API_H
#define SPILLWAY_PROXY_LAB_LAB_API_H

#include "proxy/http/http.h"

/*
 * /spillway/lab/..., with `demo = yes` alone: what the compare page asks of
 * the gateway.
 *
 *	GET  clock                   {"now": Unix ms, with fractions}
 *	GET  panes/PREFIX            what those whose names begin so did cost
 *	PUT  publisher/CHANNEL?...   see struct lab_order: {"next": number}
 *	PUT  faults/PANE?fault=...   see enum lab_fault; "none" ends all
 */
void lab_api_handle(struct exchange *x, struct str path);

#endif
