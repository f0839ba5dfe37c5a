/*
 * Memory that runs out on demand: preloaded into the daemon by test_oom.py.
 *
 * What it does stands in a file that the test has mapped as well, so that a
 * change takes effect at once, in all threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct control {
	_Atomic int armed; /* nothing fails before */
	_Atomic int calls; /* while armed */
	_Atomic int at;    /* the call that fails; 0: none */
	_Atomic int share; /* so many of a thousand fail */
	_Atomic int least; /* smaller ones do not */
	_Atomic int failed;
	_Atomic uint32_t seed;
};

static struct control *control;

/* The C library's own, which nothing comes in between of. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t alignment, size_t n);

__attribute__((constructor)) static void
begin(void)
{
	const char *path = getenv("OOM_CONTROL");
	int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
	void *p;

	if (fd < 0)
		return;
	p = mmap(
	    NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p != MAP_FAILED)
		control = p;
}

/* A linear congruential generator: the seed decides, not the clock. */
static int
of_a_thousand(void)
{
	uint32_t x = atomic_load(&control->seed), next;

	do {
		next = x * 1664525u + 1013904223u;
	} while (!atomic_compare_exchange_weak(&control->seed, &x, next));
	return (int)((next >> 8) % 1000);
}

static int
fails(size_t n)
{
	int call;

	if (control == NULL || atomic_load(&control->armed) == 0)
		return 0;
	call = atomic_fetch_add(&control->calls, 1) + 1;
	if (call != atomic_load(&control->at) &&
	    (n < (size_t)atomic_load(&control->least) ||
		of_a_thousand() >= atomic_load(&control->share)))
		return 0;
	atomic_fetch_add(&control->failed, 1);
	errno = ENOMEM;
	return 1;
}

void *
malloc(size_t n)
{
	return fails(n) ? NULL : __libc_malloc(n);
}

void *
calloc(size_t n, size_t size)
{
	return fails(n * size) ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *p, size_t n)
{
	return fails(n) ? NULL : __libc_realloc(p, n);
}

void *
memalign(size_t alignment, size_t n)
{
	return fails(n) ? NULL : __libc_memalign(alignment, n);
}

void *
aligned_alloc(size_t alignment, size_t n)
{
	return memalign(alignment, n);
}

int
posix_memalign(void **out, size_t alignment, size_t n)
{
	void *p = memalign(alignment, n);

	if (p == NULL)
		return ENOMEM;
	*out = p;
	return 0;
}
