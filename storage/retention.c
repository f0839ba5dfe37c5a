#include "storage/retention.h"

struct retention
retention_of(const struct policy *p, uint64_t now_ms, uint64_t head_number,
    uint64_t head_total, uint64_t floor)
{
	struct retention r = { .floor = floor, .any_total = true };

	if (head_number >= p->history_events)
		r.first_number = head_number - p->history_events + 1;
	if (p->history_bytes > 0 && head_total >= p->history_bytes) {
		r.any_total = false;
		r.above_total = head_total - p->history_bytes;
	}
	if (p->history_age_ms > 0 && now_ms > p->history_age_ms)
		r.since_ms = now_ms - p->history_age_ms;
	return r;
}
