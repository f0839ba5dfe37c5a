#include "storage/sqlite/payload_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/base/err.h"

enum { PATH_BYTES = 4096, REASON_BYTES = 256 };

int
payload_dir_init(struct payload_dir *d, const char *store, char *reason)
{
	size_t size = strlen(store) + sizeof("-payloads");

	*d = (struct payload_dir){ .reason = reason };
	d->path = malloc(size);
	if (d->path == NULL)
		return SW_ENOMEM;
	snprintf(d->path, size, "%s-payloads", store);
	return SW_OK;
}

void
payload_dir_fini(struct payload_dir *d)
{
	free(d->path);
	d->path = NULL;
}

static int
fail(const struct payload_dir *d, const char *what)
{
	snprintf(d->reason, REASON_BYTES, "%.160s: %s: %s", d->path, what,
	    strerror(errno));
	return SW_ESTORE;
}

static void
file_path(const struct payload_dir *d, uint64_t number, char *out)
{
	snprintf(out, PATH_BYTES, "%s/%016" PRIx64, d->path, number);
}

/* A new name must survive the loss of power, and the directory's as well. */
static int
sync_directory(const struct payload_dir *d)
{
	int fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = SW_OK;

	if (fd < 0)
		return fail(d, "cannot open");
	if (fsync(fd) != 0)
		err = fail(d, "cannot sync");
	close(fd);
	return err;
}

int
payload_dir_create(struct payload_dir *d, uint64_t number, int *out)
{
	char path[PATH_BYTES];
	int fd, err;

	if (mkdir(d->path, 0750) != 0 && errno != EEXIST)
		return fail(d, "cannot make the directory");
	file_path(d, number, path);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
	if (fd < 0)
		return fail(d, "cannot make a file");
	if ((err = sync_directory(d)) != SW_OK) {
		close(fd);
		return err;
	}
	*out = fd;
	return SW_OK;
}

int
payload_dir_open(const struct payload_dir *d, uint64_t number, int *out)
{
	char path[PATH_BYTES];

	file_path(d, number, path);
	*out = open(path, O_RDONLY | O_CLOEXEC);
	if (*out >= 0)
		return SW_OK;
	return errno == ENOENT ? SW_ENOENT : fail(d, "cannot open a file");
}

uint64_t
payload_dir_size(const struct payload_dir *d, uint64_t number)
{
	char path[PATH_BYTES];
	struct stat st;

	file_path(d, number, path);
	return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

void
payload_dir_rename(const struct payload_dir *d, uint64_t from, uint64_t to)
{
	char old[PATH_BYTES], new[PATH_BYTES];

	file_path(d, from, old);
	file_path(d, to, new);
	if (rename(old, new) != 0)
		unlink(old);
}

void
payload_dir_remove(const struct payload_dir *d, uint64_t number)
{
	char path[PATH_BYTES];

	file_path(d, number, path);
	/* What is left over is removed when the store is opened again. */
	unlink(path);
}

void
payload_dir_clean(const struct payload_dir *d,
    int (*wanted)(void *ctx, uint64_t number), void *ctx)
{
	DIR *dir = opendir(d->path);
	struct dirent *e;

	if (dir == NULL)
		return;
	while ((e = readdir(dir)) != NULL) {
		char *end;
		uint64_t number = strtoull(e->d_name, &end, 16);

		/* Of our making: sixteen digits. */
		if (end == e->d_name + 16 && *end == '\0' &&
		    !wanted(ctx, number))
			payload_dir_remove(d, number);
	}
	closedir(dir);
}

int
payload_dir_write(struct payload_dir *d, int fd, const void *data, size_t size,
    uint64_t offset)
{
	const char *p = data;

	while (size > 0) {
		ssize_t n = pwrite(fd, p, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(d, "cannot write");
		p += n;
		size -= (size_t)n;
		offset += (uint64_t)n;
	}
	return SW_OK;
}

int
payload_dir_read(int fd, void *out, size_t size, uint64_t offset)
{
	char *p = out;

	while (size > 0) {
		ssize_t n = pread(fd, p, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return SW_ESTORE;
		if (n == 0)
			return SW_ENOENT;
		p += n;
		size -= (size_t)n;
		offset += (uint64_t)n;
	}
	return SW_OK;
}
