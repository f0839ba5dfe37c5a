/*
 * The simple way to ask: bodies that are whole, on top of those that stream.
 */
#include <stdlib.h>

#include "proxy/backend/upstream_private.h"
#include "proxy/base/err.h"

static ssize_t
whole_body(void *owner, void *p, size_t n)
{
	struct whole *w = ((struct upstream_request *)owner)->whole;

	if (n > w->body_len - w->sent)
		n = w->body_len - w->sent;
	if (n > 0)
		memcpy(p, w->body + w->sent, n);
	w->sent += n;
	return (ssize_t)n;
}

static void
whole_head(void *owner, const struct upstream_head *h)
{
	/* Its text stays in the request. */
	((struct upstream_request *)owner)->whole->head = *h;
}

static int
whole_data(void *owner, const void *p, size_t n)
{
	struct whole *w = ((struct upstream_request *)owner)->whole;
	int err = buf_put(&w->answer, p, n);

	w->large = err == SW_ELIMIT;
	return err == SW_OK ? SW_OK : SW_ECLOSED;
}

static void
whole_done(void *owner, enum upstream_end end, const char *detail)
{
	struct whole *w = ((struct upstream_request *)owner)->whole;
	struct upstream_answer a = {
		.end = w->large ? UPSTREAM_TOO_LARGE : end,
		.detail = w->large ? upstream_end_sentence(UPSTREAM_TOO_LARGE) :
				     detail,
		.head = w->head,
		.body = buf_str(&w->answer),
	};

	if (a.body.p == NULL)
		a.body = STR("");
	w->done(w->owner, &a);
}

static int
whole_new(struct whole **out, const struct upstream_call *call)
{
	struct whole *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return SW_ENOMEM;
	buf_init(&w->answer, call->answer_max);
	w->done = call->done;
	w->owner = call->owner;
	if (call->body.len > 0) {
		w->body = malloc(call->body.len);
		if (w->body == NULL) {
			free(w);
			return SW_ENOMEM;
		}
		memcpy(w->body, call->body.p, call->body.len);
		w->body_len = call->body.len;
	}
	*out = w;
	return SW_OK;
}

int
upstream_call(struct upstream_request **out, struct upstream *u,
    const struct upstream_call *call)
{
	struct upstream_flow flow = {
		.ask = call->ask,
		.has_length = call->body.p != NULL,
		.content_length = call->body.len,
		.body = call->body.p != NULL ? whole_body : NULL,
		.head = whole_head,
		.data = whole_data,
		.done = whole_done,
	};
	struct whole *w;
	int err = whole_new(&w, call);

	if (err != SW_OK)
		return err;
	err = upstream_start(out, u, &flow);
	if (err != SW_OK) {
		free(w->body);
		free(w);
		return err;
	}
	(*out)->whole = w;
	(*out)->flow.owner = *out;
	return SW_OK;
}
