#ifndef SPILLWAY_PROXY_API_API_HISTORY_H
#define SPILLWAY_PROXY_API_API_HISTORY_H

#include "proxy/http/http.h"

/* What a channel keeps, in the shape of a poll's answer. */
void api_history(struct exchange *x, struct str name);

#endif
