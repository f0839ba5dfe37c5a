#include "conf/directive_rows.h"

/* What is behind the gateway, for requests and for the bridge. */
static const struct directive rows[] = {
	{ "backend", KIND_BACKENDS, GROUP_BACKEND, ROUTE_LIST(backend),
	    .restart = true, .example = "http://127.0.0.1:3000",
	    .words = WORDS("off"),
	    .help = "Where the application is, to which every request goes "
		    "that is not the gateway's own: http://host:port, "
		    "https://host:port or unix:/path. There may be several, "
		    "which share the requests, evenly or by what stands "
		    "behind the address: \"http://10.0.0.2:3000 weight=2\". "
		    "None, or \"off\": such requests are answered 404. A "
		    "route may have a backend of its own, which fails and is "
		    "limited apart from all others; clients' events always go "
		    "to the one outside of routes." },
	{ "backend-ca", KIND_PATH, GROUP_BACKEND, POOL(backend_ca),
	    .fallback = "system", .words = WORDS("system"),
	    .help = "File of the certificates in PEM that vouch for a backend "
		    "with https; \"system\" for those of the system." },
	{ "backend-connect-timeout", KIND_MSEC, GROUP_BACKEND,
	    POOL(backend_connect_timeout_ms), .fallback = "5s", .min = 10,
	    .max = 5 * MINUTE,
	    .help = "Time for a connection to the backend, TLS included. If "
		    "its name has several addresses, each has half of what is "
		    "left, and the last one all of it. A connection that was "
		    "kept is dead if nothing of a request was acknowledged "
		    "for so long; one that may be repeated is sent again, on "
		    "a new connection." },
	{ "backend-response-timeout", KIND_MSEC, GROUP_BACKEND,
	    ROUTE(backend_response_timeout_ms), .fallback = "60s", .min = 10,
	    .max = HOUR,
	    .help = "How long the backend may take for the head of its "
		    "response, from the last byte of the request on that it "
		    "took: for each piece of a body it has this time again, "
		    "and while the client sends nothing, none passes. To wait "
		    "for a turn and for a connection does not count, see "
		    "backend-queue-max and backend-connect-timeout." },
	{ "backend-idle-timeout", KIND_MSEC, GROUP_BACKEND,
	    ROUTE(backend_idle_timeout_ms), .fallback = "60s", .min = 10,
	    .max = 24 * HOUR,
	    .help = "How long a response that has begun may stand still, on "
		    "the side of the backend or of the client; one that has "
		    "vanished stands still, whatever it is sent." },
	{ "backend-total-timeout", KIND_MSEC, GROUP_BACKEND,
	    ROUTE(backend_total_timeout_ms), .fallback = "0", .min = 10,
	    .max = 24 * HOUR, .zero = "no limit",
	    .help = "Time for a request to the backend and all of its "
		    "response." },
	{ "upgrade", KIND_TEXTS, GROUP_BACKEND, ROUTE_LIST(upgrade),
	    .fallback = "websocket", .words = WORDS("off"),
	    .help = "Protocols that a client and the backend may switch to, "
		    "by a request with Upgrade on any path that is the "
		    "backend's; \"off\" for none. From then on the bytes of "
		    "both pass as they are. Never h2c: it would carry requests "
		    "past all that is checked here." },
	{ "upgrade-idle-timeout", KIND_MSEC, GROUP_BACKEND,
	    ROUTE(upgrade_idle_timeout_ms), .fallback = "5m", .min = 10,
	    .max = DAY,
	    .help = "Longest silence of both sides after such a switch; of one "
		    "side, if it takes nothing of what the other one says." },
	{ "backend-keep-alive", KIND_MSEC, GROUP_BACKEND,
	    POOL(backend_keep_alive_ms), .fallback = "30s", .min = SECOND,
	    .max = HOUR,
	    .help = "How long a connection to the backend is kept without a "
		    "request. Less than the backend's own time." },
	{ "backend-resolve-interval", KIND_MSEC, GROUP_BACKEND,
	    POOL(backend_resolve_interval_ms), .fallback = "30s", .min = SECOND,
	    .max = DAY,
	    .help = "How long the addresses of a backend's name are used "
		    "before it is looked up again, and how old a connection "
		    "to the backend may be to be used again. While it cannot "
		    "be looked up, the address that was used last is." },
	{ "backend-requests-max", KIND_COUNT, GROUP_BACKEND,
	    POOL(backend_requests_max), .fallback = "512", .min = 1,
	    .max = 100 * THOUSAND,
	    .help = "Most requests under way to the backend at a time, shared "
		    "evenly by the workers. More of them wait." },
	{ "backend-queue-max", KIND_COUNT, GROUP_BACKEND,
	    POOL(backend_queue_max), .fallback = "1024", .max = MILLION,
	    .help = "Most requests that wait for their turn, shared likewise. "
		    "More of them are answered 503. One that has waited for "
		    "backend-response-timeout is answered 504." },
	{ "backend-header-max", KIND_BYTES, GROUP_BACKEND,
	    POOL(backend_header_max), .fallback = "64k", .min = KIB, .max = MIB,
	    .help = "Largest head of a response of the backend, interim "
		    "responses before it included." },
	{ "backend-failures", KIND_COUNT, GROUP_BACKEND, POOL(backend_failures),
	    .fallback = "3", .min = 1, .max = 1000,
	    .help = "Requests in a row that have to fail, in one worker, for "
		    "an address of the backend to be left alone for "
		    "backend-fail-time. It failed if there was no connection, "
		    "and, where there are several addresses, if there was no "
		    "response in time, or a broken one; not if it is the "
		    "gateway that has no descriptor or port left for it." },
	{ "backend-fail-time", KIND_MSEC, GROUP_BACKEND,
	    POOL(backend_fail_time_ms), .fallback = "2s", .min = 10,
	    .max = HOUR,
	    .help = "How long an address of the backend that failed is left "
		    "alone. Then one request tries it; while it fails, it "
		    "is left alone again." },
	{ "backend-probe-path", KIND_PATH, GROUP_BACKEND,
	    POOL(backend_probe_path), .fallback = "off", .words = WORDS("off"),
	    .help = "A path that each worker asks each address of the backend "
		    "for, every backend-probe-interval: an answer of 200 to "
		    "399 within backend-probe-timeout means that it is well, "
		    "anything else is a failure. An address that failed is "
		    "then left alone "
		    "until a probe succeeds; \"off\": there are none." },
	{ "backend-probe-interval", KIND_MSEC, GROUP_BACKEND,
	    POOL(backend_probe_interval_ms), .fallback = "5s", .min = 10,
	    .max = HOUR,
	    .help = "How often an address of the backend is probed, but not "
		    "before the last probe of it has ended." },
	{ "backend-probe-timeout", KIND_MSEC, GROUP_BACKEND,
	    POOL(backend_probe_timeout_ms), .fallback = "5s", .min = 10,
	    .max = 5 * MINUTE, .help = "Time for a probe and its answer." },
	{ "trusted-proxy", KIND_NETWORKS, GROUP_BACKEND,
	    LIST(trusted_proxy_text), .example = "10.0.0.0/8",
	    .help = "Proxies of yours in front of this one: addresses, "
		    "networks such as 10.0.0.0/8 or fd00::/8, and \"unix\" "
		    "for those who connect to a Unix socket. The Forwarded and "
		    "X-Forwarded headers of requests from there go to the "
		    "backend, and the address they came from is added; "
		    "everybody else's are replaced. None: nobody is trusted." },
	{ "access-log", KIND_FLAG, GROUP_BACKEND, ROUTE(access_log),
	    .fallback = "no",
	    .help = "Whether each request that went to the backend is a line "
		    "in the log: target and query as they came, route, status, "
		    "milliseconds, bytes of bodies both ways, and how it "
		    "ended." },
	{ "strip-prefix", KIND_FLAG, GROUP_BACKEND, ROUTE(strip_prefix),
	    .fallback = "no",
	    .help = "Whether the backend gets the path without what is before "
		    "the star of its route: of \"/api/*\" /api/a?b is /a?b "
		    "for it, /api and /api/ are /. It is told in "
		    "X-Forwarded-Prefix what was taken away, and has to write "
		    "links, cookies' paths and redirects by that: its "
		    "responses are not changed." },
	{ "request-header", KIND_HEADERS, GROUP_BACKEND,
	    ROUTE_LIST(request_header), .example = "X-Team: a",
	    .help = "Headers that the backend gets with each request, "
		    "\"Name: value\", in place of all of that name that the "
		    "client or the gateway wrote; \"Name:\" leaves it out. "
		    "At most 32. Those of a connection and of a body are the "
		    "gateway's own." },
	{ "response-header", KIND_HEADERS, GROUP_BACKEND,
	    ROUTE_LIST(response_header), .example = "X-Frame-Options: DENY",
	    .help = "The same for what the client gets with each response of "
		    "the backend; not with what the gateway answers itself, "
		    "when the backend is away." },

	{ "bridge-path", KIND_PATH, GROUP_BRIDGE, GLOBAL(bridge_path),
	    .fallback = "/spillway-events",
	    .help = "Where the backend is told what clients do, where the "
		    "channel says so: each time a POST of a CloudEvent to "
		    "this path of the backend." },
	{ "bridge-secret", KIND_TOKENS, GROUP_BRIDGE, LIST(bridge_secret_text),
	    .example = "file:/etc/spillway/bridge-secret",
	    .help = "Secrets that these requests are signed with, as Standard "
		    "Webhooks have it: whsec_ and base64, or file:/path of a "
		    "file whose first line is that. `echo whsec_$(openssl "
		    "rand -base64 32)` makes one. With several, there are as "
		    "many signatures, so that a new secret can be added "
		    "before the old one goes. What tells the backend anything "
		    "(send = bridge, bridge-connect, bridge-presence) needs "
		    "one: whoever asks for this path comes to the backend as "
		    "well, and "
		    "the signature is what tells the two apart." },
	{ "bridge-header", KIND_TEXTS, GROUP_BRIDGE, LIST(bridge_header),
	    .example = "Cookie",
	    .help = "Headers of the client's own request that come along, "
		    "such as Cookie, Authorization or User-Agent; of a "
		    "WebSocket those of its upgrade. What belongs to a "
		    "connection, a body or the event never does, nor cookies "
		    "of pages that only \"*\" in allow-origin lets in." },
	{ "bridge-timeout", KIND_MSEC, GROUP_BRIDGE, GLOBAL(bridge_timeout_ms),
	    .fallback = "30s", .min = 10, .max = HOUR,
	    .help = "Time for the backend to answer completely, the wait for "
		    "backend-requests-max included. Then the client is told "
		    "that it did not. Other timeouts of the backend do not "
		    "hold for events, but backend-connect-timeout." },
	{ "bridge-queue-bytes", KIND_BYTES, GROUP_BRIDGE,
	    GLOBAL(bridge_queue_bytes), .fallback = "64m", .min = MIB,
	    .max = 1024 * GIB,
	    .help = "Most bytes of messages for the backend at a time, shared "
		    "evenly by the workers. Further ones are refused, but one "
		    "alone never is." },

	{ "outbox-max-age", KIND_MSEC, GROUP_BRIDGE, GLOBAL(outbox_max_age_ms),
	    .fallback = "1d", .min = 10, .max = 3650 * DAY,
	    .help = "How long the backend is told again what is stored for "
		    "it (message-mode = queue, and the end of streams). What "
		    "fails when it is older is a dead letter, which the API "
		    "lists, sends again or drops." },
	{ "outbox-max-bytes", KIND_BYTES, GROUP_BRIDGE,
	    GLOBAL(outbox_max_bytes), .fallback = "1g", .min = KIB,
	    .max = 65536 * GIB,
	    .help = "Most bytes that wait there, dead letters apart. Further "
		    "messages are refused, and further spillway.subscribe left "
		    "out, with the unsubscribe that belongs to it; any other "
		    "unsubscribe, and spillway.disconnect, has always room." },
	{ "outbox-retry-max", KIND_MSEC, GROUP_BRIDGE,
	    GLOBAL(outbox_retry_max_ms), .fallback = "30s", .min = 10,
	    .max = HOUR,
	    .help = "Longest pause before the backend is told again. The "
		    "first one is 0.2 s, each further one twice as long, and "
		    "up to half of it is left to chance." },
};

const struct directive_rows directives_backend = { rows,
	sizeof(rows) / sizeof(rows[0]) };
