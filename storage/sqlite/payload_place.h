#ifndef SPILLWAY_STORAGE_SQLITE_PAYLOAD_PLACE_H
#define SPILLWAY_STORAGE_SQLITE_PAYLOAD_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/str.h"

/*
 * Where a large payload is, as its row has it: "FILE OFFSET SIZE SUM". Rows of
 * the first schema have no sum.
 */
struct payload_place {
	uint64_t number; /* of the file */
	uint64_t offset;
	uint64_t size;
	uint64_t sum; /* payload_sum of its bytes */
	bool summed;
};

/* A line across all files: what is before it, and what is not. */
struct payload_mark {
	uint64_t number, offset;
};

enum { PAYLOAD_PLACE_MAX = 84 };

/* With a terminating NUL. */
void payload_place_print(
    char out[PAYLOAD_PLACE_MAX], const struct payload_place *p);
/* SW_ECORRUPT if it is none. */
int payload_place_parse(struct payload_place *out, struct str text);

/*
 * Tells bytes that were written from those that were there before. It is a
 * matter of chance, not of malice: nobody but this program writes the files.
 */
uint64_t payload_sum(struct str data);

#endif
