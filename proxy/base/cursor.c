#include "proxy/base/cursor.h"

#include "proxy/base/digest.h"
#include "proxy/base/err.h"

int
epoch_parse(struct epoch *out, struct str text)
{
	if (text.len == 0 || text.len > EPOCH_MAX)
		return SW_EINVAL;
	for (size_t i = 0; i < text.len; i++)
		if ((text.p[i] < 'a' || text.p[i] > 'z') &&
		    (text.p[i] < '0' || text.p[i] > '9'))
			return SW_EINVAL;
	memcpy(out->text, text.p, text.len);
	out->text[text.len] = '\0';
	return SW_OK;
}

void
epoch_make(struct epoch *out)
{
	static const char alphabet[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	uint32_t word;

	/* One in 2^32 more often than another: no matter for a name. */
	for (size_t i = 0; i < EPOCH_LEN; i++) {
		digest_random(&word, sizeof(word));
		out->text[i] = alphabet[word % 36];
	}
	out->text[EPOCH_LEN] = '\0';
}

int
cursor_parse(struct cursor *out, struct str text)
{
	struct str epoch;
	int err;

	if (!str_cut(&text, '-', &epoch))
		return SW_EINVAL;
	if ((err = epoch_parse(&out->epoch, epoch)) != SW_OK)
		return err;
	/* One spelling for one place. */
	if (text.p == NULL || (text.len > 1 && text.p[0] == '0'))
		return SW_EINVAL;
	return str_to_u64(&out->seq, text, SEQ_MAX);
}

size_t
cursor_format(char out[CURSOR_MAX], const struct epoch *e, uint64_t seq)
{
	char digits[20];
	size_t d = sizeof(digits), n = strlen(e->text);

	memcpy(out, e->text, n);
	out[n++] = '-';
	do {
		digits[--d] = (char)('0' + seq % 10);
		seq /= 10;
	} while (seq > 0);
	memcpy(out + n, digits + d, sizeof(digits) - d);
	return n + sizeof(digits) - d;
}

int
cursor_put(struct buf *out, const struct epoch *e, uint64_t seq)
{
	char text[CURSOR_MAX];
	size_t n = cursor_format(text, e, seq);

	return buf_put(out, text, n);
}
