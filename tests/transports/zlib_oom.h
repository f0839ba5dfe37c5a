#ifndef SPILLWAY_TESTS_TRANSPORTS_ZLIB_OOM_H
#define SPILLWAY_TESTS_TRANSPORTS_ZLIB_OOM_H

#include <zlib.h>

#include "tests/oom.h"

/*
 * What our code lets zlib allocate counts as well: for programs that are linked
 * with $(fail_in_zlib) besides. The names are what zlib's macros call.
 */
int __real_deflateInit2_(z_streamp z, int level, int method, int window_bits,
    int memory_level, int strategy, const char *version, int size);
int __real_inflateInit2_(
    z_streamp z, int window_bits, const char *version, int size);
int __wrap_deflateInit2_(z_streamp z, int level, int method, int window_bits,
    int memory_level, int strategy, const char *version, int size);
int __wrap_inflateInit2_(
    z_streamp z, int window_bits, const char *version, int size);

static voidpf
zlib_oom_alloc(voidpf ctx, uInt count, uInt size)
{
	(void)ctx;
	return calloc(count, size);
}

static void
zlib_oom_free(voidpf ctx, voidpf p)
{
	(void)ctx;
	free(p);
}

int
__wrap_deflateInit2_(z_streamp z, int level, int method, int window_bits,
    int memory_level, int strategy, const char *version, int size)
{
	z->zalloc = zlib_oom_alloc;
	z->zfree = zlib_oom_free;
	return __real_deflateInit2_(z, level, method, window_bits, memory_level,
	    strategy, version, size);
}

int
__wrap_inflateInit2_(
    z_streamp z, int window_bits, const char *version, int size)
{
	z->zalloc = zlib_oom_alloc;
	z->zfree = zlib_oom_free;
	return __real_inflateInit2_(z, window_bits, version, size);
}

#endif
