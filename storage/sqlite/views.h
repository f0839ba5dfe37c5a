#ifndef SPILLWAY_STORAGE_SQLITE_VIEWS_H
#define SPILLWAY_STORAGE_SQLITE_VIEWS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "proxy/base/list.h"

/*
 * Who looks at which state of a store. Each commit makes a new state; a view
 * shows the one that was the newest when it began, or a newer one. What a state
 * no longer needs may be taken away when no view shows an older one.
 *
 * The writer commits and asks, readers begin and end views of their own.
 */
struct views {
	pthread_mutex_t lock; /* of the list */
	struct list list;
	_Atomic uint64_t commits;
};

struct view {
	struct list node;
	_Atomic uint64_t state; /* UINT64_MAX: looks at none */
};

void views_init(struct views *v);
void views_fini(struct views *v); /* all have left */

/* From here on asked for; it looks at nothing yet. */
void views_enter(struct views *v, struct view *view);
void views_leave(struct views *v, struct view *view);

/* Before the transaction begins, and after it has ended. */
void view_begin(const struct views *v, struct view *view);
void view_end(struct view *view);

/* After a commit: the state that it made. */
uint64_t views_committed(struct views *v);
/* Does no view show a state older than this one? */
bool views_reached(struct views *v, uint64_t state);

#endif
