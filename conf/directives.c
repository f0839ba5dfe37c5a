#include "conf/directives.h"

#include "conf/conf.h"
#include "conf/directive_rows.h"

/* In the order of the documents, group by group. */
const struct directive directives[] = {
	{ "listen", KIND_ADDRESSES, GROUP_EVERYDAY, LIST(listen),
	    .restart = true, .fallback = "127.0.0.1:8080",
	    .words = WORDS("off"),
	    .help = "Addresses that clients connect to, without encryption; "
		    "\"off\" for none. See listen-tls for https and wss." },
	{ "anonymous", KIND_FLAG, GROUP_EVERYDAY, GLOBAL(anonymous),
	    .fallback = "no",
	    .help = "Whether everybody who reaches a listen address may "
		    "subscribe, unless a channel asks for a token. With "
		    "\"no\" and without a token-key these addresses must be "
		    "loopback or Unix sockets, so that opening a gateway to "
		    "the world is always a decision." },
	{ "api-listen", KIND_ADDRESSES, GROUP_EVERYDAY, LIST(api_listen),
	    .restart = true, .fallback = "127.0.0.1:8081",
	    .words = WORDS("off"),
	    .help = "Addresses for publishing, the operator's calls and "
		    "metrics; \"off\" for none. An address that others can "
		    "reach needs an api-token." },
	{ "api-token", KIND_TOKENS, GROUP_EVERYDAY, LIST(api_token_text),
	    .example = "file:/etc/spillway/api-token",
	    .help = "Bearer tokens for the api-listen addresses; none: no "
		    "token is asked for. A token has 16 characters or more. "
		    "Written as file:/path it is the first line of that file. "
		    "With publish:, read: or admin: in front, as in "
		    "publish:file:/path, it is for publishing alone; for all "
		    "that only reads (history, connections, statistics, "
		    "metrics); or for everything, as one without. The same "
		    "token may be there twice, for publish and for read." },
	{ "listen-socket-mode", KIND_WORD, GROUP_EVERYDAY,
	    GLOBAL(listen_socket_mode), .restart = true, .fallback = "0666",
	    .words = SOCKET_MODES,
	    .help = "Who may connect to the listen and listen-tls addresses "
		    "that are Unix sockets: the permissions of the file. By "
		    "default everybody on this machine, as with loopback." },
	{ "api-socket-mode", KIND_WORD, GROUP_EVERYDAY, GLOBAL(api_socket_mode),
	    .restart = true, .fallback = "0600", .words = SOCKET_MODES,
	    .help = "The same for api-listen addresses: by default the user "
		    "that the daemon runs as, and root." },
	{ "user", KIND_NAME, GROUP_EVERYDAY, GLOBAL(user), .restart = true,
	    .fallback = "off", .words = WORDS("off"),
	    .help = "Whom to become, by name or number, once sockets and "
		    "certificates are open: for ports below 1024 without "
		    "systemd, start as root and name a user here, who gets "
		    "the store. What is read again on SIGHUP (this file, "
		    "certificates, keys, tokens) must be readable for that "
		    "user as well. \"off\": stay who started it." },
	{ "group", KIND_NAME, GROUP_EVERYDAY, GLOBAL(group), .restart = true,
	    .fallback = "off", .words = WORDS("off"),
	    .help = "The group that goes with user; \"off\": that user's "
		    "own. The other groups of the user are kept." },
	{ "core-dumps", KIND_FLAG, GROUP_EVERYDAY, GLOBAL(core_dumps),
	    .restart = true, .fallback = "no",
	    .help = "Whether a crash may leave a core dump, and debuggers of "
		    "the same user may look inside: both would show keys, "
		    "tokens and payloads." },
	{ "workers", KIND_COUNT, GROUP_EVERYDAY, GLOBAL(workers),
	    .restart = true, .fallback = "0", .min = 1, .max = 256,
	    .zero = "one per core", .help = "Threads that serve clients." },
	{ "store", KIND_PATH, GROUP_EVERYDAY, GLOBAL(store), .restart = true,
	    .fallback = SPILLWAY_STATEDIR "/spillway.db",
	    .words = WORDS("memory"),
	    .help = "File that keeps the history; \"memory\" keeps it in "
		    "memory alone, until the daemon ends, whatever durability "
		    "says." },
	{ "log-level", KIND_WORD, GROUP_EVERYDAY, GLOBAL(log_level),
	    .fallback = "info", .words = LOG_LEVELS,
	    .help = "Least important lines to log. Lines for \"error\" ask "
		    "for action, \"warn\" tells what the daemon coped with, "
		    "\"info\" what begins and ends, \"debug\" everything." },
	{ "log-format", KIND_WORD, GROUP_EVERYDAY, GLOBAL(log_json),
	    .fallback = "text", .words = LOG_FORMATS,
	    .help = "One event is one line of key=value fields (\"text\"), or "
		    "one JSON object (\"json\")." },

	{ "listen-tls", KIND_ADDRESSES, GROUP_TLS, LIST(listen_tls),
	    .restart = true, .fallback = "off", .words = WORDS("off"),
	    .help = "Addresses that clients connect to with https and wss; "
		    "\"off\" for none. They need a tls-certificate." },
	{ "tls-certificate", KIND_PATHS, GROUP_TLS, LIST(tls_certificate),
	    .example = "/etc/spillway/example.org.pem",
	    .help = "Files of certificates in PEM, each with the server's own "
		    "first and its chain behind it. There may be several: a "
		    "client gets the one with the name that it asks for, "
		    "exactly or by a wildcard, of the kind that it "
		    "understands (ECDSA or RSA), and else the first. Read "
		    "again on SIGHUP, which changes nothing if one is wrong." },
	{ "tls-key", KIND_PATHS, GROUP_TLS, LIST(tls_key),
	    .example = "/etc/spillway/example.org.key",
	    .help = "Files of private keys in PEM, without a passphrase, in "
		    "the order of their certificates; none: the files of the "
		    "certificates have the keys in them as well." },
	{ "tls-ocsp", KIND_PATHS, GROUP_TLS, LIST(tls_ocsp),
	    .example = "/etc/spillway/example.org.ocsp",
	    .help = "Files of what the authorities say of the certificates "
		    "(OCSP responses in DER), in the order of these, with "
		    "\"none\" where there is none. Clients that ask for it "
		    "get it with the certificate, and need not ask the "
		    "authority (stapling). Have a timer fetch them, with "
		    "openssl ocsp: they are read again when they change. What "
		    "is outdated, or about another certificate, is logged and "
		    "not sent." },
	{ "tls-min-version", KIND_WORD, GROUP_TLS, GLOBAL(tls_min_version),
	    .fallback = "1.2", .words = TLS_VERSIONS,
	    .help = "Oldest version of TLS that is spoken." },
	{ "tls-session-age", KIND_MSEC, GROUP_TLS, GLOBAL(tls_session_age_ms),
	    .fallback = "12h", .min = MINUTE, .max = 7 * DAY,
	    .zero = "sessions are not resumed",
	    .help = "How long a client that comes back may resume its "
		    "session, which is much cheaper than a new one. The keys "
		    "for that never leave memory, and there are new ones as "
		    "often." },
	{ "tls-certificate-check", KIND_MSEC, GROUP_TLS,
	    GLOBAL(tls_certificate_check_ms), .fallback = "10s", .min = 10,
	    .max = DAY, .zero = "only SIGHUP has them read again",
	    .help = "How often to look whether the files of certificates and "
		    "keys have changed. The new ones are used when they have "
		    "stood still from one look to the next; streams go on. "
		    "What cannot be used is logged, and the old ones stay." },
	{ "hsts-age", KIND_MSEC, GROUP_TLS, GLOBAL(hsts_age_ms),
	    .fallback = "0", .min = MINUTE, .max = 3650 * DAY,
	    .zero = "they are told nothing",
	    .help = "How long browsers that came with https shall use nothing "
		    "else for this name (Strict-Transport-Security), on "
		    "whichever port: for when all that the name serves can "
		    "be had with it. What a backend answers is its own "
		    "matter." },
	{ "tls-handshake-timeout", KIND_MSEC, GROUP_TLS,
	    GLOBAL(tls_handshake_timeout_ms), .fallback = "10s", .min = 100,
	    .max = 5 * MINUTE,
	    .help = "Time for a handshake to be complete, from the connection "
		    "on." },
	{ "tls-handshakes-max", KIND_COUNT, GROUP_TLS,
	    GLOBAL(tls_handshakes_max), .fallback = "4096", .min = 1,
	    .max = MILLION,
	    .help = "Most handshakes under way at a time, shared evenly by "
		    "the workers. One more ends the one that has taken the "
		    "longest." },

	{ "api-listen-tls", KIND_ADDRESSES, GROUP_TLS, LIST(api_listen_tls),
	    .restart = true, .fallback = "off", .words = WORDS("off"),
	    .help = "The same as api-listen, with https and the certificates "
		    "of tls-certificate; \"off\" for none. An address that "
		    "others can reach needs an api-token, or an "
		    "api-client-ca." },
	{ "api-client-ca", KIND_PATHS, GROUP_TLS, LIST(api_client_ca),
	    .example = "/etc/spillway/clients-ca.pem",
	    .help = "Files of certificates in PEM: whoever connects to an "
		    "api-listen-tls address has to have a certificate that one "
		    "of these authorities has given (mutual TLS). Without an "
		    "api-token that is enough for everything; with one the "
		    "client needs both. None: no certificate is asked for." },
	{ "redirect-listen", KIND_ADDRESSES, GROUP_TLS, LIST(redirect_listen),
	    .restart = true, .fallback = "off", .words = WORDS("off"),
	    .help = "Addresses, usually with port 80, where whoever comes with "
		    "http is sent to the same with https; \"off\" for none. "
		    "Requests for a token in /.well-known/acme-challenge/ are "
		    "passed on to the backend, if there is one: with them "
		    "authorities see whose a name is." },
	{ "redirect-port", KIND_COUNT, GROUP_TLS, GLOBAL(redirect_port),
	    .fallback = "0", .min = 1, .max = 65535,
	    .zero = "that of the first listen-tls address",
	    .help = "The port to send them to, if a firewall or a load "
		    "balancer has another one than listen-tls." },

	{ "token-key", KIND_KEYS, GROUP_ACCESS, LIST(token_key_text),
	    .example = "HS256:file:/etc/spillway/token-key",
	    .help = "Keys for the tokens (JWT) that clients carry. Each is "
		    "for one algorithm: HS256 with a secret of 32 characters "
		    "or more, the first line of the file; RS256, PS256 or "
		    "ES256 with a public key in PEM, such as "
		    "ES256:file:/etc/spillway/token.pem. With the id of the "
		    "key, which tokens name in their header: "
		    "ES256:kid=2026:file:/path. Any key that fits will do, so "
		    "a new one can be added before the old one goes." },
	{ "token-issuer", KIND_TEXTS, GROUP_ACCESS, LIST(token_issuer),
	    .example = "https://login.example.com",
	    .help = "Who may have issued a token: its iss must be one of "
		    "these. None: any." },
	{ "token-audience", KIND_TEXTS, GROUP_ACCESS, LIST(token_audience),
	    .example = "spillway",
	    .help = "Whom a token may be meant for: its aud must have one of "
		    "these. None: only tokens without aud are taken." },
	{ "token-leeway", KIND_MSEC, GROUP_ACCESS, GLOBAL(token_leeway_ms),
	    .fallback = "10s", .max = 10 * MINUTE,
	    .help = "How far the clocks of those who issue tokens may be off. "
		    "A token is taken so long before its nbf and after its "
		    "exp, and a stream ends so long after the exp." },
	{ "token-cookie", KIND_NAME, GROUP_ACCESS, GLOBAL(token_cookie),
	    .fallback = "off", .words = WORDS("off"),
	    .help = "Name of a cookie that may carry the token; \"off\" for "
		    "none. Pages of other origins can only use it if "
		    "allow-origin names them." },
	{ "token-in-url", KIND_FLAG, GROUP_ACCESS, GLOBAL(token_in_url),
	    .fallback = "no",
	    .help = "Whether ?token= may carry the token. Proxies on the way "
		    "write URLs into their logs." },
	{ "auth-timeout", KIND_MSEC, GROUP_ACCESS, GLOBAL(auth_timeout_ms),
	    .fallback = "10s", .min = 100, .max = 5 * MINUTE,
	    .zero = "the token has to come with the upgrade",
	    .help = "Time for a WebSocket that needs a token and came without "
		    "one to send it as its first message." },
	{ "allow-origin", KIND_ORIGINS, GROUP_ACCESS, LIST(allow_origin),
	    .example = "https://app.example.com",
	    .help = "Origins whose pages may use the streams, besides the "
		    "gateway's own. \"*\" stands for all others, which then "
		    "cannot use cookies. Requests without an Origin do not "
		    "come from pages, and are not asked." },

	{ "durability", KIND_WORD, GROUP_CHANNELS, POLICY(durability),
	    .fallback = "normal", .words = DURABILITIES,
	    .help = "How safely an event is kept before it is acknowledged "
		    "and delivered: in memory alone, gone with the process "
		    "(\"memory\"); committed, which survives the end of the "
		    "process (\"normal\"); committed and synced, which "
		    "survives the loss of power (\"full\")." },
	{ "history-events", KIND_COUNT, GROUP_CHANNELS, POLICY(history_events),
	    .fallback = "10000", .max = 1000 * MILLION,
	    .help = "Newest events of a channel that are kept for those who "
		    "come back." },
	{ "history-age", KIND_MSEC, GROUP_CHANNELS, POLICY(history_age_ms),
	    .fallback = "7d", .min = SECOND, .max = 3650 * DAY,
	    .zero = "for ever", .help = "How long an event is kept." },
	{ "history-bytes", KIND_BYTES, GROUP_CHANNELS, POLICY(history_bytes),
	    .fallback = "64m", .min = 1, .max = 65536 * GIB, .zero = "no limit",
	    .help = "Newest bytes of payload of a channel that are kept." },
	{ "send", KIND_WORD, GROUP_CHANNELS, POLICY(send), .fallback = "off",
	    .words = SEND_MODES,
	    .help = "What becomes of a message that a client sends: refused "
		    "(\"off\"), published to the channel (\"publish\"), "
		    "returned to its sender alone (\"echo\"), or told to the "
		    "backend, whose answer the sender gets (\"bridge\")." },
	{ "message-mode", KIND_WORD, GROUP_CHANNELS, POLICY(message_mode),
	    .fallback = "sync", .words = MESSAGE_MODES,
	    .help = "What a message for the backend (send = bridge) waits "
		    "for: its answer, which the sender gets (\"sync\"), or "
		    "only to be stored, from where it reaches the backend at "
		    "least once, in the order of its connection, even if that "
		    "is away or the gateway is killed (\"queue\"). So do then "
		    "spillway.subscribe and unsubscribe (bridge-presence)." },
	{ "bridge-connect", KIND_FLAG, GROUP_CHANNELS, POLICY(bridge_connect),
	    .fallback = "no",
	    .help = "Whether the backend is asked before anybody subscribes "
		    "(spillway.connect), and decides: who it is, what may be "
		    "subscribed to, until when. What subscribe says comes "
		    "before; \"auto\" says nothing then. Of a client that "
		    "polls with a session it is asked once." },
	{ "bridge-presence", KIND_FLAG, GROUP_CHANNELS, POLICY(bridge_presence),
	    .fallback = "no",
	    .help = "Whether the backend is told who subscribes and who no "
		    "longer does (spillway.subscribe, spillway.unsubscribe, "
		    "spillway.disconnect). It is told of an end also after "
		    "the gateway was killed, when that is back." },
	{ "presence-events", KIND_FLAG, GROUP_CHANNELS, POLICY(presence_events),
	    .fallback = "no",
	    .help = "Whether it is an event of the channel itself when a "
		    "stream, or a client that polls with a session, begins "
		    "to listen to it, and when it no longer does: "
		    "spillway.join and spillway.leave, with the connection, "
		    "its transport and its user." },
	{ "subscribe", KIND_WORD, GROUP_CHANNELS, POLICY(subscribe),
	    .fallback = "auto", .words = ACCESSES,
	    .help = "Who may subscribe: everybody (\"anyone\"), or who has a "
		    "token whose channels.subscribe has a pattern that "
		    "matches (\"token\"). \"auto\" is token once there is a "
		    "token-key, unless anonymous is set." },
	{ "send-access", KIND_WORD, GROUP_CHANNELS, POLICY(send_access),
	    .fallback = "auto", .words = ACCESSES,
	    .help = "Who may send, if send allows it at all: as with "
		    "subscribe, with the token's channels.send." },

	{ "heartbeat", KIND_MSEC, GROUP_STREAMS, GLOBAL(heartbeat_ms),
	    .fallback = "15s", .min = SECOND, .max = 10 * MINUTE,
	    .help = "Silence on a stream after which a heartbeat is sent. A "
		    "WebSocket whose peer says nothing for 2.5 times as long "
		    "is closed." },
	{ "retry", KIND_MSEC, GROUP_STREAMS, GLOBAL(retry_ms), .fallback = "2s",
	    .min = 100, .max = 10 * MINUTE,
	    .help = "Delay before a reconnect that clients are told." },
	{ "stall-timeout", KIND_MSEC, GROUP_STREAMS, GLOBAL(stall_timeout_ms),
	    .fallback = "30s", .min = SECOND, .max = HOUR,
	    .help = "A subscriber whose socket takes nothing for so long is "
		    "closed; it catches up when it comes back. So is a client "
		    "that does not read its answer." },
	{ "close-timeout", KIND_MSEC, GROUP_STREAMS, GLOBAL(close_timeout_ms),
	    .fallback = "5s", .min = 100, .max = MINUTE,
	    .help = "Time for a peer to answer the close of its WebSocket." },
	{ "deflate", KIND_FLAG, GROUP_STREAMS, GLOBAL(deflate),
	    .fallback = "yes",
	    .help = "Whether WebSocket messages are compressed for clients "
		    "that offer permessage-deflate." },
	{ "deflate-min", KIND_BYTES, GROUP_STREAMS, GLOBAL(deflate_min),
	    .fallback = "256", .max = MIB,
	    .help = "Smaller messages are not compressed." },
	{ "deflate-level", KIND_COUNT, GROUP_STREAMS, GLOBAL(deflate_level),
	    .fallback = "1", .min = 1, .max = 9,
	    .help = "From 1, the fastest, to 9, the smallest." },
	{ "drain-time", KIND_MSEC, GROUP_STREAMS, GLOBAL(drain_time_ms),
	    .fallback = "10s", .max = 10 * MINUTE,
	    .help = "Time over which the end of the daemon spreads the "
		    "reconnects of its clients. Connections without a request "
		    "stay for the first tenth of it, so that who asks again "
		    "is answered and told." },

	{ "poll-wait", KIND_MSEC, GROUP_POLLS, GLOBAL(poll_wait_ms),
	    .fallback = "25s", .max = 10 * MINUTE,
	    .help = "How long a long poll waits for an event when it does not "
		    "say how long. At most poll-wait-max." },
	{ "poll-wait-max", KIND_MSEC, GROUP_POLLS, GLOBAL(poll_wait_max_ms),
	    .fallback = "55s", .min = SECOND, .max = 10 * MINUTE,
	    .help = "Longest wait that a long poll gets, whatever it asks "
		    "for. Stay below the timeouts of proxies on the way." },
	{ "poll-limit", KIND_COUNT, GROUP_POLLS, GLOBAL(poll_limit),
	    .fallback = "100", .min = 1, .max = 100 * THOUSAND,
	    .help = "Events in one poll's answer when it does not say how "
		    "many. At most poll-limit-max." },
	{ "poll-limit-max", KIND_COUNT, GROUP_POLLS, GLOBAL(poll_limit_max),
	    .fallback = "1000", .min = 1, .max = 100 * THOUSAND,
	    .help = "Most events in one poll's answer, whatever it asks for." },
	{ "session-lease", KIND_MSEC, GROUP_POLLS, GLOBAL(session_lease_ms),
	    .fallback = "60s", .min = 10, .max = DAY,
	    .help = "A client that polls with `session=` is there until so "
		    "long after its last request: then it has left its "
		    "channels, and what the backend granted is forgotten. "
		    "Longer than its longest pause between two polls." },

	{ "message-max", KIND_BYTES, GROUP_PUBLISHING, GLOBAL(message_max),
	    .fallback = "1m", .min = KIB, .max = 64 * MIB,
	    .help = "Largest payload of one event, or of one message from a "
		    "client. At most publish-queue-bytes." },
	{ "batch-max", KIND_BYTES, GROUP_PUBLISHING, GLOBAL(batch_max),
	    .fallback = "16m", .min = KIB, .max = GIB,
	    .help = "Largest body of a batch of events." },
	{ "batch-events-max", KIND_COUNT, GROUP_PUBLISHING,
	    GLOBAL(batch_events_max), .fallback = "10000", .min = 1,
	    .max = MILLION, .help = "Most events in one batch." },
	{ "publish-rate", KIND_COUNT, GROUP_PUBLISHING, GLOBAL(publish_rate),
	    .fallback = "0", .min = 1, .max = 100 * MILLION, .zero = "no limit",
	    .help = "Events a second that may be published with one "
		    "api-token, or without any where none is asked for; those "
		    "of ten seconds may come at once. Beyond that publishers "
		    "are told to slow down (429)." },
	{ "publish-queue-events", KIND_COUNT, GROUP_PUBLISHING,
	    GLOBAL(publish_queue_events), .fallback = "65536", .min = 64,
	    .max = 10 * MILLION,
	    .help = "Most events that wait to be committed. When the queue is "
		    "full, publishers are told to try again." },
	{ "publish-queue-bytes", KIND_BYTES, GROUP_PUBLISHING,
	    GLOBAL(publish_queue_bytes), .fallback = "64m", .min = MIB,
	    .max = 1024 * GIB,
	    .help = "Most bytes of payload that wait to be committed." },
	{ "idempotency-age", KIND_MSEC, GROUP_PUBLISHING,
	    GLOBAL(idempotency_age_ms), .fallback = "24h", .min = MINUTE,
	    .max = 30 * DAY,
	    .help = "How long an Idempotency-Key is remembered, so that "
		    "publishing again with the same key is harmless." },

	{ "store-max-bytes", KIND_BYTES, GROUP_STORE, GLOBAL(store_max_bytes),
	    .fallback = "10g", .min = 16 * MIB, .max = 65536 * GIB,
	    .zero = "no limit",
	    .help = "Size of the store above which the oldest events go, "
		    "whatever the channels' settings say. Idempotency keys "
		    "(about 50 bytes each) and channels count as well." },
	{ "channel-age", KIND_MSEC, GROUP_STORE, GLOBAL(channel_age_ms),
	    .fallback = "30d", .min = SECOND, .max = 3650 * DAY,
	    .zero = "for ever",
	    .help = "How long an idle channel is remembered of which no "
		    "history is left and to which nobody listens; up to twice "
		    "that. To a cursor from before, each channel that is not "
		    "known has a gap: it may have missed something." },
	{ "corrupt-store", KIND_WORD, GROUP_STORE, GLOBAL(corrupt_store),
	    .restart = true, .fallback = "refuse", .words = CORRUPT_STORES,
	    .help = "What to do at start with a store that is damaged: do not "
		    "start (\"refuse\"), or rename it and start with an empty "
		    "one (\"move-aside\"). Clients are told of the gap." },
	{ "store-shared", KIND_FLAG, GROUP_STORE, GLOBAL(store_shared),
	    .restart = true, .fallback = "yes",
	    .help = "Whether other programs, such as sqlite3, may open the "
		    "store while it is in use. If not, they find it locked, "
		    "and single publishes cost about a tenth less; but after a "
		    "crash the store cannot be read from a disk that has "
		    "become read-only." },
	{ "store-readers", KIND_COUNT, GROUP_STORE, GLOBAL(readers),
	    .restart = true, .fallback = "2", .min = 1, .max = 64,
	    .help = "Threads that read history from the store." },
	{ "window-bytes", KIND_BYTES, GROUP_STORE, GLOBAL(window_bytes),
	    .fallback = "64m", .min = MIB, .max = 1024 * GIB,
	    .help = "Memory for the newest events of all channels. Who comes "
		    "back soon is served from it, without the store." },
	{ "window-events", KIND_COUNT, GROUP_STORE, GLOBAL(window_events),
	    .fallback = "1024", .min = 1, .max = MILLION,
	    .help = "Newest events of one channel that stay in memory." },

	{ "proxy-protocol", KIND_NETWORKS, GROUP_REQUESTS,
	    LIST(proxy_protocol_text), .example = "10.0.0.0/8",
	    .help = "Load balancers (addresses, networks, and \"unix\" for "
		    "those who connect to a Unix socket) whose connections to "
		    "listen and listen-tls begin with a header of the PROXY "
		    "protocol, version 1 or 2. Every one from there has to "
		    "have it, and is the client's that it tells of; nobody "
		    "else's may. None: there are no such headers." },
	{ "header-max", KIND_BYTES, GROUP_REQUESTS, GLOBAL(header_max),
	    .restart = true, .fallback = "12k", .min = 2 * KIB, .max = 64 * KIB,
	    .help = "Largest head of a request: its first line and headers, "
		    "cookies among them." },
	{ "header-timeout", KIND_MSEC, GROUP_REQUESTS,
	    GLOBAL(header_timeout_ms), .fallback = "10s", .min = 100,
	    .max = 5 * MINUTE,
	    .help = "Time for the head of a request to be complete, from the "
		    "connection or its first byte on." },
	{ "odd-path-max", KIND_BYTES, GROUP_REQUESTS, GLOBAL(odd_path_max),
	    .fallback = "2k", .min = 64, .max = 64 * KIB,
	    .help = "Longest path that servers may read in different ways, and "
		    "that `route` blocks have to be compared with in each of "
		    "them: one with a % or ; or \\ in it, or two slashes, or "
		    "a slash and a dot, in a row. Other paths, and those of a "
		    "gateway without such blocks, end with header-max." },
	{ "request-timeout", KIND_MSEC, GROUP_REQUESTS,
	    GLOBAL(request_timeout_ms), .fallback = "60s", .min = SECOND,
	    .max = HOUR,
	    .help = "Time for the body of a request to be complete. One for "
		    "the backend may be of any length: it may stand still for "
		    "so long in all, and two milliseconds longer for each "
		    "byte that has come, but not for longer at a time." },
	{ "idle-timeout", KIND_MSEC, GROUP_REQUESTS, GLOBAL(idle_timeout_ms),
	    .fallback = "75s", .min = SECOND, .max = HOUR,
	    .help = "How long a connection stays open without a request." },
	{ "first-look", KIND_FLAG, GROUP_REQUESTS, GLOBAL(first_look),
	    .fallback = "yes",
	    .help = "Whether well-formed requests for streams and for "
		    "publishing are answered without libmicrohttpd, which is "
		    "faster. All others go to it in any case." },
	{ "web-root", KIND_PATH, GROUP_REQUESTS, GLOBAL(web_root),
	    .restart = true, .fallback = SPILLWAY_DATADIR "/web",
	    .words = WORDS("off"),
	    .help = "Directory of the pages under /spillway/, the browser "
		    "client among them; \"off\" for none. Pages may only "
		    "use scripts and styles in files of their own there." },
	{ "demo", KIND_FLAG, GROUP_REQUESTS, GLOBAL(demo), .restart = true,
	    .fallback = "no",
	    .help = "Whether the page /spillway/compare/ may measure: have "
		    "events published, its bytes counted, and its own "
		    "connections broken as networks and proxies break them. "
		    "All addresses have to be loopback or Unix sockets then." },

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
	    .help = "Time for a connection to the backend, TLS included." },
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
		    "the side of the backend or of the client." },
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
	    .help = "Longest silence of both sides after such a switch." },
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
		    "to the backend may be to be used again." },
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
		    "response in time, or a broken one." },
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
		    "in the log." },
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
		    "before the old one goes. send = bridge needs one: whoever "
		    "asks for this path comes to the backend as well, and "
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
		    "messages are refused, further spillway.subscribe and "
		    "unsubscribe left out; spillway.disconnect has always "
		    "room." },
	{ "outbox-retry-max", KIND_MSEC, GROUP_BRIDGE,
	    GLOBAL(outbox_retry_max_ms), .fallback = "30s", .min = 10,
	    .max = HOUR,
	    .help = "Longest pause before the backend is told again. The "
		    "first one is 0.2 s, each further one twice as long, and "
		    "up to half of it is left to chance." },

	{ "max-connections", KIND_COUNT, GROUP_LIMITS, GLOBAL(max_connections),
	    .fallback = "0", .min = 1, .max = 100 * MILLION,
	    .zero = "as many as descriptors allow",
	    .help = "Most connections at a time. When clients have all of "
		    "them, there are 32 more for the API." },
	{ "max-connections-per-address", KIND_COUNT, GROUP_LIMITS,
	    GLOBAL(max_connections_per_address), .fallback = "1024", .min = 1,
	    .max = 100 * MILLION, .zero = "no limit",
	    .help = "Most connections from one address at a time; of IPv6, "
		    "from one /64. Behind a proxy on another machine all "
		    "clients have the same address." },
	{ "connection-rate", KIND_COUNT, GROUP_LIMITS, GLOBAL(connection_rate),
	    .fallback = "200", .min = 1, .max = 100 * THOUSAND,
	    .zero = "no limit",
	    .help = "New connections a second from one address, or /64; those "
		    "of ten seconds may come at once." },
	{ "tls-handshake-rate", KIND_COUNT, GROUP_LIMITS,
	    GLOBAL(tls_handshake_rate), .fallback = "50", .min = 1,
	    .max = 100 * THOUSAND, .zero = "no limit",
	    .help = "The same for connections to listen-tls addresses, each "
		    "of which begins with a handshake." },
	{ "limit-loopback", KIND_FLAG, GROUP_LIMITS, GLOBAL(limit_loopback),
	    .fallback = "no",
	    .help = "Whether the limits of an address are those of this "
		    "machine's own, too: that is where a proxy in front of "
		    "us may be." },
	{ "message-rate", KIND_COUNT, GROUP_LIMITS, GLOBAL(message_rate),
	    .fallback = "1000", .min = 1, .max = 100 * THOUSAND,
	    .zero = "no limit",
	    .help = "Messages, commands and pings a second from one client's "
		    "connection; those of ten seconds may come at once. A "
		    "WebSocket with more is closed (4429), a request answered "
		    "with 429." },
	{ "message-byte-rate", KIND_BYTES, GROUP_LIMITS,
	    GLOBAL(message_byte_rate), .fallback = "4m", .min = KIB,
	    .max = 65536 * GIB, .zero = "no limit",
	    .help = "Bytes of such messages a second, once they are inflated; "
		    "those of ten seconds may come at once, and one message "
		    "may go beyond that." },
	{ "channels-per-connection", KIND_COUNT, GROUP_LIMITS,
	    GLOBAL(channels_per_connection), .fallback = "100", .min = 1,
	    .max = 10 * THOUSAND,
	    .help = "Most channels that one connection subscribes to." },
	{ "max-channels", KIND_COUNT, GROUP_LIMITS, GLOBAL(max_channels),
	    .restart = true, .fallback = "1000000", .min = 1,
	    .max = 100 * MILLION,
	    .help = "Most channels that exist: those with subscribers, and "
		    "those that had an event and are not forgotten yet "
		    "(channel-age), about 1 kB each. A further one gets 503." },
	{ "max-sessions", KIND_COUNT, GROUP_LIMITS, GLOBAL(max_sessions),
	    .fallback = "100000", .min = 1, .max = 100 * MILLION,
	    .help = "Most clients with a session at a time (session-lease). A "
		    "further one may not poll where the backend is asked or "
		    "it is told who is there; all else goes without one." },
};

const size_t directive_count = sizeof(directives) / sizeof(directives[0]);
