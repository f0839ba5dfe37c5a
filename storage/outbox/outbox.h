#ifndef SPILLWAY_STORAGE_OUTBOX_OUTBOX_H
#define SPILLWAY_STORAGE_OUTBOX_OUTBOX_H

#include "proxy/base/buf.h"
#include "proxy/base/loop.h"
#include "storage/outbox/outbox_sqlite.h"

/*
 * What has to reach the backend although nobody waits for it: letters, each in
 * a lane, stored before anything else happens to them.
 *
 *   outbox_put ──▶ outbox's thread ──commit──▶ `stored`
 *                        │
 *                        └──▶ a carrier: one letter of each lane at a time,
 *                             until it is settled ──▶ the lane's next one
 *
 * So a letter is carried at least once, and those of a lane in their order,
 * also over a kill -9. What does not arrive is carried again after a while,
 * which doubles each time and has a random part; what is too old by then
 * becomes a dead letter, for the operator to retry or to drop. When nobody is
 * there to take letters, all lanes wait together, and one letter tries it for
 * all.
 *
 * A connection may leave a will: the letter that is to be sent should nobody be
 * there any more to put it, after a kill -9. The letter that tells of its end
 * makes it void, in one transaction; those that a start finds become letters,
 * behind what their lanes have.
 */
struct outbox;

struct outbox_limits {
	uint64_t max_bytes;    /* of letters that wait; beyond: SW_EBUSY */
	uint64_t max_age_ms;   /* then a failing letter is dead */
	uint64_t retry_max_ms; /* longest pause between two attempts */
};

/* Where letters are carried: run with a struct outbox_delivery's task. */
struct outbox_carrier {
	struct loop *loop;
	void (*run)(struct task *t);
	void *ctx;
};

/* `path` is that of the store. What is wrong with it has been logged. */
int outbox_open(
    struct outbox **out, const char *path, const struct outbox_limits *limits);
int outbox_start(
    struct outbox *o, const struct outbox_carrier *carriers, size_t count);
/*
 * The numbers of this run's connections have to be above: no connection with a
 * will has had one, in no run.
 */
uint64_t outbox_connections(const struct outbox *o);
/* The file does not take letters just now; from any thread. */
bool outbox_failing(const struct outbox *o);
/* Another thread's, when a reload has changed them. */
void outbox_reload(struct outbox *o, const struct outbox_limits *limits);
/*
 * The carriers' loops are about to end: nothing is carried any more, and when
 * this returns all that was put is stored and answered. What is put later is
 * stored without an answer.
 */
void outbox_hush(struct outbox *o);
/* Store what is left, and end; no loop runs any more. Accepts NULL. */
void outbox_close(struct outbox *o);

/*
 * How much of what somebody has put the backend has yet to take. It is counted,
 * for any thread: a reference for its owner, and one for each letter.
 */
struct outbox_backlog;

struct outbox_backlog *outbox_backlog_new(void); /* NULL: memory ran out */
struct outbox_backlog *outbox_backlog_ref(struct outbox_backlog *b);
void outbox_backlog_unref(struct outbox_backlog *b); /* accepts NULL */
/* For its owner: all has arrived, or is given up. */
bool outbox_backlog_is_empty(const struct outbox_backlog *b);

/* What has to be stored. */
enum outbox_what {
	OUTBOX_LETTER,
	OUTBOX_WILL,   /* in the place of the one that its connection had */
	OUTBOX_REVOKE, /* the will of that connection is void */
};

/* A letter or a will to be stored, made by outbox_put_new. */
struct outbox_put {
	struct task task;
	struct list node;
	struct outbox *outbox;
	/*
	 * Called in that loop's thread, once it is stored or has failed
	 * (SW_ESTORE, SW_ENOMEM), with the put, which is the caller's again.
	 * NULL: it is tried until it is stored, and freed then.
	 */
	void (*stored)(struct outbox_put *p);
	struct loop *loop;
	void *owner;
	int err;
	bool must; /* there is always room for it, and for wills */
	struct outbox_backlog *backlog; /* that a letter is part of; or NULL */
	enum outbox_what what;
	/* A will's; or a letter's that makes its will void; 0: it has none. */
	uint64_t connection;
	/* The outbox's: */
	uint64_t id, created_ms;
	int8_t wills; /* more in the file with it */
	struct letter *letter;
	struct lane *lane;
	struct str name;
	struct str data;
	char texts[];
};

struct outbox_put *outbox_put_new(struct str lane, struct str data);
void outbox_put_free(struct outbox_put *p); /* accepts NULL */
/* From any thread; takes it. SW_EBUSY, SW_ECLOSED: it is still the caller's. */
int outbox_put(struct outbox *o, struct outbox_put *p);

enum outbox_outcome {
	OUTBOX_DONE,    /* it has arrived, whatever was thought of it */
	OUTBOX_REFUSED, /* it has arrived, and is not wanted */
	OUTBOX_AGAIN,   /* this one failed */
	OUTBOX_AWAY,    /* nobody is there, or has time */
	OUTBOX_KEEP,    /* it was not tried */
};

/* A letter on its way. */
struct outbox_delivery {
	struct task task;
	struct list node;
	struct outbox *outbox;
	void *ctx; /* the carrier's */
	uint64_t id, created_ms;
	unsigned attempts; /* before this one */
	struct str data;
	/* What became of it; see outbox_settle. */
	enum outbox_outcome outcome;
	bool bury;
	char reason[256];
	struct lane *lane;
	char bytes[];
};

/* It was tried: from the carrier's thread. Takes it. */
void outbox_settle(
    struct outbox_delivery *d, enum outbox_outcome outcome, const char *reason);

/* Questions and orders of the operator about dead letters. */
enum outbox_order { OUTBOX_LIST, OUTBOX_RETRY, OUTBOX_DROP };
enum { OUTBOX_LETTERS_MAX = 1000 }; /* of a list */

struct outbox_query {
	struct task task;
	struct list node;
	struct outbox *outbox; /* filled in */
	enum outbox_order order;
	uint64_t id;           /* of one letter; 0: all */
	uint64_t after, limit; /* of a list */
	/* Called in the outbox's thread for each of a list. */
	int (*visit)(void *ctx, const struct outbox_letter *letter);
	void *ctx;
	/* The answer, in that loop's thread: */
	struct loop *loop;
	void (*done)(struct outbox_query *q);
	int err;        /* that of `visit`, or of the store */
	uint64_t count; /* letters that were found */
};

/* Takes it until it is done. SW_ECLOSED. */
int outbox_ask(struct outbox *o, struct outbox_query *q);

struct outbox_stats {
	bool healthy;     /* the file takes letters */
	uint64_t waiting; /* letters and their bytes */
	uint64_t bytes;
	uint64_t dead;
	uint64_t wills;    /* of this run's connections */
	uint64_t executed; /* at the start: those of the run before */
	uint64_t stored, delivered, refused, retries, died;
};

void outbox_stats(const struct outbox *o, struct outbox_stats *out);

#endif
