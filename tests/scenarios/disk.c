/*
 * A disk that fails on demand: preloaded into the daemon by test_faults.py.
 *
 * What it does stands in a file that the test has mapped as well, so that a
 * change takes effect at once, in all threads. Only files below one directory
 * are concerned: sockets and the log go on as they are.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct control {
	_Atomic int fail;      /* errno of every write; 0: none */
	_Atomic int stall;     /* writes wait until it is 0 */
	_Atomic int waiting;   /* of them */
	_Atomic int syncs;     /* of files there, so far */
	_Atomic int fail_sync; /* errno of every sync; 0: none */
};

static struct control *control;
static const char *directory;

__attribute__((constructor)) static void
begin(void)
{
	const char *path = getenv("DISK_CONTROL");
	int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
	void *p;

	directory = getenv("DISK_DIRECTORY");
	if (fd < 0 || directory == NULL)
		return;
	p = mmap(
	    NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p != MAP_FAILED)
		control = p;
}

static int
concerns(int fd)
{
	char link[64], path[PATH_MAX];
	ssize_t n;

	if (control == NULL)
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	return n > 0 && (size_t)n >= strlen(directory) &&
	    memcmp(path, directory, strlen(directory)) == 0;
}

/* 0, or the errno with which to fail; first wait as long as we are told. */
static int
verdict(int fd)
{
	const struct timespec moment = { 0, 1000000 };

	if (!concerns(fd))
		return 0;
	if (atomic_load(&control->stall) != 0) {
		atomic_fetch_add(&control->waiting, 1);
		while (atomic_load(&control->stall) != 0)
			nanosleep(&moment, NULL);
		atomic_fetch_sub(&control->waiting, 1);
	}
	return atomic_load(&control->fail);
}

/* The library's own function of that name. */
#define NEXT(name)                     \
	static __typeof__(name) *next; \
	if (next == NULL)              \
	*(void **)(void *)&next = dlsym(RTLD_NEXT, #name)

ssize_t
pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	int err = verdict(fd);

	NEXT(pwrite64);
	if (err == 0)
		return next(fd, p, n, at);
	errno = err;
	return -1;
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	int err = verdict(fd);

	NEXT(pwrite);
	if (err == 0)
		return next(fd, p, n, at);
	errno = err;
	return -1;
}

int
ftruncate64(int fd, off64_t size)
{
	int err = verdict(fd);

	NEXT(ftruncate64);
	if (err == 0)
		return next(fd, size);
	errno = err;
	return -1;
}

static int
count_sync(int fd)
{
	int err = verdict(fd);

	if (control != NULL && concerns(fd))
		atomic_fetch_add(&control->syncs, 1);
	if (err == 0 && concerns(fd))
		err = atomic_load(&control->fail_sync);
	return err;
}

int
fdatasync(int fd)
{
	int err = count_sync(fd);

	NEXT(fdatasync);
	if (err == 0)
		return next(fd);
	errno = err;
	return -1;
}

int
fsync(int fd)
{
	int err = count_sync(fd);

	NEXT(fsync);
	if (err == 0)
		return next(fd);
	errno = err;
	return -1;
}
