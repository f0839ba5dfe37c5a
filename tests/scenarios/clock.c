/*
 * A clock that can be set: preloaded into the daemon by test_clock.py.
 *
 * By how much it differs from the machine's stands in a file that the test has
 * mapped as well, so that a change takes effect at once, in all threads. What
 * is measured from some moment on (CLOCK_MONOTONIC) goes on as it is.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static _Atomic int64_t *offset_s;

__attribute__((constructor)) static void
begin(void)
{
	const char *path = getenv("CLOCK_CONTROL");
	int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
	void *p;

	if (fd < 0)
		return;
	p = mmap(
	    NULL, sizeof(*offset_s), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p != MAP_FAILED)
		offset_s = p;
}

int
clock_gettime(clockid_t clock, struct timespec *out)
{
	static __typeof__(clock_gettime) *next;
	int result;

	if (next == NULL)
		*(void **)(void *)&next = dlsym(RTLD_NEXT, "clock_gettime");
	result = next(clock, out);
	if (result == 0 && offset_s != NULL &&
	    (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		out->tv_sec += (time_t)atomic_load(offset_s);
	return result;
}

int
gettimeofday(struct timeval *restrict out, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	out->tv_sec = now.tv_sec;
	out->tv_usec = now.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *out)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (out != NULL)
		*out = now.tv_sec;
	return now.tv_sec;
}
