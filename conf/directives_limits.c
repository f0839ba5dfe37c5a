#include "conf/directive_rows.h"

/* How many, and how fast. */
static const struct directive rows[] = {
	{ "max-connections", KIND_COUNT, GROUP_LIMITS, GLOBAL(max_connections),
	    .fallback = "0", .min = 1, .max = 100 * MILLION,
	    .zero = "as many as descriptors allow",
	    .help = "Most connections at a time. When clients have all of "
		    "them, there are 32 more for the API. One that has "
		    "switched protocols with the backend takes as many "
		    "descriptors as three, and so does one with TLS whose "
		    "requests are not for streams; where they do not fit, it "
		    "is answered 503." },
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

const struct directive_rows directives_limits = { rows,
	sizeof(rows) / sizeof(rows[0]) };
