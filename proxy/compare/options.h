#ifndef SPILLWAY_PROXY_COMPARE_OPTIONS_H
#define SPILLWAY_PROXY_COMPARE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "proxy/base/buf.h"
#include "proxy/compare/place.h"
#include "proxy/compare/secure.h"
#include "transports/transport.h"

/* What `spillway compare` is asked to do. */
enum {
	COMPARE_TOKEN_MAX = 16 << 10,
	COMPARE_CHANNEL_MAX = 128,
	COMPARE_EVENTS_MAX = 10000000,
};

enum publisher_kind { PUBLISHER_ANY, PUBLISHER_API, PUBLISHER_DEMO };

struct compare_options {
	struct place url, api;
	char token[COMPARE_TOKEN_MAX + 1];     /* of the stream; or empty */
	char api_token[COMPARE_TOKEN_MAX + 1]; /* of the API; or empty */
	char channel[COMPARE_CHANNEL_MAX + 1];
	uint64_t subscribers; /* of each transport */
	uint64_t rate;        /* events a second */
	uint64_t size;        /* of a payload */
	uint64_t duration_ms; /* of each transport */
	uint64_t poll_interval_ms;
	uint64_t grace_ms; /* that the last events may take */
	enum transport_id transports[TRANSPORT_COUNT];
	size_t transport_count;
	enum publisher_kind publisher;
	struct secure_settings tls;
	bool quiet;
	bool together;                 /* all transports read the same events */
	const char *json, *csv, *html; /* files, or "-", or NULL */
};

/* False: there is nothing more to do; `*status` says how it went. */
bool compare_options_read(
    struct compare_options *o, int argc, char **argv, int *status);

/* How many events each transport has; at least one. */
uint64_t compare_options_events(const struct compare_options *o);

#endif
