#ifndef SPILLWAY_CONF_CONF_H
#define SPILLWAY_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/api_token.h"
#include "conf/route.h"
#include "conf/token_key.h"
#include "proxy/base/buf.h"
#include "proxy/base/log.h"
#include "proxy/base/policy.h"
#include "proxy/base/str.h"

struct directive;
struct network;

/* What to do at start with a store that is damaged. */
enum corrupt_store {
	CORRUPT_REFUSE,     /* do not start */
	CORRUPT_MOVE_ASIDE, /* rename it, and start with an empty one */
};

/* The permissions of a Unix socket. */
enum socket_mode { SOCKET_0600, SOCKET_0660, SOCKET_0666 };

/* The oldest version to be spoken. */
enum tls_version { TLS_1_2, TLS_1_3 };

/*
 * The configuration, fixed once loaded: whoever holds it may read it from any
 * thread. Each field is a directive of the same name; conf/directives.c says
 * what each means, its limits and its default. Times are in milliseconds, and
 * 0 stands for "no limit" where a comment here says so.
 */
struct conf {
	/* Where clients connect, without and with TLS; see value_address. */
	char **listen;
	size_t listen_count;
	char **listen_tls;
	size_t listen_tls_count;
	/* Where publishers and operators connect; none if it is off. */
	char **api_listen;
	size_t api_listen_count;
	char **api_listen_tls;
	size_t api_listen_tls_count;
	/* Where clients that come with http are sent to https. */
	char **redirect_listen;
	size_t redirect_listen_count;
	uint64_t redirect_port; /* 0: that of listen_tls */
	/* Tokens as written, that is perhaps file:/path; the tokens proper. */
	char **api_token_text;
	size_t api_token_text_count;
	struct api_token *api_token;
	size_t api_token_count;
	/* Who may connect to Unix sockets. */
	enum socket_mode listen_socket_mode, api_socket_mode;
	bool anonymous; /* clients need no credentials on any address */

	/* Files; as many keys as certificates, or none: they are in one. */
	char **tls_certificate;
	size_t tls_certificate_count;
	char **tls_key;
	size_t tls_key_count;
	char **tls_ocsp; /* likewise, "none" among them */
	size_t tls_ocsp_count;
	char **api_client_ca; /* files; none: no certificates are asked for */
	size_t api_client_ca_count;
	enum tls_version tls_min_version;
	uint64_t tls_session_age_ms;       /* 0: sessions are not resumed */
	uint64_t tls_certificate_check_ms; /* 0: never */
	uint64_t hsts_age_ms;              /* 0: off */
	uint64_t tls_handshake_timeout_ms;
	uint64_t tls_handshakes_max;
	/* Keys as written; the keys proper. */
	char **token_key_text;
	size_t token_key_text_count;
	struct token_key *token_key;
	size_t token_key_count;
	char **token_issuer;
	size_t token_issuer_count; /* 0: any */
	char **token_audience;
	size_t token_audience_count;
	uint64_t token_leeway_ms;
	char *token_cookie; /* or "off" */
	bool token_in_url;
	uint64_t auth_timeout_ms; /* 0: no first message is waited for */
	char **allow_origin;
	size_t allow_origin_count;

	char *user;  /* whom to become once all is open, or "off" */
	char *group; /* likewise; "off": the user's own */
	bool core_dumps;
	unsigned workers; /* 0: one per core */

	char *store; /* a path, or "memory" */
	enum corrupt_store corrupt_store;
	bool store_shared;        /* with other processes */
	uint64_t store_max_bytes; /* 0: no limit */
	unsigned readers;         /* threads that read history */
	uint64_t window_bytes;    /* the newest events in memory: in all */
	uint64_t window_events;   /* and per channel */

	uint64_t publish_rate; /* 0: no limit */
	uint64_t publish_queue_events;
	uint64_t publish_queue_bytes;
	uint64_t message_max; /* one event's payload, one client's message */
	uint64_t batch_max;   /* the body of a batch */
	uint64_t batch_events_max;
	uint64_t idempotency_age_ms;
	uint64_t channel_age_ms;

