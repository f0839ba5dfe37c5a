#include "proxy/base/loop.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/err.h"
#include "proxy/base/log.h"

/*
 * Timers wait in a hierarchy of wheels. Level 0 has a slot for each of the next
 * 64 ticks; a slot of level n spans 64 of level n - 1 and is spread over them
 * when its time comes. Setting and clearing are O(1), and a bit per slot finds
 * the next one that is due.
 */
enum {
	WHEEL_BITS = 6,
	WHEEL_SLOTS = 1 << WHEEL_BITS,
	WHEEL_LEVELS = 5, /* 64^5 ticks of 4 ms: 49 days */
	EVENTS_PER_TURN = 256,
	URGENT_PER_LOOK = 64,
	/* Who is urgent waits for so many others, or for so long. */
	OTHERS_BETWEEN_LOOKS = 8,
	NS_BETWEEN_LOOKS = 100000,
	/* May be due to work: the loop goes on living, if slowly. */
	LATE_MS = 1000,
};

struct wheel {
	struct list slots[WHEEL_SLOTS];
	uint64_t used; /* may have a bit for a slot emptied since */
};

struct loop {
	int epoll_fd;
	struct io urgent; /* an epoll descriptor within the other */
	struct io wake;
	uint64_t now_ms;
	uint64_t unix_ms;
	uint64_t paused_ms; /* all pauses together */
	struct loop_pause pause;
	uint64_t looked_ns; /* when urgent descriptors were looked at */
	unsigned others;    /* served since */
	uint64_t tick;      /* timers due before it have fired */
	struct wheel wheels[WHEEL_LEVELS];
	_Atomic(struct task *) inbox; /* newest first */
	_Atomic bool asleep;
	bool stopping;
	struct loop_hooks hooks;
};

static void
read_clock(struct loop *l)
{
	l->looked_ns = clock_ns(CLOCK_MONOTONIC);
	l->others = 0;
	l->now_ms = l->looked_ns / 1000000;
	l->unix_ms = clock_unix_ms();
}

/* Woken by another thread: the tasks are taken by every turn anyway. */
static void
on_wake(struct io *io, uint32_t events)
{
	(void)io;
	(void)events;
}

/* Run what was posted, oldest first; false if there was nothing. */
static bool
run_tasks(struct loop *l)
{
	struct task *t = atomic_load_explicit(&l->inbox, memory_order_relaxed);
	struct task *oldest = NULL;

	if (t == NULL)
		return false;
	t = atomic_exchange_explicit(&l->inbox, NULL, memory_order_acquire);
	while (t != NULL) {
		struct task *next = t->next;

		t->next = oldest;
		oldest = t;
		t = next;
	}
	while (oldest != NULL) {
		t = oldest;
		oldest = t->next;
		t->run(t);
	}
	return true;
}

/* What others posted comes first: an event may be its consequence. */
static void
run_tasks_between(struct loop *l)
{
	if (run_tasks(l) && l->hooks.between != NULL)
		l->hooks.between(l->hooks.ctx);
}

/* Serve urgent descriptors: were there any? */
static bool
look_at_urgent(struct loop *l)
{
	struct epoll_event events[URGENT_PER_LOOK];
	int n = epoll_wait(l->urgent.fd, events, URGENT_PER_LOOK, 0);

	if (n > 0)
		run_tasks_between(l);
	for (int i = 0; i < n; i++) {
		struct io *io = events[i].data.ptr;

		io->ready(io, events[i].events);
	}
	return n > 0;
}

static bool
is_time_to_look(struct loop *l)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (++l->others < OTHERS_BETWEEN_LOOKS &&
	    now - l->looked_ns < NS_BETWEEN_LOOKS)
		return false;
	l->others = 0;
	l->looked_ns = now;
	return true;
}

static void
on_urgent(struct io *io, uint32_t events)
{
	(void)events;
	look_at_urgent(container_of(io, struct loop, urgent));
}

