#include "proxy/compare/crowd.h"

#include <stdlib.h>

#include "proxy/base/err.h"

/* They come together, but not all in one moment: queues of sockets are short.
 */
enum { COMING_MAX = 64 };

static void
let_come(struct crowd *c)
{
	while (!c->closing && c->coming < COMING_MAX && c->begun < c->count) {
		c->coming++;
		client_begin(&c->clients[c->begun++]);
	}
}

int
crowd_open(struct crowd *c)
{
	c->count = (size_t)c->options->subscribers;
	c->clients = calloc(c->count, sizeof(*c->clients));
	if (c->clients == NULL)
		return SW_ENOMEM;
	for (size_t i = 0; i < c->count; i++)
		client_init(&c->clients[i], c);
	let_come(c);
	return SW_OK;
}

void
crowd_came(struct crowd *c)
{
	c->coming--;
	c->there++;
	let_come(c);
}

void
crowd_close(struct crowd *c)
{
	c->closing = true;
	for (size_t i = 0; i < c->begun; i++)
		if (client_leave(&c->clients[i]))
			c->leaving++;
}

void
crowd_free(struct crowd *c)
{
	c->closing = true;
	if (c->clients == NULL)
		return;
	for (size_t i = 0; i < c->count; i++)
		client_fini(&c->clients[i]);
	free(c->clients);
	c->clients = NULL;
}
