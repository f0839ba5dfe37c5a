#include "storage/keep_past.h"

#include <stdlib.h>

#include "proxy/base/err.h"
#include "storage/writer.h"

/* What is to be written at once. */
struct step {
	struct buf text;
	struct store_state state;
};

void
keep_past_init(struct keep_past *k)
{
	*k = (struct keep_past){ .rules = NULL };
	buf_init(&k->stored, PAST_TEXT_MAX);
}

void
keep_past_fini(struct keep_past *k)
{
	buf_fini(&k->stored);
	past_fini(&k->before);
	free(k->rules);
}

static uint64_t
find_end(void *ctx, struct str channel)
{
	const struct keep_past *k = ctx;

	return past_find(&k->before, channel).upto;
}

/*
 * Behind its newest row there may have been events that memory kept. One that
 * came meanwhile says itself what it follows on; but the head that was saved
 * may be that of an event which memory had.
 */
static int
end_later(struct writer *w, struct record *r, struct past_span span)
{
	bool has = false;
	int err = SW_OK;

	if (r->head >= span.upto)
		return SW_OK;
	if (r->head > span.from)
		err = writer_has_row(w, r->head, &has);
	if (err != SW_OK || has)
		return err;
	r->head = span.upto;
	atomic_store(&r->channel->head, span.upto);
	records_touch(&w->records, r);
	return SW_OK;
}

int
keep_past_load(struct keep_past *k, struct writer *w, struct channels *channels)
{
	int err = w->store->ops->load_past(w->store, &k->stored);

	k->changed = !past_is_plain(buf_str(&k->stored));
	if (err == SW_OK)
		err = past_read(&k->before, buf_str(&k->stored), w->last_id);
	if (err != SW_OK || k->before.count == 0)
		return err;
	for (size_t i = 0; i < w->records.numbers && err == SW_OK; i++) {
		struct record *r = w->records.by_number[i];

		if (r != NULL)
			err = end_later(
			    w, r, past_find(&k->before, r->channel->name));
	}
	if (err != SW_OK)
		return err;
	channels_set_past(channels, find_end, k);
	return SW_OK;
}

static int
save(struct writer *w, void *ctx)
{
	const struct step *s = ctx;
	int err = w->store->ops->save_past(w->store, buf_str(&s->text));

	return err == SW_OK ? w->store->ops->save_state(w->store, &s->state) :
			      err;
}

static int
keep(struct keep_past *k, struct writer *w)
{
	struct step s = { .state = w->state };
	uint64_t dropped;
	int err;

	buf_init(&s.text, PAST_TEXT_MAX);
	err = past_turn(&s.text, buf_str(&k->stored), str_of(k->rules),
	    w->last_id, &dropped);
	/* Who comes anew may have been any of those. */
	if (dropped > s.state.forgotten)
		s.state.forgotten = dropped;
	if (err == SW_OK)
		err = writer_in_transaction(w, save, &s);
	if (err != SW_OK) {
		buf_fini(&s.text);
		return err;
	}
	w->state = s.state;
	buf_fini(&k->stored);
	k->stored = s.text;
	return SW_OK;
}

static bool
is_stored(const struct keep_past *k)
{
	return str_is(past_rules(buf_str(&k->stored)), k->rules);
}

void
keep_past_once_a_second(struct keep_past *k, struct writer *w)
{
	if (k->rules == NULL)
		return;
	if (!is_stored(k) && keep(k, w) != SW_OK)
		return;
	free(k->rules);
	k->rules = NULL;
}

void
keep_past_change(struct keep_past *k, struct writer *w, char *rules)
{
	free(k->rules);
	k->rules = rules;
	if (w->last_id > 0 && !is_stored(k))
		k->changed = true;
	keep_past_once_a_second(k, w);
}
