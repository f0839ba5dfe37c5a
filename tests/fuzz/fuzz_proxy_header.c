/*
 * The header of a load balancer, version 1 or 2.
 *
 * What is complete stays so, whatever stands behind it, and was not complete a
 * byte before; what is refused stays refused, and what was not yet refused is
 * no longer than a header may be.
 */
#include "tests/fuzz/fuzz.h"
#include "transports/proxy_header.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str all = { (const char *)data, size };
	char *copy = fuzz_copy(all);
	struct proxy_header h, again;
	enum proxy_header_result result =
	    proxy_header_parse(&h, (struct str){ copy, size });

	free(copy);
	switch (result) {
	case PROXY_HEADER_OK:
		must(h.size > 0 && h.size <= size);
		must(h.size <= PROXY_HEADER_MAX);
		must(!h.told || h.peer.family == AF_INET ||
		    h.peer.family == AF_INET6 || h.peer.family == AF_UNIX);
		copy = fuzz_copy((struct str){ all.p, h.size });
		must(proxy_header_parse(&again, (struct str){ copy, h.size }) ==
		    PROXY_HEADER_OK);
		must(memcmp(&h.peer, &again.peer, sizeof(h.peer)) == 0);
		must(h.size == again.size && h.told == again.told);
		must(
		    proxy_header_parse(&again,
			(struct str){ copy, h.size - 1 }) == PROXY_HEADER_MORE);
		free(copy);
		break;
	case PROXY_HEADER_MORE:
		must(size < PROXY_HEADER_MAX);
		break;
	case PROXY_HEADER_WRONG:
		copy = malloc(size + 1);
		must(copy != NULL);
		memcpy(copy, data, size);
		copy[size] = '\n';
		must(proxy_header_parse(&again,
			 (struct str){ copy, size + 1 }) == PROXY_HEADER_WRONG);
		free(copy);
		break;
	}
	return 0;
}
