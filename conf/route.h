#ifndef SPILLWAY_CONF_ROUTE_H
#define SPILLWAY_CONF_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/str.h"

/*
 * Some paths, and the backend that requests for them go to: a `route` block.
 * One more stands for all that is outside of blocks. The fields are directives
 * of the same name.
 */
struct route {
	char *pattern; /* of paths, with `*` for any text */
	char *bare;    /* without a slash and star at its end, if it has them */
	/*
	 * The block says `backend` itself, so that there are addresses of its
	 * own, or none; all else about these is its own, too. False: they are
	 * those from outside.
	 */
	bool own;
	char **backend; /* see value_backend; none: nothing is passed on */
	size_t backend_count;
	char *backend_ca; /* a path, or "system" */
	uint64_t backend_connect_timeout_ms;
	uint64_t backend_response_timeout_ms;
	uint64_t backend_idle_timeout_ms;
	uint64_t backend_total_timeout_ms; /* 0: no limit */
	uint64_t backend_keep_alive_ms;
	uint64_t backend_resolve_interval_ms;
	char **upgrade; /* protocols, in lower case */
	size_t upgrade_count;
	uint64_t upgrade_idle_timeout_ms;
	uint64_t backend_requests_max;
	uint64_t backend_queue_max;
	uint64_t backend_header_max;
	uint64_t backend_failures;
	uint64_t backend_fail_time_ms;
	char *backend_probe_path; /* or "off" */
	uint64_t backend_probe_interval_ms;
	uint64_t backend_probe_timeout_ms;
	bool strip_prefix;
	char **request_header; /* see value_header */
	size_t request_header_count;
	char **response_header;
	size_t response_header_count;
	bool access_log;
};

enum {
	ROUTE_PATTERN_MAX = 256,
	ROUTE_HEADERS_MAX = 32, /* in one list of them */
};

/*
 * At most ROUTE_PATTERN_MAX characters, the first a slash, and each one that no
 * client has to encode or a `*`; no segment is empty, or dots.
 */
bool route_pattern_valid(struct str pattern);

bool route_matches(const struct route *r, struct str path);

/*
 * The index of the first route that matches, or of the last one, which stands
 * for all else. SW_EINVAL when some server might read the path in such a way
 * that it is another route's: with its escapes decoded, its dots resolved, its
 * slashes merged. SW_ELIMIT when one that has to be looked at so is above
 * `odd_max` bytes: the time it takes grows with its length. SW_ENOMEM. Memory
 * is taken for odd paths alone.
 */
int route_choose(size_t *out, const struct route *routes, size_t count,
    struct str path, uint64_t odd_max);

/* How many bytes of such paths strip-prefix is about; 0: there is none. */
size_t route_prefix(const struct route *r);

/*
 * A header to write, "Name: value", or to leave out, "Name:". SW_EINVAL for
 * what is none, and for those that are the gateway's to write; then with
 * advice.
 */
int value_header(struct str text, struct buf *advice);

/* The name and the value, which may be empty, of a header that is valid. */
void header_split(const char *text, struct str *name, struct str *value);

#endif
