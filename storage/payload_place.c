#include "storage/payload_place.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proxy/base/err.h"

enum { NUMBERS_MIN = 3, NUMBERS = 4 };

void
payload_place_print(char out[PAYLOAD_PLACE_MAX], const struct payload_place *p)
{
	snprintf(out, PAYLOAD_PLACE_MAX,
	    "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, p->number,
	    p->offset, p->size, p->sum);
}

int
payload_place_parse(struct payload_place *out, struct str text)
{
	uint64_t numbers[NUMBERS] = { 0 };
	unsigned n = 0;
	bool more = true;

	for (; more && n < NUMBERS; n++) {
		const char *blank =
		    text.len > 0 ? memchr(text.p, ' ', text.len) : NULL;
		struct str digits = text;

		more = blank != NULL;
		if (more)
			digits.len = (size_t)(blank - text.p);
		if (str_to_u64(&numbers[n], digits, UINT64_MAX) != SW_OK)
			return SW_ECORRUPT;
		if (more)
			text = (struct str){ blank + 1,
				text.len - digits.len - 1 };
	}
	if (more || n < NUMBERS_MIN)
		return SW_ECORRUPT;
	*out = (struct payload_place){
		.number = numbers[0],
		.offset = numbers[1],
		.size = numbers[2],
		.sum = numbers[3],
		.summed = n == NUMBERS,
	};
	return SW_OK;
}

static uint64_t
mix(uint64_t sum, uint64_t word)
{
	/* An odd number with as many ones as zeros, in no order. */
	sum = (sum ^ word) * 0x9e3779b97f4a7c15U;
	return sum ^ (sum >> 32);
}

/* Words that are added up side by side. */
typedef uint64_t lanes __attribute__((vector_size(16)));

enum { LANES = 2, ROWS = 2, BLOCK = sizeof(lanes) * ROWS };

/*
 * Fletcher's, of words of 64 bits: sums, and sums of the sums, which tell where
 * a word stood. Several of them go as fast as memory is read.
 */
uint64_t
payload_sum(struct str data)
{
	lanes a[ROWS] = { { 0 } }, b[ROWS] = { { 0 } }, words[ROWS];
	uint64_t sum = data.len;

	for (; data.len >= BLOCK; data.p += BLOCK, data.len -= BLOCK) {
		memcpy(words, data.p, BLOCK);
		for (unsigned i = 0; i < ROWS; i++) {
			a[i] += words[i];
			b[i] += a[i];
		}
	}
	memset(words, 0, BLOCK);
	if (data.len > 0)
		memcpy(words, data.p, data.len);
	for (unsigned i = 0; i < ROWS; i++)
		for (unsigned k = 0; k < LANES; k++)
			sum = mix(mix(mix(sum, a[i][k]), b[i][k]), words[i][k]);
	return sum;
}
