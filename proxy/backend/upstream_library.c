/*
 * libcurl itself, which is used up when it runs out of memory: it does not say
 * what of its work was left undone, and version 7.88 divides by zero when it
 * comes back to that. Then it is ended, with what was in its hands, and begun
 * anew.
 */
#include "proxy/backend/upstream_private.h"
#include "proxy/base/err.h"
#include "proxy/base/log.h"

bool
library_start(struct upstream *u)
{
	long kept = (long)upstream_share(u, u->route->backend_requests_max);

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return false;
	u->multi = curl_multi_init();
	if (u->multi == NULL)
		return false;
	if (upstream_sockets_open(u) &&
	    curl_multi_setopt(u->multi, CURLMOPT_MAXCONNECTS, kept) == CURLM_OK)
		return true;
	library_end(u);
	return false;
}

void
library_end(struct upstream *u)
{
	while (u->spare_count > 0)
		curl_easy_cleanup(u->spare[--u->spare_count]);
	for (size_t i = 0; i < u->origin_count; i++)
		origin_forget_ready(&u->origins[i]);
	if (u->multi != NULL)
		curl_multi_cleanup(u->multi);
	u->multi = NULL;
	u->due = u->used_up = false;
	upstream_sockets_close(u);
}

static void
note(struct upstream *u, CURLMcode code)
{
	if (code == CURLM_OK || u->used_up)
		return;
	log_error("upstream: libcurl is begun anew: %s; requests to the "
		  "backend are given up",
	    curl_multi_strerror(code));
	u->used_up = true;
}

void
library_act(struct upstream *u, curl_socket_t fd, int events)
{
	int running;

	if (u->multi != NULL && !u->used_up)
		note(u,
		    curl_multi_socket_action(u->multi, fd, events, &running));
}

int
library_take(struct upstream_request *r)
{
	struct upstream *u = r->upstream;

	if (u->multi == NULL || u->used_up)
		return SW_ENOMEM;
	note(u, curl_multi_add_handle(u->multi, r->easy));
	return u->used_up ? SW_ENOMEM : SW_OK;
}

void
library_resume(struct upstream_request *r)
{
	struct upstream *u = r->upstream;

	if (!u->used_up &&
	    curl_easy_pause(r->easy, CURLPAUSE_CONT) == CURLE_OUT_OF_MEMORY)
		note(u, CURLM_OUT_OF_MEMORY);
}
