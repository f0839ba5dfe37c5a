#ifndef SPILLWAY_PROXY_BASE_LOOP_H
#define SPILLWAY_PROXY_BASE_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/list.h"

/*
 * One thread's loop: descriptors, timers, and tasks from other threads.
 *
 * Everything belongs to the thread that runs the loop, but for loop_post, which
 * any thread may call. The loop owns "now": it is read once a turn.
 */
struct loop;

/* A descriptor in the loop; embedded in what it belongs to. */
struct io {
	int fd;
	void (*ready)(struct io *io, uint32_t events); /* EPOLLIN, ... */
};

/*
 * A timer; embedded likewise. It fires once, at or up to LOOP_TICK_MS after
 * its time; setting it again moves it.
 */
enum { LOOP_TICK_MS = 4 };

struct timer {
	struct list node;
	uint64_t due_ms; /* as the loop has lived */
	void (*fire)(struct timer *t);
};

/* Work for a loop's thread, posted by another; embedded, posted once. */
struct task {
	struct task *next;
	void (*run)(struct task *t);
};

int loop_new(struct loop **out);
void loop_free(struct loop *l);

/* Monotonic milliseconds, and Unix time, as of this turn. */
uint64_t loop_now_ms(const struct loop *l);
uint64_t loop_unix_ms(const struct loop *l);

/*
 * The process may stand still: it is stopped, or its machine is. A loop that
 * comes back more than a second later than it wanted to counts the rest as a
 * pause. Its timers wait for so much longer, and who was not heard meanwhile
 * was not silent: that is measured by the milliseconds that the loop has lived.
 */
struct loop_pause {
	uint64_t end_ms; /* of the last one; 0: there was none */
	uint64_t ms;     /* its length */
};

struct loop_pause loop_last_pause(const struct loop *l);
uint64_t loop_lived_ms(const struct loop *l);

/* `events` as for epoll_ctl. SW_EIO when the system refuses. */
int loop_add(struct loop *l, struct io *io, uint32_t events);
int loop_modify(struct loop *l, struct io *io, uint32_t events);
/*
 * The same for a descriptor that does not wait for its turn behind the others:
 * it is looked at after every few of them. For who publishes: an event for many
 * should not stand in line with a thousand who come.
 */
int loop_add_urgent(struct loop *l, struct io *io, uint32_t events);
/*
 * No longer watched. Closing a descriptor that has no duplicate does the same
 * for less; either way the memory of `io` must last until the turn's end, see
 * loop_set_turn.
 */
void loop_remove(struct loop *l, struct io *io);

void timer_init(struct timer *t, void (*fire)(struct timer *t));
/* `due_ms` as loop_now_ms counts. */
void loop_set_timer(struct loop *l, struct timer *t, uint64_t due_ms);
void loop_clear_timer(struct timer *t); /* also when it is not set */

static inline bool
timer_is_set(const struct timer *t)
{
	return t->node.next != &t->node;
}

/*
 * Run the task in the loop's thread, after those posted before by the same
 * thread. From any thread.
 */
void loop_post(struct loop *l, struct task *t);

/*
 * Several tasks for one loop, collected and then posted at once, so that its
 * thread is woken when all of them are there. Not for several threads.
 */
struct task_chain {
	struct task *newest, *oldest;
};

void task_chain_add(struct task_chain *c, struct task *t);
void loop_post_chain(struct loop *l, struct task_chain *c); /* empties it */

/*
 * Hooks of the owner. `between` runs after tasks arrived while a turn's events
 * are being handled, so that urgent work need not wait for the rest of them;
 * `urgent` likewise, after urgent descriptors.
 * `turn` runs at the end of every turn; it returns true when there is work left
 * and the next turn must not sleep. All may be NULL.
 */
struct loop_hooks {
	void (*between)(void *ctx);
	void (*urgent)(void *ctx);
	bool (*turn)(void *ctx);
	/* Milliseconds that the loop may sleep at most; -1: any. */
	int (*may_sleep)(void *ctx);
	void *ctx;
};
void loop_set_hooks(struct loop *l, struct loop_hooks hooks);

/* Turn until loop_stop is called in the loop's own thread. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);

#endif