int
loop_new(struct loop **out)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return SW_ENOMEM;
	for (size_t i = 0; i < WHEEL_LEVELS; i++)
		for (size_t k = 0; k < WHEEL_SLOTS; k++)
			list_init(&l->wheels[i].slots[k]);
	l->wake = (struct io){ .fd = -1, .ready = on_wake };
	l->urgent = (struct io){ .fd = -1, .ready = on_urgent };
	read_clock(l);
	l->tick = l->now_ms / LOOP_TICK_MS;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0)
		goto fail;
	l->urgent.fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->urgent.fd < 0 || loop_add(l, &l->urgent, EPOLLIN) != SW_OK)
		goto fail;
	l->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	/* Edge-triggered: every write is an event, and nobody has to read. */
	if (l->wake.fd < 0 || loop_add(l, &l->wake, EPOLLIN | EPOLLET) != SW_OK)
		goto fail;
	*out = l;
	return SW_OK;

fail:
	log_error("loop: %s", strerror(errno));
	loop_free(l);
	return SW_EIO;
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	if (l->wake.fd >= 0)
		close(l->wake.fd);
	if (l->urgent.fd >= 0)
		close(l->urgent.fd);
	if (l->epoll_fd >= 0)
		close(l->epoll_fd);
	free(l);
}

uint64_t
loop_now_ms(const struct loop *l)
{
	return l->now_ms;
}

uint64_t
loop_unix_ms(const struct loop *l)
{
	return l->unix_ms;
}

struct loop_pause
loop_last_pause(const struct loop *l)
{
	return l->pause;
}

uint64_t
loop_lived_ms(const struct loop *l)
{
	return l->now_ms - l->paused_ms;
}

/* It wanted to be back at that time: is it much later? */
static void
note_pause(struct loop *l, uint64_t wanted_ms)
{
	if (l->now_ms <= wanted_ms + LATE_MS)
		return;
	l->pause.end_ms = l->now_ms;
	l->pause.ms = l->now_ms - wanted_ms - LATE_MS;
	l->paused_ms += l->pause.ms;
	log_warn("the process stood still for %llu ms, or was too busy: timers "
		 "wait for as long",
	    (unsigned long long)l->pause.ms);
}

static int
control(int epoll_fd, int op, struct io *io, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = io };

	return epoll_ctl(epoll_fd, op, io->fd, &e) == 0 ? SW_OK : SW_EIO;
}

int
loop_add(struct loop *l, struct io *io, uint32_t events)
{
	return control(l->epoll_fd, EPOLL_CTL_ADD, io, events);
}

int
loop_add_urgent(struct loop *l, struct io *io, uint32_t events)
{
	return control(l->urgent.fd, EPOLL_CTL_ADD, io, events);
}

int
loop_modify(struct loop *l, struct io *io, uint32_t events)
{
	return control(l->epoll_fd, EPOLL_CTL_MOD, io, events);
}

void
loop_remove(struct loop *l, struct io *io)
{
	if (control(l->epoll_fd, EPOLL_CTL_DEL, io, 0) != SW_OK)
		control(l->urgent.fd, EPOLL_CTL_DEL, io, 0);
}

void
timer_init(struct timer *t, void (*fire)(struct timer *t))
{
	list_init(&t->node);
	t->due_ms = 0;
	t->fire = fire;
}

/* Put a timer where it belongs as seen from the present tick. */
static void
wheel_place(struct loop *l, struct timer *t)
{
	uint64_t tick =
	    t->due_ms / LOOP_TICK_MS + (t->due_ms % LOOP_TICK_MS != 0);
	uint64_t distance, last = 1ULL << (WHEEL_BITS * WHEEL_LEVELS);
	unsigned level = 0, slot;

	if (tick < l->tick)
		tick = l->tick;
	distance = tick - l->tick;
	if (distance >= last) {
		distance = last - 1;
		tick = l->tick + distance;
	}
	while (distance >= WHEEL_SLOTS) {
		distance >>= WHEEL_BITS;
		level++;
	}
	slot = (unsigned)(tick >> (WHEEL_BITS * level)) & (WHEEL_SLOTS - 1);
	list_append(&l->wheels[level].slots[slot], &t->node);
	l->wheels[level].used |= 1ULL << slot;
}

