#ifndef SPILLWAY_STORAGE_SQLITE_PAYLOAD_UNSYNCED_H
#define SPILLWAY_STORAGE_SQLITE_PAYLOAD_UNSYNCED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Files that were left before they were synced: a descriptor of each waits here
 * for the next sync. Those that share it lock it themselves.
 */
enum { PAYLOAD_UNSYNCED_MAX = 16 };

struct payload_unsynced {
	struct {
		uint64_t number;
		int fd;
	} files[PAYLOAD_UNSYNCED_MAX];
	size_t count;
};

/* Takes the descriptor; false if there is no room. */
bool payload_unsynced_add(struct payload_unsynced *u, uint64_t number, int fd);
/* Are there so many that a sync should not be long in coming? */
bool payload_unsynced_many(const struct payload_unsynced *u);
/* Return the descriptor of a file that need not be synced; -1: none waits. */
int payload_unsynced_forget(struct payload_unsynced *u, uint64_t number);
/* Return all of them, and how many they are. */
size_t payload_unsynced_take(
    struct payload_unsynced *u, int fds[PAYLOAD_UNSYNCED_MAX]);

#endif
