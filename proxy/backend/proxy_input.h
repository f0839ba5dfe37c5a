#ifndef SPILLWAY_PROXY_BACKEND_PROXY_INPUT_H
#define SPILLWAY_PROXY_BACKEND_PROXY_INPUT_H

#include "proxy/edge/conn.h"

/* What a client sends behind a head, some of which was read with it. */

/* As conn_read, but first of what was read before. */
ssize_t input_take(struct conn *c, uint8_t *out, size_t n);

/* What was read beyond a body goes in front of what is kept. SW_ENOMEM. */
int input_put_back(struct conn *c, const uint8_t *bytes, size_t n);

#endif
