#include "proxy/base/event.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/base/err.h"

static _Atomic uint64_t memory;

static size_t
event_footprint(const struct event *e)
{
	return sizeof(*e) + e->data_at + e->size;
}

static void
account(uint64_t bytes)
{
	atomic_fetch_add_explicit(&memory, bytes, memory_order_relaxed);
}

static void
unaccount(uint64_t bytes)
{
	atomic_fetch_sub_explicit(&memory, bytes, memory_order_relaxed);
}

int
event_new(struct event **out, struct channel *c, enum event_kind kind,
    struct str type, struct str content_type, size_t size)
{
	struct event *e;

	if (type.len > EVENT_TYPE_MAX ||
	    content_type.len > EVENT_CONTENT_TYPE_MAX || size > UINT32_MAX)
		return SW_ELIMIT;
	e = malloc(sizeof(*e) + type.len + content_type.len + size);
	if (e == NULL)
		return SW_ENOMEM;
	*e = (struct event){
		.kind = (uint8_t)kind,
		.type_len = (uint8_t)type.len,
		.content_type_len = (uint8_t)content_type.len,
		.data_at = (uint16_t)(type.len + content_type.len),
		.size = (uint32_t)size,
		.channel = channel_ref(c),
	};
	atomic_init(&e->refs, 1);
	if (type.len > 0)
		memcpy(e->text, type.p, type.len);
	if (content_type.len > 0)
		memcpy(e->text + type.len, content_type.p, content_type.len);
	account(event_footprint(e));
	*out = e;
	return SW_OK;
}

void
event_settle(struct event *e, enum event_kind kind, struct str content_type)
{
	assert(content_type.len + e->type_len <= e->data_at);
	e->kind = (uint8_t)kind;
	e->content_type_len = (uint8_t)content_type.len;
	if (content_type.len > 0)
		memcpy(e->text + e->type_len, content_type.p, content_type.len);
}

/* Bytes that the form has for itself. */
static size_t
own_bytes(const struct event *e, const struct encoding *form)
{
	return form->hole == ENCODING_WHOLE ? form->len : form->len - e->size;
}

void
event_unref(struct event *e)
{
	uint64_t bytes;

	if (e == NULL ||
	    atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) != 1)
		return;
	bytes = event_footprint(e);
	for (size_t f = 0; f < FORM_COUNT; f++) {
		struct encoding *form =
		    atomic_load_explicit(&e->forms[f], memory_order_relaxed);

		if (form != NULL) {
			bytes += sizeof(*form) + own_bytes(e, form);
			free(form);
		}
	}
	unaccount(bytes);
	channel_unref(e->channel);
	free(e);
}

const struct encoding *
event_keep_form_around(
    struct event *e, enum form f, const void *bytes, size_t len, size_t hole)
{
	struct encoding *form = malloc(sizeof(*form) + len), *present = NULL;

	if (form == NULL)
		return NULL;
	form->hole = hole;
	form->len = hole == ENCODING_WHOLE ? len : len + e->size;
	if (len > 0)
		memcpy(form->bytes, bytes, len);
	if (!atomic_compare_exchange_strong_explicit(&e->forms[f], &present,
		form, memory_order_acq_rel, memory_order_acquire)) {
		free(form);
		return present;
	}
	account(sizeof(*form) + len);
	return form;
}

const struct encoding *
event_keep_form(struct event *e, enum form f, const void *bytes, size_t len)
{
	return event_keep_form_around(e, f, bytes, len, ENCODING_WHOLE);
}

int
event_form_pieces(const struct event *e, const struct encoding *form,
    size_t from, struct iovec out[ENCODING_PIECES])
{
	size_t own = own_bytes(e, form);
	size_t front = form->hole == ENCODING_WHOLE ? own : form->hole;
	const void *parts[ENCODING_PIECES] = { form->bytes, event_data(e).p,
		form->bytes + front };
	size_t sizes[ENCODING_PIECES] = { front, form->len - own, own - front };
	int n = 0;

	for (int i = 0; i < ENCODING_PIECES; i++) {
		size_t skip = from < sizes[i] ? from : sizes[i];

		from -= skip;
		if (skip < sizes[i])
			out[n++] = (struct iovec){
				(char *)(uintptr_t)parts[i] + skip,
				sizes[i] - skip,
			};
	}
	return n;
}

uint64_t
event_memory(void)
{
	return atomic_load_explicit(&memory, memory_order_relaxed);
}