void
loop_set_timer(struct loop *l, struct timer *t, uint64_t due_ms)
{
	list_remove(&t->node);
	t->due_ms = due_ms > l->paused_ms ? due_ms - l->paused_ms : 0;
	wheel_place(l, t);
}

void
loop_clear_timer(struct timer *t)
{
	list_remove(&t->node);
}

/*
 * Ticks from the present one to the first slot in use of a level, at most
 * `limit`; forgets bits of slots that are empty by now.
 */
static uint64_t
level_distance(struct loop *l, unsigned level, uint64_t limit)
{
	struct wheel *w = &l->wheels[level];
	unsigned shift = WHEEL_BITS * level;
	uint64_t base = l->tick >> shift;

	while (w->used != 0) {
		unsigned at = (unsigned)base & (WHEEL_SLOTS - 1);
		uint64_t turned = w->used >> at |
		    (at == 0 ? 0 : w->used << (WHEEL_SLOTS - at));
		unsigned steps = (unsigned)__builtin_ctzll(turned);
		unsigned slot = (at + steps) & (WHEEL_SLOTS - 1);
		uint64_t start;

		if (list_empty(&w->slots[slot])) {
			w->used &= ~(1ULL << slot);
			continue;
		}
		/*
		 * Inside a slot of an upper level, that slot was spread
		 * already: what stands there is a whole round away.
		 */
		if (steps == 0 && (l->tick & ((1ULL << shift) - 1)) != 0) {
			uint64_t rest = w->used & ~(1ULL << slot);

			if (rest == 0) {
				steps = WHEEL_SLOTS;
			} else {
				turned &= ~1ULL;
				steps = (unsigned)__builtin_ctzll(turned);
			}
		}
		start = (base + steps) << shift;
		return start - l->tick < limit ? start - l->tick : limit;
	}
	return limit;
}

/* Ticks until a timer is due or a slot must be spread; UINT64_MAX: none. */
static uint64_t
ticks_to_sleep(struct loop *l)
{
	uint64_t distance = UINT64_MAX;

	for (unsigned level = 0; level < WHEEL_LEVELS; level++)
		distance = level_distance(l, level, distance);
	return distance;
}

/* Spread the upper slots that begin at this tick over the levels below. */
static void
wheel_spread(struct loop *l)
{
	for (unsigned level = 1; level < WHEEL_LEVELS; level++) {
		unsigned shift = WHEEL_BITS * level;
		unsigned slot;
		struct list due;
		struct list *node;

		if ((l->tick & ((1ULL << shift) - 1)) != 0)
			return;
		slot = (unsigned)(l->tick >> shift) & (WHEEL_SLOTS - 1);
		list_init(&due);
		list_splice(&due, &l->wheels[level].slots[slot]);
		l->wheels[level].used &= ~(1ULL << slot);
		while ((node = list_shift(&due)) != NULL)
			wheel_place(l, container_of(node, struct timer, node));
	}
}

static void
run_timers(struct loop *l)
{
	uint64_t until = loop_lived_ms(l) / LOOP_TICK_MS;

	while (l->tick <= until) {
		unsigned slot = (unsigned)l->tick & (WHEEL_SLOTS - 1);
		uint64_t skip;
		struct list due;
		struct list *node;

		wheel_spread(l);
		list_init(&due);
		list_splice(&due, &l->wheels[0].slots[slot]);
		l->wheels[0].used &= ~(1ULL << slot);
		/* What a timer sets for now is due with the next tick. */
		l->tick++;
		while ((node = list_shift(&due)) != NULL) {
			struct timer *t =
			    container_of(node, struct timer, node);

			t->fire(t);
		}
		/* Nothing to do for a while: jump to where there is. */
		skip = ticks_to_sleep(l);
		if (skip > 0 && l->tick <= until)
			l->tick += skip < until + 1 - l->tick ?
			    skip :
			    until + 1 - l->tick;
	}
}

