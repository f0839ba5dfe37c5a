#ifndef SPILLWAY_PROXY_EDGE_REDIRECT_H
#define SPILLWAY_PROXY_EDGE_REDIRECT_H

#include "proxy/http/http.h"

/*
 * The addresses of redirect-listen: whoever comes with http is sent to https.
 */

/* Send whoever asks to the same with https. */
void redirect_handle(struct exchange *x);

/*
 * How those who give certificates see whose a name is (ACME, RFC 8555 8.3):
 * they ask with http, and the backend answers.
 */
bool redirect_excepts(const struct request *r);

#endif
