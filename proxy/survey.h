#ifndef SPILLWAY_PROXY_SURVEY_H
#define SPILLWAY_PROXY_SURVEY_H

#include "proxy/worker.h"

/*
 * Asking every worker something, and answering when all have: each writes its
 * part in its own thread, and the last word is spoken in the asker's.
 */
struct survey;

struct survey_part {
	struct task task;
	struct survey *survey;
	struct worker *worker;
	struct buf out;
	struct buf items; /* where they are in it, if it is a list */
	uint64_t count;   /* whatever the question counts */
	bool full;        /* there are more items behind its last one */
};

struct survey {
	struct worker *asker;
	size_t left, parts_count;
	void (*ask)(struct survey_part *p); /* in each worker's thread */
	void (*finish)(struct survey *s);   /* then; frees it */
	void *ctx;                          /* the asker's */
	uint64_t number; /* of the question: an id, a limit */
	uint64_t after;  /* likewise: an id */
	bool flag;
	struct survey_part parts[];
};

/*
 * Ask all workers; `finish` is called in the asker's thread, in a later turn.
 * NULL if memory ran out.
 */
struct survey *survey_new(struct worker *asker,
    void (*ask)(struct survey_part *p), void (*finish)(struct survey *s),
    void *ctx);
void survey_start(struct survey *s);
void survey_free(struct survey *s);

/* A list: what was written to `out` from there on is an item of that id. */
void survey_item(struct survey_part *p, uint64_t id, size_t from);
/*
 * May the next item, in the order of ids, be written? False: enough for one
 * turn was, and the part is full.
 */
bool survey_has_room(struct survey_part *p);
/*
 * Append the items of all parts in the order of their ids, with commas, but no
 * more than `limit`, and none behind what a full part has. Returns how many;
 * when memory ran out, also that of a part, `out` has the error.
 */
uint64_t survey_put_items(struct survey *s, uint64_t limit, struct buf *out);

#endif
