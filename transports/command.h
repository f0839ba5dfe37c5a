#ifndef SPILLWAY_TRANSPORTS_COMMAND_H
#define SPILLWAY_TRANSPORTS_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/str.h"

/*
 * What a client says on a WebSocket with the subprotocol spillway.v1: one JSON
 * object per text message,
 *   {"op":"subscribe","channel":"a","after":"k3x9-1042","ref":1}
 * and the answers to it, which repeat `ref`.
 */
enum command_op {
	COMMAND_SUBSCRIBE,
	COMMAND_UNSUBSCRIBE,
	COMMAND_SEND,
	COMMAND_AUTH,
	COMMAND_PING,
};

enum {
	COMMAND_TEXT_MAX = 4096,
	COMMAND_TOKEN_MAX = 8192, /* what a request may carry as well */
};

struct command {
	enum command_op op;
	struct str ref;  /* raw JSON; p is NULL if there is none */
	struct str data; /* raw JSON */
	bool has_seq;
	uint64_t seq;
	/* Texts, without quotes and escapes; p is NULL if there is none. */
	struct str channel, after, token;
	struct buf texts; /* holds them */
};

/*
 * Read a message. SW_EINVAL, or SW_ENOMEM, with a sentence in `*why`; `ref` is
 * filled in as far as it was found, also in what breaks off behind it, or is
 * nested too deep there. Everything is borrowed from `text`. Either
 * way command_fini.
 */
int command_read(struct command *out, struct str text, const char **why);
void command_fini(struct command *c);

/* {"op":"ok"  or  {"op":"error"  with the ref, not closed yet. */
int command_answer_begin(struct buf *out, const char *op, struct str ref);

/* {"op":"error","ref":...,"code":"forbidden","message":"..."} */
int command_put_error(
    struct buf *out, struct str ref, const char *code, const char *message);

#endif
