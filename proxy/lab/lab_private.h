#ifndef SPILLWAY_PROXY_LAB_LAB_PRIVATE_H
#define SPILLWAY_PROXY_LAB_LAB_PRIVATE_H

#include "proxy/base/list.h"
#include "proxy/lab/lab.h"

/* What the lab's own files share. One thread: the worker's. */
struct lab {
	struct worker *worker;
	struct map panes;       /* by name */
	uint64_t uses;          /* of panes, so far */
	struct map conns;       /* by the connection's id */
	struct list publishers; /* of the first worker alone */
};

/* Bytes that are on their way, and when they may arrive. */
struct lab_piece {
	size_t len;
	uint64_t due_ms;
};

/* A connection, and the pane that it serves at the moment. */
struct lab_conn {
	struct map_entry entry;
	uint64_t id; /* the connection's, and the key */
	struct conn *conn;
	struct lab_pane *pane; /* NULL: none */
	enum transport_id transport;
	/* What was taken, and is not in the socket yet. */
	struct buf bytes, pieces;
	struct timer timer;
	uint64_t paid_ms; /* what the cap has allowed up to then is spent */
	bool in_head;     /* of an answer: its end was not seen yet */
	bool full;        /* more was refused */
};

struct lab_conn *lab_find(const struct lab *l, const struct conn *c);
/* The pane of that name, made if there is none; NULL: too many, no memory. */
struct lab_pane *lab_get_pane(struct lab *l, struct str name);
/*
 * The connection serves the pane that the request names; NULL if it names none.
 */
struct lab_conn *lab_enter(struct conn *c, const struct request *r);
bool lab_name_valid(struct str name);
void lab_stop_publishers(struct lab *l);

/* NULL: nothing of that kind is wrong with it now. */
const struct lab_rule *lab_rule(
    const struct lab_conn *lc, enum lab_fault fault);

void lab_wire_init(struct lab_conn *lc);
void lab_wire_fini(struct lab_conn *lc);
/* The rules have changed, or time has passed: write what may be written. */
void lab_wire_pump(struct lab_conn *lc);

#endif
