#include "storage/writer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/base/clock.h"
#include "proxy/base/err.h"
#include "proxy/base/log.h"
#include "proxy/base/thread.h"
#include "storage/commit.h"

enum {
	/* Largest transaction: bounds what one commit delays the next. */
	GROUP_EVENTS = 2048,
	GROUP_BYTES = 8 << 20,
	/* Longer than a busy disk takes, and than another's lock is waited
	 * for: now somebody should know. */
	STALL_MS = 6000,
	/*
	 * So long the store waits for more before it makes rows of it. A timer
	 * nearer than the system's next tick would be set and taken back with
	 * each group, which costs a virtual machine as much as the group does.
	 */
	SETTLE_MS = 20,
};

uint64_t
writer_stalled_ms(const struct writer *w)
{
	uint64_t since = atomic_load(&w->turn_ms), now = clock_monotonic_ms();

	return since != 0 && now > since + STALL_MS ? now - since : 0;
}

static size_t
append_bytes(const struct append *a)
{
	size_t bytes = 0;

	for (size_t i = 0; i < a->count; i++)
		bytes += a->items[i].event->size;
	return bytes;
}

int
writer_admit(struct writer *w, struct append *a)
{
	uint64_t bytes = append_bytes(a), events;

	if (atomic_load_explicit(&w->closed, memory_order_relaxed))
		return SW_ECLOSED;
	events = atomic_fetch_add(&w->queued_events, a->count);
	/* One request may be larger than the limit, if it is alone. */
	if (atomic_fetch_add(&w->queued_bytes, bytes) + bytes <=
		atomic_load_explicit(&w->limit_bytes, memory_order_relaxed) &&
	    events + a->count <=
		atomic_load_explicit(&w->limit_events, memory_order_relaxed))
		return SW_OK;
	if (events == 0)
		return SW_OK;
	atomic_fetch_sub(&w->queued_events, a->count);
	atomic_fetch_sub(&w->queued_bytes, bytes);
	return SW_EBUSY;
}

/* They came after the writer has ended: nobody else will tell. */
static void
answer_late(struct writer *w, struct append *a)
{
	struct append *next;

	for (; a != NULL; a = next) {
		next = a->next;
		a->err = SW_ECLOSED;
		if (a->sink < w->sink_count)
			loop_post(w->sinks[a->sink].loop, &a->task);
		else
			a->done(a);
	}
}

/* Cut a group off the head of the queue; false if the queue is empty. */
static bool
take_group(struct writer *w, struct group *g)
{
	struct append *a = w->first, **end = &w->first;

	*g = (struct group){ .first = a };
	for (; a != NULL; a = a->next) {
		uint64_t bytes = append_bytes(a);

		/* Clearing a channel stands alone: order matters to it. */
		if (g->events > 0 &&
		    (a->clear != NULL || g->events + a->count > GROUP_EVENTS ||
			g->bytes + bytes > GROUP_BYTES))
			break;
		g->events += a->count;
		g->bytes += bytes;
		end = &a->next;
		if (a->clear != NULL)
			break;
	}
	if (g->first == NULL)
		return false;
	w->first = *end;
	*end = NULL;
	if (w->first == NULL)
		w->last = &w->first;
	atomic_fetch_sub(&w->queued_events, g->events);
	atomic_fetch_sub(&w->queued_bytes, g->bytes);
	return true;
}

void
writer_take(struct writer *w, struct append *first, struct append *last)
{
	bool stopped, kick = false;

	pthread_mutex_lock(&w->lock);
	stopped = w->stop;
	if (!stopped) {
		*w->last = first;
		w->last = &last->next;
		kick = !w->kicked;
		w->kicked = true;
	}
	pthread_mutex_unlock(&w->lock);
	/* Not before: it would wake up to wait for the lock. */
	if (kick)
		pthread_cond_signal(&w->work);
	if (stopped)
		answer_late(w, first);
}

static void
wait_for_work(struct writer *w, uint64_t ms)
{
	struct timespec until;

	if (ms == 0)
		return;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(ms / 1000);
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(&w->work, &w->lock, &until);
}

int
writer_set_rules(struct writer *w, struct str rules)
{
	char *copy = strndup(rules.len == 0 ? "" : rules.p, rules.len);

	if (copy == NULL)
		return SW_ENOMEM;
	if (!w->started) {
		keep_past_change(&w->past, w, copy);
		return SW_OK;
	}
	pthread_mutex_lock(&w->lock);
	free(w->rules);
	w->rules = copy;
	pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->lock);
	return SW_OK;
}

static bool
is_unsettled(const struct writer *w)
{
	return atomic_load(&w->store->unsettled);
}