	uint64_t header_max; /* a request's head */
	uint64_t header_timeout_ms;
	uint64_t odd_path_max; /* a path that may be read in several ways */
	uint64_t request_timeout_ms;
	uint64_t idle_timeout_ms;
	bool first_look;
	char *web_root; /* a path, or "off" */
	bool demo;      /* the compare page may publish and measure */

	/* As written; the networks proper. */
	char **trusted_proxy_text;
	size_t trusted_proxy_text_count;
	struct network *trusted_proxy;
	size_t trusted_proxy_count;
	char **proxy_protocol_text;
	size_t proxy_protocol_text_count;
	struct network *proxy_protocol;
	size_t proxy_protocol_count;
	char *bridge_path; /* at the backend */
	/* Secrets as written; the secrets proper, checked. */
	char **bridge_secret_text;
	size_t bridge_secret_text_count;
	char **bridge_secret;
	size_t bridge_secret_count;
	char **bridge_header; /* names */
	size_t bridge_header_count;
	uint64_t bridge_timeout_ms;
	uint64_t bridge_queue_bytes;
	uint64_t session_lease_ms;
	uint64_t outbox_max_age_ms;
	uint64_t outbox_max_bytes; /* of what waits */
	uint64_t outbox_retry_max_ms;

	uint64_t heartbeat_ms;
	uint64_t retry_ms;
	uint64_t stall_timeout_ms;
	uint64_t notsent_lowat;
	uint64_t tcp_keepalive_ms;
	uint64_t close_timeout_ms;
	uint64_t drain_time_ms;
	bool deflate;
	uint64_t deflate_min;
	unsigned deflate_level;

	uint64_t poll_wait_ms;
	uint64_t poll_wait_max_ms;
	uint64_t poll_limit;
	uint64_t poll_limit_max;

	uint64_t max_connections;             /* 0: as descriptors allow */
	uint64_t max_connections_per_address; /* 0: no limit */
	uint64_t connection_rate;             /* 0: no limit */
	uint64_t tls_handshake_rate;          /* 0: no limit */
	bool limit_loopback;
	uint64_t message_rate;      /* 0: no limit */
	uint64_t message_byte_rate; /* 0: no limit */
	uint64_t channels_per_connection;
	uint64_t max_channels;
	uint64_t max_sessions;

	enum log_level log_level;
	bool log_json;

	/*
	 * One for each `channel` block, as they stand in the file, and the
	 * settings outside of blocks as the last one, with the pattern "*".
	 */
	struct policy *policies;
	size_t policy_count;

	/* Likewise for each `route` block, and what is outside of these. */
	struct route *routes;
	size_t route_count;
};

/*
 * Load a file, and those that it includes; NULL gives the defaults. `*out` is
 * the caller's. One thread at a time loads, others wait.
 *
 * SW_EINVAL when there are faults: then all of them are appended to `faults`,
 * one a line, each as "file:line: what to write instead", and `*out` is NULL.
 * Otherwise SW_ENOMEM or SW_ELIMIT, if memory or `faults` was too small; but
 * libconfuse ends the program in some places where memory runs out.
 */
int conf_load(struct conf **out, const char *path, struct buf *faults);
void conf_free(struct conf *c); /* accepts NULL */

/*
 * Append all that is in effect, as a file that loads to the same. Tokens look
 * as they were written, so those that are kept in files do not show.
 */
int conf_print(const struct conf *c, struct buf *out);

/* The struct that has the directive's field, as it is set outside of blocks. */
void *conf_base(const struct conf *c, const struct directive *d);

/* The backend outside of routes, to which clients' events go as well. */
static inline const struct route *
conf_backend(const struct conf *c)
{
	return &c->routes[c->route_count - 1];
}

/* The first policy that matches; borrowed from the configuration. */
const struct policy *conf_policy(const struct conf *c, struct str channel);

/*
 * Append the names of the directives that differ and that only a restart can
 * change, with commas between; nothing if all of `next` can be taken over.
 */
int conf_needs_restart(
    const struct conf *now, const struct conf *next, struct buf *names);

/*
 * What only a restart can change stays as it is `now`: those directives get the
 * values that are in use, and routes, if `next` has other ones or others of
 * them have a backend, are copies of those in use. SW_ENOMEM; then `next` can
 * only be freed.
 */
int conf_keep(struct conf *next, const struct conf *now);

#endif
