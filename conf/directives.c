#include "conf/directives.h"

#include "conf/directive_rows.h"

/* The gateway itself: who comes in, and what they find. */
static const struct directive rows[] = {
	{ "listen", KIND_ADDRESSES, GROUP_EVERYDAY, LIST(listen),
	    .restart = true, .fallback = "127.0.0.1:8080",
	    .words = WORDS("off"),
	    .help = "Addresses that clients connect to, without encryption; "
		    "\"off\" for none. See listen-tls for https and wss." },
	{ "anonymous", KIND_FLAG, GROUP_EVERYDAY, GLOBAL(anonymous),
	    .fallback = "no",
	    .help = "Whether everybody who reaches a listen address may "
		    "subscribe, unless a channel asks for a token. With "
		    "\"no\", and without a token-key, or bridge-connect for "
		    "all channels, these addresses must be loopback or Unix "
		    "sockets, so that opening a gateway to the world is "
		    "always a decision." },
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
		    "default everybody on this machine, as with loopback. "
		    "The file stays when the daemon ends; the next start "
		    "takes its place." },
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
	    .help =
		"How long browsers that came with https shall use nothing "
		"else for this name (Strict-Transport-Security), on "
		"whichever port: for when all that the name serves can "
		"be had with it. Pages and ordinary answers say so; streams "
		"and polls do not, and what a backend answers is its own "
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
		    "http is sent to the same with https (301, or 308 for what "
		    "is not a GET); \"off\" for none. Requests for a token in "
		    "/.well-known/acme-challenge/ are passed on to the "
		    "backend, if there is one: with them authorities see "
		    "whose a name is." },
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
		    "come back. With 0, as for who is typing, they hear of a "
		    "gap whenever something was published meanwhile: a "
		    "stream's names the channel, so that a page can tell it "
		    "from others; a poll's is of any of its channels." },
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
		    "polls with a session it is asked once. Who may send is "
		    "another matter: see send-access." },
	{ "bridge-presence", KIND_FLAG, GROUP_CHANNELS, POLICY(bridge_presence),
	    .fallback = "no",
	    .help = "Whether the backend is told who subscribes and who no "
		    "longer does (spillway.subscribe, spillway.unsubscribe, "
		    "spillway.disconnect). What it does not take is stored, "
		    "and told again until it does. It is told of an end also "
		    "after the gateway was killed, when that is back. A reload "
		    "changes it for those who come from then on." },
	{ "presence-events", KIND_FLAG, GROUP_CHANNELS, POLICY(presence_events),
	    .fallback = "no",
	    .help = "Whether it is an event of the channel itself when a "
		    "stream, or a client that polls with a session, begins "
		    "to listen to it, and when it no longer does: "
		    "spillway.join and spillway.leave, with the connection, "
		    "its transport and its user. A reload changes it for "
		    "those who come from then on." },
	{ "subscribe", KIND_WORD, GROUP_CHANNELS, POLICY(subscribe),
	    .fallback = "auto", .words = ACCESSES,
	    .help = "Who may subscribe: everybody (\"anyone\"), or who has a "
		    "token whose channels.subscribe has a pattern that "
		    "matches (\"token\"). \"auto\" is token once there is a "
		    "token-key, unless anonymous is set." },
	{ "send-access", KIND_WORD, GROUP_CHANNELS, POLICY(send_access),
	    .fallback = "auto", .words = ACCESSES,
	    .help = "Who may send, if send allows it at all: as with "
		    "subscribe, with the token's channels.send, or with those "
		    "that the backend has granted (bridge-connect). \"auto\" "
		    "is token as well where the backend decides who subscribes "
		    "and send is publish. With send = bridge and \"anyone\" a "
		    "message may come from whoever reaches us, subscribed or "
		    "not, and it is the backend that refuses it." },

	{ "heartbeat", KIND_MSEC, GROUP_STREAMS, GLOBAL(heartbeat_ms),
	    .fallback = "15s", .min = SECOND, .max = 10 * MINUTE,
	    .help = "Silence on a stream after which a heartbeat is sent. A "
		    "WebSocket whose peer says nothing for 2.5 times as long, "
		    "and does not read either, is closed." },
	{ "retry", KIND_MSEC, GROUP_STREAMS, GLOBAL(retry_ms), .fallback = "2s",
	    .min = 100, .max = 10 * MINUTE,
	    .help = "Delay before a reconnect that clients are told." },
	{ "stall-timeout", KIND_MSEC, GROUP_STREAMS, GLOBAL(stall_timeout_ms),
	    .fallback = "30s", .min = SECOND, .max = HOUR,
	    .help = "A subscriber whose socket takes nothing for so long is "
		    "closed; it catches up when it comes back. So is a client "
		    "that does not read its answer, and an event stream whose "
		    "client vanished: nothing of what was sent is "
		    "acknowledged (looked at with each heartbeat)." },
	{ "notsent-lowat", KIND_BYTES, GROUP_STREAMS, GLOBAL(notsent_lowat),
	    .fallback = "128k", .min = 16 * KIB, .max = GIB,
	    .zero = "as many as the system allows",
	    .help = "Bytes that the system keeps of a TCP connection, besides "
		    "what is on its way (TCP_NOTSENT_LOWAT); the rest stays "
		    "where it costs nothing. Without it each client that "
		    "does not read may hold 4 MB of the system's memory "
		    "(tcp_wmem), which all programs share. For connections "
		    "that are opened from then on." },
	{ "tcp-keepalive", KIND_MSEC, GROUP_STREAMS, GLOBAL(tcp_keepalive_ms),
	    .fallback = "60s", .min = SECOND, .max = HOUR,
	    .zero = "none are sent",
	    .help = "Silence on a client's TCP connection after which the "
		    "system asks whether it is still there (SO_KEEPALIVE), "
		    "three times; closed after as long again without an "
		    "answer. For who waits while nothing is to be sent: a "
		    "long poll, a response of the backend that pauses. The "
		    "backend is asked likewise. For connections that are "
		    "opened from then on." },
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
	    .help = "Newest events of one channel that stay in memory; never "
		    "fewer than 64." },

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
		    "faster. All others go to it in any case. Without it, of a "
		    "body in chunks for the backend all is read first, up to "
		    "batch-max." },
	{ "web-root", KIND_PATH, GROUP_REQUESTS, GLOBAL(web_root),
	    .restart = true, .fallback = SPILLWAY_DATADIR "/web",
	    .words = WORDS("off"),
	    .help = "Directory of the pages under /spillway/, the browser "
		    "client among them; \"off\" for none. Pages may only "
		    "use scripts and styles in files of their own there. "
		    "They are read at start, and go out in gzip to who "
		    "takes that." },
	{ "demo", KIND_FLAG, GROUP_REQUESTS, GLOBAL(demo), .restart = true,
	    .fallback = "no",
	    .help = "Whether the page /spillway/compare/ may measure: have "
		    "events published, its bytes counted, and its own "
		    "connections broken as networks and proxies break them. "
		    "All addresses have to be loopback or Unix sockets then." },
};

const struct directive_rows directives_gateway = { rows,
	sizeof(rows) / sizeof(rows[0]) };