int
writer_settle(struct writer *w)
{
	uint64_t before;
	int err;

	if (!is_unsettled(w))
		return SW_OK;
	pthread_mutex_lock(&w->lock);
	before = w->settles;
	w->settle_wanted = true;
	pthread_cond_signal(&w->work);
	while (w->settles == before && !w->ended)
		pthread_cond_wait(&w->settled, &w->lock);
	err = w->settle_err;
	pthread_mutex_unlock(&w->lock);
	return err;
}

static void
tell_settled(struct writer *w, int err)
{
	pthread_mutex_lock(&w->lock);
	w->settles++;
	w->settle_err = err;
	pthread_cond_broadcast(&w->settled);
	pthread_mutex_unlock(&w->lock);
}

static bool
see_first(void *ctx, const struct store_row *row)
{
	*(uint64_t *)ctx = row->id;
	return false;
}

int
writer_has_row(struct writer *w, uint64_t id, bool *out)
{
	uint64_t found = 0;
	int err = w->store->ops->scan(w->store, id - 1, see_first, &found);

	*out = err == SW_OK && found == id;
	return err;
}

/* Readers ask for it, or there is nothing else to do. */
static void
settle(struct writer *w)
{
	int err = w->store->ops->settle(w->store);

	if (err != SW_OK)
		writer_set_health(w, err);
	tell_settled(w, err);
}

/* The last one: of a store that fails, the next start reads the rest. */
static void
end(struct writer *w)
{
	janitor_finish(&w->janitor, w);
	pthread_mutex_lock(&w->lock);
	w->ended = true;
	w->settle_err = is_unsettled(w) ? SW_ESTORE : SW_OK;
	pthread_cond_broadcast(&w->settled);
	pthread_mutex_unlock(&w->lock);
}

/* Who looks at the log, and not at readyz, hears of it when it is over. */
static void
end_turn(struct writer *w)
{
	uint64_t ms = writer_stalled_ms(w);

	atomic_store(&w->turn_ms, 0);
	if (ms > 0)
		log_warn("store: did not answer for %" PRIu64
			 " ms: its disk was busy, or away",
		    ms);
}

static void *
writer_main(void *arg)
{
	struct writer *w = arg;
	uint64_t idle_ms = 0;

	thread_be_brief();
	pthread_mutex_lock(&w->lock);
	for (;;) {
		struct group g;
		bool took, more, wanted;
		char *rules;

		while (!w->kicked && !w->stop && !w->settle_wanted &&
		    w->rules == NULL && idle_ms > 0) {
			wait_for_work(w, idle_ms);
			idle_ms = 0;
		}
		w->kicked = false;
		wanted = w->settle_wanted;
		w->settle_wanted = false;
		rules = w->rules;
		w->rules = NULL;
		took = take_group(w, &g);
		more = w->first != NULL;
		w->kicked = more;
		if (!took && rules == NULL && w->stop)
			break;
		pthread_mutex_unlock(&w->lock);
		atomic_store(&w->turn_ms, clock_monotonic_ms());
		if (rules != NULL)
			keep_past_change(&w->past, w, rules);
		if (took)
			commit_group(w, &g);
		if (wanted || (!took && is_unsettled(w)))
			settle(w);
		idle_ms = janitor_step(&w->janitor, w, took);
		if (took && is_unsettled(w) && idle_ms > SETTLE_MS)
			idle_ms = SETTLE_MS;
		end_turn(w);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	end(w);
	return NULL;
}

int
writer_init(struct writer *w)
{
	pthread_condattr_t monotonic;

	*w = (struct writer){ .last = NULL };
	w->last = &w->first;
	pthread_mutex_init(&w->lock, NULL);
	pthread_mutex_init(&w->health.lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&w->work, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_cond_init(&w->settled, NULL);
	records_init(&w->records);
	keep_past_init(&w->past);
	janitor_init(&w->janitor);
	return keys_new(&w->keys);
}

int
writer_start(struct writer *w, const struct log_sink *sinks, uint32_t count)
{
	w->chains = calloc(count == 0 ? 1 : count, sizeof(*w->chains));
	if (w->chains == NULL)
		return SW_ENOMEM;
	w->sinks = sinks;
	w->sink_count = count;
	if (thread_start(&w->thread, "writer", writer_main, w) != SW_OK)
		return SW_EIO;
	w->started = true;
	return SW_OK;
}

void
writer_stop(struct writer *w)
{
	if (!w->started)
		return;
	atomic_store(&w->closed, true);
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	w->started = false;
}

void
writer_fini(struct writer *w)
{
	if (w->store != NULL && w->reader != NULL)
		w->store->ops->reader_close(w->reader);
	records_fini(&w->records);
	keep_past_fini(&w->past);
	free(w->rules);
	keys_free(w->keys);
	free(w->undo);
	free(w->chains);
	pthread_cond_destroy(&w->work);
	pthread_cond_destroy(&w->settled);
	pthread_mutex_destroy(&w->lock);
	pthread_mutex_destroy(&w->health.lock);
}
