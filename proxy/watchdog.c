#include "proxy/watchdog.h"

#include <inttypes.h>
#include <stdlib.h>

#include "proxy/base/err.h"
#include "proxy/base/log.h"

int
watchdog_init(struct watchdog *d, size_t loops, uint64_t period_ms)
{
	*d = (struct watchdog){ .period_ms = period_ms };
	if (period_ms == 0)
		return SW_OK;
	d->pulses = calloc(loops, sizeof(*d->pulses));
	return d->pulses == NULL ? SW_ENOMEM : SW_OK;
}

void
watchdog_fini(struct watchdog *d)
{
	free(d->pulses);
	*d = (struct watchdog){ .pulses = NULL };
}

static void
beat(struct task *t)
{
	struct pulse *p = container_of(t, struct pulse, task);

	atomic_store(&p->due, false);
}

void
watchdog_add(struct watchdog *d, struct loop *l)
{
	struct pulse *p;

	if (d->pulses == NULL)
		return;
	p = &d->pulses[d->count++];
	p->task.run = beat;
	p->loop = l;
}

/* Give each loop that has none a task; false if one still had it. */
static bool
ask_all(struct watchdog *d)
{
	bool all = true;

	for (size_t i = 0; i < d->count; i++) {
		struct pulse *p = &d->pulses[i];

		if (atomic_exchange(&p->due, true))
			all = false;
		else
			loop_post(p->loop, &p->task);
	}
	return all;
}

bool
watchdog_turn(struct watchdog *d, uint64_t now_ms)
{
	if (d->period_ms == 0 || now_ms < d->next_ms)
		return false;
	d->next_ms = now_ms + d->period_ms;
	if (!ask_all(d)) {
		if (!d->late)
			log_error("watchdog: a worker has not come back to its "
				  "loop for %" PRIu64 " ms",
			    now_ms - d->well_ms);
		d->late = true;
		return false;
	}
	d->well_ms = now_ms;
	d->late = false;
	return true;
}

uint64_t
watchdog_wait_ms(const struct watchdog *d, uint64_t now_ms)
{
	if (d->period_ms == 0)
		return 0;
	return d->next_ms > now_ms ? d->next_ms - now_ms : 1;
}
