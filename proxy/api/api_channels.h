#ifndef SPILLWAY_PROXY_API_API_CHANNELS_H
#define SPILLWAY_PROXY_API_API_CHANNELS_H

#include "proxy/http/http.h"

/* What the operator asks about channels: /v1/channels... */
void api_channels_list(struct exchange *x);
void api_channel_describe(struct exchange *x, struct str name);
void api_channel_delete(struct exchange *x, struct str name);

#endif
