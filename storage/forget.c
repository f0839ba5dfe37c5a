#include "storage/forget.h"

#include <inttypes.h>

#include "proxy/base/clock.h"
#include "proxy/base/err.h"
#include "proxy/base/log.h"
#include "storage/writer.h"

enum {
	LOOKED_AT = 1024, /* per step */
	ASKED_FOR = 64,   /* rows that are looked up in it */
	FORGOTTEN = 32,   /* each of them is two pages of the store, or more */
};

/* The channels of one step. */
struct step {
	struct record *due[FORGOTTEN];
	unsigned count;
	unsigned asked;           /* for rows */
	struct store_state state; /* of the store, afterwards */
};

static int
save_state(struct writer *w, void *ctx)
{
	return w->store->ops->save_state(w->store, ctx);
}

static void
set_mark(struct writer *w, uint64_t now_ms)
{
	struct store_state state = w->state;

	state.mark = w->last_id;
	state.mark_ms = now_ms;
	if (writer_in_transaction(w, save_state, &state) == SW_OK)
		w->state = state;
}

void
forget_once_a_second(struct forget *f, struct writer *w)
{
	uint64_t age = atomic_load(&f->age_ms), now = clock_unix_ms();

	if (age == 0 || f->running)
		return;
	/* None yet, or the clock was put back. */
	if (w->state.mark_ms == 0 || w->state.mark_ms > now) {
		set_mark(w, now);
		return;
	}
	if (now - w->state.mark_ms < age)
		return;
	f->running = true;
	f->upto = w->state.mark;
	f->had = atomic_load(&f->count);
	f->hand = 0;
}

/* Is the channel's newest event a row still? */
static bool
has_row(struct step *s, struct writer *w, const struct record *r)
{
	bool has = false;
	int err;

	if (r->key == 0 || r->head == 0)
		return false;
	s->asked++;
	if ((err = writer_has_row(w, r->head, &has)) != SW_OK)
		writer_set_health(w, err);
	return err != SW_OK || has;
}

/*
 * The channel with the highest key in the store stays: the next start goes on
 * behind that, and rows that are left over must not be another's.
 */
static bool
is_due(const struct forget *f, struct step *s, struct writer *w,
    const struct record *r)
{
	return r != NULL && r->head <= f->upto && list_empty(&r->dirty) &&
	    (!r->stored || r->head <= w->state.saved) &&
	    (r->key == 0 || r->key != w->records.top_key) &&
	    !channel_is_shared(r->channel) && !has_row(s, w, r);
}

static int
remove_channels(struct writer *w, void *ctx)
{
	const struct step *s = ctx;
	int err = SW_OK;

	for (unsigned i = 0; i < s->count && err == SW_OK; i++)
		if (s->due[i]->key != 0)
			err = w->store->ops->remove_channel(
			    w->store, s->due[i]->key);
	return err == SW_OK ? w->store->ops->save_state(w->store, &s->state) :
			      err;
}

/*
 * The store first: a channel that somebody asked for in between stays in memory
 * as it is, and is made anew in the store with its next event.
 */
static int
forget_due(struct forget *f, struct writer *w, struct step *s)
{
	int err = writer_in_transaction(w, remove_channels, s);

	if (err != SW_OK)
		return err;
	w->state = s->state;
	for (unsigned i = 0; i < s->count; i++) {
		records_unbind(&w->records, s->due[i]);
		if (records_forget(&w->records, s->due[i]))
			atomic_fetch_add(&f->count, 1);
	}
	atomic_store(&w->channels, w->records.count);
	return SW_OK;
}

static void
end_walk(struct forget *f, struct writer *w)
{
	uint64_t n = atomic_load(&f->count) - f->had;

	f->running = false;
	set_mark(w, clock_unix_ms());
	if (n > 0)
		log_info("channels forgotten count=%" PRIu64
			 ": idle for longer than channel-age, nothing kept",
		    n);
}

int
forget_step(struct forget *f, struct writer *w)
{
	struct step s = { .state = w->state };
	int err = SW_OK;

	for (unsigned n = 0; n < LOOKED_AT && s.asked < ASKED_FOR &&
	     s.count < FORGOTTEN && f->hand < w->records.numbers;
	     n++) {
		struct record *r = w->records.by_number[f->hand++];

		if (!is_due(f, &s, w, r))
			continue;
		s.due[s.count++] = r;
		if (s.state.forgotten < r->head)
			s.state.forgotten = r->head;
	}
	if (s.count > 0)
		err = forget_due(f, w, &s);
	if (err == SW_OK && f->hand >= w->records.numbers)
		end_walk(f, w);
	/* The mark is old enough still: another one begins. */
	if (err != SW_OK)
		f->running = false;
	return err;
}
