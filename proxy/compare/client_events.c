/* What came of events and notices, whatever brought them. */
#include <stdio.h>

#include "proxy/base/clock.h"
#include "proxy/base/err.h"
#include "proxy/base/json.h"
#include "proxy/compare/client_private.h"
#include "proxy/compare/envelope.h"

void
client_arrived(struct client *c)
{
	if (c->is_there)
		return;
	c->is_there = true;
	crowd_came(c->crowd);
}

static uint64_t
now_ns(const struct client *c)
{
	/* The demo's publisher is on this machine, and goes by its calendar. */
	return clock_ns(
	    c->crowd->run == NULL ? CLOCK_REALTIME : CLOCK_MONOTONIC);
}

static void
move_to(struct client *c, struct str cursor)
{
	if (cursor.len == 0 || cursor.len >= sizeof(c->cursor))
		return;
	memcpy(c->cursor, cursor.p, cursor.len);
	c->cursor[cursor.len] = '\0';
}

static void
take_event(struct client *c, const struct envelope *e)
{
	struct tally *t = &c->crowd->tally;
	const char *run = c->crowd->run;
	uint64_t now = now_ns(c);
	enum seen_as as;
	struct stamp s;

	move_to(c, e->id);
	if (!stamp_read(&s, e->data) || s.n <= c->crowd->before ||
	    (run != NULL && (s.run.p == NULL || !str_is(s.run, run)))) {
		t->foreign++;
		return;
	}
	as = seen_take(&c->seen, s.n);
	if (as == SEEN_AGAIN) {
		t->duplicates++;
		return;
	}
	t->late += as == SEEN_LATE;
	t->received++;
	latencies_add(&t->latency, now > s.sent_ns ? now - s.sent_ns : 0);
}

/* One message of a stream, which took `size` bytes; false: it is none. */
bool
client_take_message(
    struct client *c, struct str name, struct str text, uint64_t size)
{
	struct envelope e;

	if (!json_valid(text) || !envelope_read(&e, text))
		return false;
	/* SSE has the names of notices in its own syntax. */
	if (e.type.p == NULL)
		e.type = name;
	if (envelope_is_notice(&e, NULL)) {
		client_count(c,
		    envelope_is_notice(&e, "heartbeat") ? BUCKET_HEARTBEAT :
							  BUCKET_FRAMING,
		    size);
		c->crowd->tally.gaps += envelope_is_notice(&e, "gap");
		if (envelope_is_notice(&e, "hello") && !c->is_there) {
			move_to(c, e.cursor);
			client_arrived(c);
		}
	} else {
		client_count(c, BUCKET_PAYLOAD, e.data.len);
		client_count(c, BUCKET_FRAMING, size - e.data.len);
		take_event(c, &e);
	}
	return true;
}

static uint64_t
take_events(struct client *c, struct str array)
{
	struct json_iter it;
	struct envelope e;
	struct str value;
	uint64_t payload = 0;

	if (!json_array(&it, array))
		return 0;
	while (json_element(&it, &value))
		if (envelope_read(&e, value)) {
			payload += e.data.len;
			take_event(c, &e);
		}
	return payload;
}

/* Returns false if it is none. Its size is counted here, `*more` is set. */
bool
client_take_answer(struct client *c, bool *more)
{
	struct str text = buf_str(&c->body), key, value;
	uint64_t payload = 0;
	struct json_iter it;
	struct envelope e;

	*more = false;
	if (!json_valid(text) || !envelope_read(&e, text) ||
	    !json_object(&it, text))
		return false;
	while (json_member(&it, &key, &value)) {
		if (json_is(key, "events"))
			payload += take_events(c, value);
		else if (json_is(key, "gap"))
			c->crowd->tally.gaps++;
		else if (json_is(key, "more"))
			*more = str_is(value, "true");
	}
	client_count(c, BUCKET_PAYLOAD, payload);
	client_count(c, BUCKET_FRAMING, text.len - payload);
	/* It is where the next one begins. */
	move_to(c, e.cursor);
	return e.cursor.p != NULL;
}
