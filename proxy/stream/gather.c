#include "proxy/stream/gather.h"

#include <stdlib.h>

#include "proxy/base/err.h"
#include "proxy/stream/hub.h"

/* Events of this size on average are better scattered than copied. */
enum { COPY_MAX = 4096 };

struct gather *
gather_new(void)
{
	struct gather *g = malloc(sizeof(*g));

	if (g == NULL)
		return NULL;
	g->channel = NULL;
	g->count = 0;
	buf_init(&g->flat, 2 * GATHER_BYTES);
	return g;
}

void
gather_free(struct gather *g)
{
	if (g == NULL)
		return;
	buf_fini(&g->flat);
	free(g);
}

void
gather_begin(struct gather *g, enum form form)
{
	g->channel = NULL;
	g->form = form;
	g->count = 0;
	g->payload = 0;
	g->bytes = 0;
	g->iov_count = 0;
}

bool
gather_add(struct gather *g, struct codec *c, struct event *e, int *err)
{
	const struct encoding *form;
	struct iovec pieces[ENCODING_PIECES];
	int n;

	if (g->count == GATHER_EVENTS)
		return false;
	form = codec_form(c, e, g->form);
	if (form == NULL) {
		*err = SW_ENOMEM;
		return false;
	}
	n = event_form_pieces(e, form, 0, pieces);
	if (g->count > 0 &&
	    (g->bytes + form->len > GATHER_BYTES ||
		g->iov_count + n > GATHER_PIECES))
		return false;
	for (int i = 0; i < n; i++)
		g->iov[g->iov_count++] = pieces[i];
	g->bytes += form->len;
	g->payload += e->size;
	g->events[g->count] = e;
	g->ends[g->count] = g->bytes;
	g->count++;
	return true;
}

void
gather_end(struct gather *g)
{
	if (g->count < 2 || g->bytes / g->count > COPY_MAX)
		return;
	buf_clear(&g->flat);
	if (buf_reserve(&g->flat, g->bytes) != SW_OK)
		return; /* scattered, then */
	for (int i = 0; i < g->iov_count; i++)
		buf_put(&g->flat, g->iov[i].iov_base, g->iov[i].iov_len);
	g->iov[0] = (struct iovec){ buf_head(&g->flat), g->bytes };
	g->iov_count = 1;
}

int
gather_window(struct gather *g, struct codec *c, const struct hub_channel *hc,
    enum form form, uint64_t from)
{
	int err = SW_OK;

	if (g->channel == hc && g->generation == hc->generation &&
	    g->from == from && g->form == form)
		return SW_OK;
	gather_begin(g, form);
	for (uint32_t i = window_find(&hc->window, from); i < hc->window.count;
	     i++)
		if (!gather_add(g, c, window_at(&hc->window, i), &err))
			break;
	if (err != SW_OK && g->count == 0)
		return err;
	gather_end(g);
	g->channel = hc;
	g->generation = hc->generation;
	g->from = from;
	return SW_OK;
}

uint32_t
gather_whole(const struct gather *g, size_t bytes)
{
	uint32_t low = 0, high = g->count;

	if (bytes == g->bytes)
		return g->count;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (g->ends[mid] <= bytes)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}
