#include "proxy/base/heap.h"

static void
sift_down(struct heap_entry *h, size_t count, size_t i)
{
	struct heap_entry moved = h[i];

	for (;;) {
		size_t child = 2 * i + 1;

		if (child + 1 < count && h[child + 1].key < h[child].key)
			child++;
		if (child >= count || moved.key <= h[child].key)
			break;
		h[i] = h[child];
		i = child;
	}
	h[i] = moved;
}

void
heap_build(struct heap_entry *h, size_t count)
{
	for (size_t i = count / 2; i > 0; i--)
		sift_down(h, count, i - 1);
}

void
heap_settle(struct heap_entry *h, size_t count)
{
	if (count > 1)
		sift_down(h, count, 0);
}
