#ifndef SPILLWAY_PROXY_COMPARE_QUESTION_H
#define SPILLWAY_PROXY_COMPARE_QUESTION_H

#include "proxy/compare/answer.h"
#include "proxy/compare/peer.h"

/*
 * One request for which a connection is made, and its answer as a whole.
 * Embedded; asked again when the one before is answered.
 */
enum { QUESTION_BODY_MAX = 4 << 20, QUESTION_MS = 15000 };

struct question;

struct question_answer {
	unsigned status; /* 0: there is none, and `why` says why not */
	struct str body; /* borrowed during the call */
	const char *why;
};

struct question {
	struct peer peer;
	struct answer answer;
	struct buf body, request;
	struct timer timer;
	void (*done)(struct question *q, const struct question_answer *a);
	bool asked;
};

void question_init(struct question *q, struct loop *l,
    const struct place *place, struct secure_context *context);
void question_fini(struct question *q);

/* `token`: "" for none. `done` is called once, never before this returns. */
void question_ask(struct question *q, const char *method, const char *path,
    const char *token,
    void (*done)(struct question *q, const struct question_answer *a));

/* The `detail` of a problem document, for people; "" if there is none. */
void question_put_detail(struct buf *out, struct str body);

#endif
