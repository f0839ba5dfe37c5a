#ifndef SPILLWAY_STORAGE_SQLITE_CHECKPOINT_SQLITE_H
#define SPILLWAY_STORAGE_SQLITE_CHECKPOINT_SQLITE_H

#include "storage/sqlite/payloads_sqlite.h"
#include "storage/sqlite/sqlite_db.h"

/*
 * Moves committed pages from the write-ahead log into the database, in a thread
 * of its own: inside a commit that work, and its syncs, would be the longest
 * pause of the whole gateway.
 *
 * The log can start over only at a commit before which all of it was moved. A
 * writer that never pauses never leaves that moment, so once the log is long
 * and the thread has left little to do, the writer moves the rest itself.
 */
struct checkpointer;

/* `payloads` is borrowed for its lifetime, and synced before each checkpoint.
 */
int checkpointer_open(struct checkpointer **out, const char *path,
    enum db_mode mode, struct payloads *payloads);
void checkpointer_close(struct checkpointer *c);

/* Writer: a commit left so many pages in the log. */
void checkpointer_notice(struct checkpointer *c, int pages);
/* Writer: there is something to be made durable. */
void checkpointer_hurry(struct checkpointer *c);
/* Writer, between transactions: finish what must not wait any longer. */
void checkpointer_assist(struct checkpointer *c, struct db *writer);

#endif
