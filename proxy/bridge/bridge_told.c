#include "proxy/bridge/bridge_told.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/err.h"

int
bridge_told_add(struct bridge_told *t, struct channel *c)
{
	if (t->count == t->room) {
		size_t room = t->room == 0 ? 4 : 2 * t->room;
		struct channel **more =
		    realloc(t->channels, room * sizeof(struct channel *));

		if (more == NULL)
			return SW_ENOMEM;
		t->channels = more;
		t->room = room;
	}
	t->channels[t->count++] = channel_ref(c);
	return SW_OK;
}

bool
bridge_told_remove(struct bridge_told *t, struct str channel)
{
	for (size_t i = 0; i < t->count; i++) {
		struct channel *c = t->channels[i];

		if (!str_equals(c->name, channel))
			continue;
		t->count--;
		memmove(&t->channels[i], &t->channels[i + 1],
		    (t->count - i) * sizeof(struct channel *));
		channel_unref(c);
		return true;
	}
	return false;
}

void
bridge_told_fini(struct bridge_told *t)
{
	while (t->count > 0)
		channel_unref(t->channels[--t->count]);
	free(t->channels);
	*t = (struct bridge_told){ 0 };
}
