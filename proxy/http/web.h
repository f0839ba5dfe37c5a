#ifndef SPILLWAY_PROXY_HTTP_WEB_H
#define SPILLWAY_PROXY_HTTP_WEB_H

#include "proxy/http/http.h"

/*
 * The pages under /spillway/: the files of `web-root`, read once at start. They
 * are few and small; what was not there at start is not served, so that no path
 * can reach out of the directory.
 */
struct web;

/* A directory that does not exist is logged, and leaves no pages. SW_ENOMEM. */
int web_load(struct web **out, const char *root);
void web_free(struct web *w);

void web_handle(struct exchange *x);

#endif
