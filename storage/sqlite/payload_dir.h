#ifndef SPILLWAY_STORAGE_SQLITE_PAYLOAD_DIR_H
#define SPILLWAY_STORAGE_SQLITE_PAYLOAD_DIR_H

#include <stddef.h>
#include <stdint.h>

/*
 * A directory of numbered files that large payloads are appended to.
 *
 * It knows nothing of events: which bytes count is the index's to say. A file
 * goes away as a whole, or begins anew under another number. Functions
 * return SW_OK, or SW_ESTORE with the sentence in `reason`, of 256 bytes.
 */
struct payload_dir {
	char *path;
	char *reason;
};

/* Takes nothing: `store` is copied. The directory is made when needed. */
int payload_dir_init(struct payload_dir *d, const char *store, char *reason);
void payload_dir_fini(struct payload_dir *d);

/* A descriptor to append with; the file is made if it is not there. */
int payload_dir_create(struct payload_dir *d, uint64_t number, int *fd);
/* A descriptor to read with; SW_ENOENT if there is no such file. */
int payload_dir_open(const struct payload_dir *d, uint64_t number, int *fd);
/* Bytes in a file; 0 if there is none. */
uint64_t payload_dir_size(const struct payload_dir *d, uint64_t number);
/* For create; without it a new file is made then. */
void payload_dir_rename(
    const struct payload_dir *d, uint64_t from, uint64_t to);
void payload_dir_remove(const struct payload_dir *d, uint64_t number);
/* Remove all files for which `wanted` says no. */
void payload_dir_clean(const struct payload_dir *d,
    int (*wanted)(void *ctx, uint64_t number), void *ctx);

int payload_dir_write(struct payload_dir *d, int fd, const void *data,
    size_t size, uint64_t offset);
/* SW_ENOENT if the file ends before. */
int payload_dir_read(int fd, void *out, size_t size, uint64_t offset);

#endif
