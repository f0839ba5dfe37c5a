#ifndef SPILLWAY_PROXY_BASE_POLICY_H
#define SPILLWAY_PROXY_BASE_POLICY_H

#include <stdbool.h>
#include <stdint.h>

/* How safely an event is kept before it is acknowledged. */
enum durability {
	DURABILITY_MEMORY, /* in memory alone: gone with the process */
	DURABILITY_NORMAL, /* committed: survives the end of the process */
	DURABILITY_FULL,   /* and synced: survives the loss of power */
};

/* What becomes of a message that a client sends. */
enum send_mode {
	SEND_OFF,     /* refused */
	SEND_PUBLISH, /* published to the channel */
	SEND_ECHO,    /* returned to its sender */
	SEND_BRIDGE,  /* told to the backend, whose answer it gets */
};

/* What a message to the backend waits for. */
enum message_mode {
	MESSAGE_SYNC,  /* the backend's answer, which its sender gets */
	MESSAGE_QUEUE, /* that it is stored */
};

/* Who may subscribe to a channel, or send to it. */
enum access {
	ACCESS_AUTO,   /* who has a token, once there are keys for tokens */
	ACCESS_ANYONE, /* everybody who reaches us */
	ACCESS_TOKEN,  /* who has a token that says so */
};

/*
 * The settings of a channel, from the first `channel` block whose pattern
 * matches its name. Fixed once loaded; owned by the configuration.
 */
struct policy {
	char *pattern;           /* with `*` for any text */
	uint64_t history_events; /* newest events kept */
	uint64_t history_bytes;  /* newest bytes of payload kept; 0: any */
	uint64_t history_age_ms; /* how long an event is kept; 0: for ever */
	enum durability durability;
	enum send_mode send;
	enum message_mode message_mode;
	bool bridge_connect;  /* the backend decides who subscribes */
	bool bridge_presence; /* and is told who does */
	bool presence_events; /* and so are all who listen */
	enum access subscribe;
	enum access send_access;
};

#endif
