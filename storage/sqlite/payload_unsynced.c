#include "storage/sqlite/payload_unsynced.h"

bool
payload_unsynced_add(struct payload_unsynced *u, uint64_t number, int fd)
{
	if (u->count == PAYLOAD_UNSYNCED_MAX)
		return false;
	u->files[u->count].number = number;
	u->files[u->count].fd = fd;
	u->count++;
	return true;
}

bool
payload_unsynced_many(const struct payload_unsynced *u)
{
	return u->count >= PAYLOAD_UNSYNCED_MAX / 2;
}

int
payload_unsynced_forget(struct payload_unsynced *u, uint64_t number)
{
	for (size_t i = 0; i < u->count; i++) {
		int fd = u->files[i].fd;

		if (u->files[i].number != number)
			continue;
		u->files[i] = u->files[--u->count];
		return fd;
	}
	return -1;
}

size_t
payload_unsynced_take(struct payload_unsynced *u, int fds[PAYLOAD_UNSYNCED_MAX])
{
	size_t n = u->count;

	for (size_t i = 0; i < n; i++)
		fds[i] = u->files[i].fd;
	u->count = 0;
	return n;
}
