#include "storage/sqlite/payload_place.h"

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

enum { LANES = 2, BLOCK = 2 * sizeof(lanes) };

/* One half of each block: its words, sums, and sums of the sums. */
struct column {
	lanes word, sum, sums;
};

static inline void
add(struct column *c, const char *p)
{
	memcpy(&c->word, p, sizeof(c->word));
	c->sum += c->word;
	c->sums += c->sum;
}

static uint64_t
mix_column(uint64_t sum, const struct column *c)
{
	for (unsigned i = 0; i < LANES; i++)
		sum = mix(mix(mix(sum, c->sum[i]), c->sums[i]), c->word[i]);
	return sum;
}

/*
 * Fletcher's, of words of 64 bits: sums, and sums of the sums, which tell where
 * a word stood. Several of them go as fast as memory is read, if they stay in
 * registers: they are no array.
 */
uint64_t
payload_sum(struct str data)
{
	struct column left = { .sum = { 0 } }, right = { .sum = { 0 } };
	char rest[BLOCK] = { 0 };
	uint64_t sum = data.len;

	for (; data.len >= BLOCK; data.p += BLOCK, data.len -= BLOCK) {
		add(&left, data.p);
		add(&right, data.p + sizeof(lanes));
	}
	if (data.len > 0)
		memcpy(rest, data.p, data.len);
	memcpy(&left.word, rest, sizeof(lanes));
	memcpy(&right.word, rest + sizeof(lanes), sizeof(lanes));
	return mix_column(mix_column(sum, &left), &right);
}
