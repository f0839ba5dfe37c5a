#ifndef SPILLWAY_PROXY_BASE_VECTOR_H
#define SPILLWAY_PROXY_BASE_VECTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/*
 * As many bytes as most processors compare at once; on others the compiler
 * makes words of them. A comparison has all bits of each byte that it holds
 * for.
 */
typedef uint8_t vector __attribute__((vector_size(16)));

static inline vector
vector_load(const void *bytes)
{
	vector v;

	memcpy(&v, bytes, sizeof(v));
	return v;
}

static inline bool
vector_is_zero(vector v)
{
	uint64_t words[sizeof(v) / sizeof(uint64_t)];

	memcpy(words, &v, sizeof(words));
	return (words[0] | words[1]) == 0;
}

#endif
