/*
 * Where an origin's name has led last. While it cannot be looked up, requests
 * go there: that a name server is away says nothing about the backend. One of
 * them asks for the name again each backend-resolve-interval.
 */
#include <stdio.h>

#include "proxy/backend/upstream_private.h"
#include "proxy/base/log.h"

void
name_led_to(struct upstream_request *r, const char *address)
{
	struct upstream_origin *o = r->origin;

	if (r->opened && r->connect_to == NULL && o->unix_path == NULL)
		snprintf(o->address, sizeof(o->address), "%s", address);
}

void
name_is_known(struct upstream_request *r)
{
	if (r->connect_to != NULL || !r->origin->nameless)
		return;
	log_info("backend's name is known again origin=%s", r->origin->url);
	r->origin->nameless = false;
}

bool
name_fails(struct upstream_request *r, CURLcode code)
{
	struct upstream *u = r->upstream;
	struct upstream_origin *o = r->origin;
	curl_off_t looked_up_us = 0;

	if (r->connect_to != NULL || o->address[0] == '\0' ||
	    (code != CURLE_COULDNT_RESOLVE_HOST &&
		code != CURLE_OPERATION_TIMEDOUT))
		return false;
	curl_easy_getinfo(r->easy, CURLINFO_NAMELOOKUP_TIME_T, &looked_up_us);
	if (looked_up_us != 0 || transfer_sent(r))
		return false;
	if (!o->nameless)
		log_warn("backend's name cannot be looked up origin=%s: "
			 "going on with %s",
		    o->url, o->address);
	o->nameless = true;
	o->ask_name_ms = loop_now_ms(u->worker->loop) +
	    u->route->backend_resolve_interval_ms;
	return true;
}

void
name_doubt(struct upstream_request *r)
{
	/* It may lead elsewhere by now. */
	if (r->connect_to != NULL)
		r->origin->ask_name_ms = 0;
}

/* When it is time, one asks, and the others go on meanwhile. */
static bool
goes_by_address(const struct upstream_request *r)
{
	struct upstream_origin *o = r->origin;
	uint64_t now = loop_now_ms(r->upstream->worker->loop);

	if (!o->nameless || now < o->ask_name_ms)
		return o->nameless;
	o->ask_name_ms = now + r->upstream->route->backend_connect_timeout_ms;
	return false;
}

bool
name_choose(struct upstream_request *r)
{
	char text[sizeof(r->origin->address) + 8];

	name_forget(r);
	if (goes_by_address(r)) {
		/* Whatever the URL's host and port, this host and that port. */
		snprintf(text, sizeof(text),
		    strchr(r->origin->address, ':') == NULL ? "::%s:" :
							      "::[%s]:",
		    r->origin->address);
		r->connect_to = curl_slist_append(NULL, text);
		if (r->connect_to == NULL)
			return false;
	}
	return curl_easy_setopt(r->easy, CURLOPT_CONNECT_TO, r->connect_to) ==
	    CURLE_OK;
}

void
name_forget(struct upstream_request *r)
{
	curl_slist_free_all(r->connect_to);
	r->connect_to = NULL;
}
