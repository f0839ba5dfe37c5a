#include "proxy/edge/limits.h"

const char channels_too_many[] =
    "There are too many channels: see max-channels.";

const char *
limit_name(enum limit l)
{
	static const char *const names[LIMIT_COUNT] = {
		[LIMIT_CONNECTIONS] = "max-connections",
		[LIMIT_CONNECTIONS_PER_ADDRESS] = "max-connections-per-address",
		[LIMIT_CONNECTION_RATE] = "connection-rate",
		[LIMIT_HANDSHAKE_RATE] = "tls-handshake-rate",
		[LIMIT_DESCRIPTORS] = "descriptors",
		[LIMIT_HANDSHAKES] = "tls-handshakes-max",
		[LIMIT_HANDSHAKE_TIMEOUT] = "tls-handshake-timeout",
		[LIMIT_HEADER] = "header-max",
		[LIMIT_HEADER_TIMEOUT] = "header-timeout",
		[LIMIT_ODD_PATH] = "odd-path-max",
		[LIMIT_REQUEST_TIMEOUT] = "request-timeout",
		[LIMIT_IDLE_TIMEOUT] = "idle-timeout",
		[LIMIT_MESSAGE] = "message-max",
		[LIMIT_MESSAGE_RATE] = "message-rate",
		[LIMIT_MESSAGE_BYTE_RATE] = "message-byte-rate",
		[LIMIT_BATCH] = "batch-max",
		[LIMIT_BATCH_EVENTS] = "batch-events-max",
		[LIMIT_PUBLISH_RATE] = "publish-rate",
		[LIMIT_PUBLISH_QUEUE] = "publish-queue",
		[LIMIT_CHANNELS_PER_CONNECTION] = "channels-per-connection",
		[LIMIT_CHANNELS] = "max-channels",
		[LIMIT_STALL_TIMEOUT] = "stall-timeout",
		[LIMIT_AUTH_TIMEOUT] = "auth-timeout",
		[LIMIT_BRIDGE_QUEUE] = "bridge-queue-bytes",
		[LIMIT_OUTBOX] = "outbox-max-bytes",
		[LIMIT_BACKEND_QUEUE] = "backend-queue-max",
		[LIMIT_SESSIONS] = "max-sessions",
	};

	return names[l];
}

bool
pace_allows(
    uint64_t *due_us, uint64_t now_ms, uint64_t per_s, uint64_t burst_ms)
{
	uint64_t now_us = now_ms * 1000, step_us;

	if (per_s == 0)
		return true;
	step_us = 1000000 / per_s;
	if (*due_us < now_us)
		*due_us = now_us;
	if (*due_us - now_us + step_us > burst_ms * 1000)
		return false;
	*due_us += step_us;
	return true;
}

uint64_t
pace_cost_us(uint64_t n, uint64_t per_s)
{
	/* No amount that we count is near where this would overflow. */
	return per_s == 0 ? 0 : n * 1000000 / per_s;
}

bool
pace_spends(
    uint64_t *due_us, uint64_t now_ms, uint64_t cost_us, uint64_t burst_ms)
{
	uint64_t now_us = now_ms * 1000;

	if (cost_us == 0)
		return true;
	if (*due_us < now_us)
		*due_us = now_us;
	if (*due_us - now_us >= burst_ms * 1000)
		return false;
	*due_us += cost_us;
	return true;
}
