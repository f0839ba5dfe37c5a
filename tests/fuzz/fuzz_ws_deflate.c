/*
 * Compressed messages of strangers: the first byte chooses a limit, the rest is
 * inflated.
 *
 * What comes out does not depend on what was read before, nor on room that is
 * not needed; a byte less room is too little; and compressed again, in either
 * window, it comes back.
 */
#include "tests/fuzz/fuzz.h"
#include "transports/ws_deflate.h"

static struct ws_deflate *used;

static int
inflate_into(
    struct ws_deflate *d, struct buf *out, struct str bytes, size_t max)
{
	buf_init(out, max);
	return ws_inflate(d, out, bytes);
}

static void
check_room(struct str bytes, struct str message)
{
	struct buf out;

	must(inflate_into(used, &out, bytes, message.len) == SW_OK);
	must(fuzz_same(buf_str(&out), message));
	buf_fini(&out);
	if (message.len == 0)
		return;
	must(inflate_into(used, &out, bytes, message.len - 1) == SW_ELIMIT);
	must(buf_len(&out) <= message.len - 1);
	buf_fini(&out);
}

static void
check_again(struct str message, bool small)
{
	struct buf packed, back;

	buf_init(&packed, SIZE_MAX / 2);
	must(ws_compress(used, &packed, message, small) == SW_OK);
	must(inflate_into(used, &back, buf_str(&packed), message.len) == SW_OK);
	must(fuzz_same(buf_str(&back), message));
	buf_fini(&packed);
	buf_fini(&back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t limits[] = { 0, 1, 100, 4095, 4096, 4097, 65536,
		1 << 20 };
	struct ws_deflate *fresh;
	struct str bytes;
	struct buf first, second;
	size_t max;
	int err;

	if (size < 1)
		return 0;
	if (used == NULL)
		must(ws_deflate_new(&used, 1 + data[0] / 8 % 9) == SW_OK);
	must(ws_deflate_new(&fresh, 1) == SW_OK);
	max = limits[data[0] & 7];
	bytes = (struct str){ (const char *)data + 1, size - 1 };
	err = inflate_into(used, &first, bytes, max);
	must(err == SW_OK || err == SW_EPROTO || err == SW_ELIMIT);
	must(buf_len(&first) <= max);
	must(inflate_into(fresh, &second, bytes, max) == err);
	must(fuzz_same(buf_str(&first), buf_str(&second)));
	if (err == SW_OK) {
		check_room(bytes, buf_str(&first));
		check_again(buf_str(&first), false);
		check_again(buf_str(&first), true);
	}
	ws_deflate_free(fresh);
	buf_fini(&first);
	buf_fini(&second);
	return 0;
}
