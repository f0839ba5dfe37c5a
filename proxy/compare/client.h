#ifndef SPILLWAY_PROXY_COMPARE_CLIENT_H
#define SPILLWAY_PROXY_COMPARE_CLIENT_H

#include "proxy/base/cursor.h"
#include "proxy/compare/answer.h"
#include "proxy/compare/blocks.h"
#include "proxy/compare/frames.h"
#include "proxy/compare/peer.h"
#include "proxy/compare/seen.h"

/*
 * One subscriber, on any transport. What ends before its time comes back with
 * its cursor.
 */
struct crowd;

enum client_state {
	CLIENT_AWAY,    /* no connection, or a poll's that is not used */
	CLIENT_COMING,  /* a connection is being made */
	CLIENT_ASKED,   /* the request is sent, its answer is not whole */
	CLIENT_READING, /* a stream is open */
	CLIENT_LEAVING, /* a WebSocket's goodbye is sent */
	CLIENT_GONE,
};

struct client {
	struct peer peer;
	struct crowd *crowd;
	struct timer timer; /* the next poll, or the next attempt */
	enum client_state state;
	bool is_there;               /* it has heard from the gateway */
	bool has_refusal;            /* the body is a problem document */
	bool leaves;                 /* when what is under way has ended */
	char cursor[CURSOR_MAX + 1]; /* or empty */
	char key[FRAMES_KEY_LENGTH];
	uint64_t asked_ms;
	struct answer answer;
	struct buf body; /* of a poll, or a refusal */
	struct frames frames;
	struct blocks blocks;
	struct seen seen;
};

void client_init(struct client *c, struct crowd *crowd);
void client_fini(struct client *c);
void client_begin(struct client *c);
/* False: there is nothing to wait for. */
bool client_leave(struct client *c);

#endif