void
task_chain_add(struct task_chain *c, struct task *t)
{
	t->next = c->newest;
	c->newest = t;
	if (c->oldest == NULL)
		c->oldest = t;
}

void
loop_post_chain(struct loop *l, struct task_chain *c)
{
	struct task *newest = c->newest, *oldest = c->oldest;
	struct task *before;

	if (newest == NULL)
		return;
	*c = (struct task_chain){ NULL, NULL };
	before = atomic_load_explicit(&l->inbox, memory_order_relaxed);
	do {
		oldest->next = before;
	} while (!atomic_compare_exchange_weak(&l->inbox, &before, newest));
	if (atomic_exchange(&l->asleep, false))
		eventfd_write(l->wake.fd, 1);
}

void
loop_post(struct loop *l, struct task *t)
{
	struct task_chain c = { NULL, NULL };

	task_chain_add(&c, t);
	loop_post_chain(l, &c);
}

void
loop_set_hooks(struct loop *l, struct loop_hooks hooks)
{
	l->hooks = hooks;
}

static int
sleep_ms(struct loop *l, bool work_left)
{
	uint64_t ticks;
	int limit = INT_MAX;

	if (work_left)
		return 0;
	if (l->hooks.may_sleep != NULL) {
		limit = l->hooks.may_sleep(l->hooks.ctx);
		if (limit < 0)
			limit = INT_MAX;
	}
	ticks = ticks_to_sleep(l);
	if (ticks == UINT64_MAX)
		return limit == INT_MAX ? -1 : limit;
	if (ticks < (uint64_t)INT_MAX / LOOP_TICK_MS) {
		uint64_t due = (l->tick + ticks) * LOOP_TICK_MS;
		int ms =
		    due > loop_lived_ms(l) ? (int)(due - loop_lived_ms(l)) : 0;

		if (ms < limit)
			limit = ms;
	}
	return limit;
}

/*
 * Sleeping is announced before the last look at the inbox, and a poster looks
 * for the announcement after it has posted: one of the two sees the other.
 */
static int
wait_for_events(struct loop *l, struct epoll_event *events, int timeout)
{
	int n;

	if (timeout != 0) {
		atomic_store(&l->asleep, true);
		if (atomic_load(&l->inbox) != NULL)
			timeout = 0;
	}
	n = epoll_wait(l->epoll_fd, events, EVENTS_PER_TURN, timeout);
	atomic_store_explicit(&l->asleep, false, memory_order_relaxed);
	return n < 0 ? 0 : n; /* EINTR */
}

void
loop_run(struct loop *l)
{
	struct epoll_event events[EVENTS_PER_TURN];
	bool work_left = false;

	read_clock(l);
	while (!l->stopping) {
		int timeout = sleep_ms(l, work_left);
		uint64_t wanted_ms = l->now_ms + (uint64_t)(unsigned)timeout;
		int n = wait_for_events(l, events, timeout);
		bool served;

		read_clock(l);
		if (timeout >= 0)
			note_pause(l, wanted_ms);
		for (int i = 0; i < n; i++) {
			struct io *io = events[i].data.ptr;

			run_tasks_between(l);
			io->ready(io, events[i].events);
			served = io == &l->urgent;
			if (is_time_to_look(l))
				served |= look_at_urgent(l);
			/* At the end of the turn there is the other hook. */
			if (served && i + 1 < n && l->hooks.urgent != NULL)
				l->hooks.urgent(l->hooks.ctx);
		}
		run_tasks(l);
		run_timers(l);
		work_left =
		    l->hooks.turn != NULL && l->hooks.turn(l->hooks.ctx);
	}
	run_tasks(l);
}

void
loop_stop(struct loop *l)
{
	l->stopping = true;
}
