#ifndef SPILLWAY_PROXY_API_API_CONNECTIONS_H
#define SPILLWAY_PROXY_API_API_CONNECTIONS_H

#include "proxy/http/http.h"

/* Who is there, on all workers: /v1/connections... */
void api_connections_list(struct exchange *x);
void api_connection_describe(struct exchange *x, uint64_t id);
/* With ?reconnect=yes the client is asked to come back. */
void api_connection_close(struct exchange *x, uint64_t id);

/* What ?reconnect= says of that; false: it was refused. */
bool api_reads_reconnect(struct exchange *x, bool *out);

#endif
