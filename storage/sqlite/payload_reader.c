#include "storage/sqlite/payload_reader.h"

#include <stdio.h>
#include <unistd.h>

#include "proxy/base/err.h"

int
payload_reader_init(struct payload_reader *r, const char *store, char *reason)
{
	r->fd = -1;
	return payload_dir_init(&r->dir, store, reason);
}

void
payload_reader_fini(struct payload_reader *r)
{
	/* Also when it was never initialised: descriptor 0 is not ours. */
	if (r->dir.path == NULL)
		return;
	if (r->fd >= 0)
		close(r->fd);
	payload_dir_fini(&r->dir);
}

int
payload_read(
    struct payload_reader *r, const struct payload_place *at, void *out)
{
	int err = SW_OK;

	if (r->fd < 0 || r->number != at->number) {
		if (r->fd >= 0)
			close(r->fd);
		r->fd = -1;
		err = payload_dir_open(&r->dir, at->number, &r->fd);
		r->number = at->number;
	}
	if (err == SW_OK)
		err =
		    payload_dir_read(r->fd, out, (size_t)at->size, at->offset);
	if (err == SW_ENOENT) {
		snprintf(r->dir.reason, 256,
		    "a payload is missing in %.160s: were its files removed?",
		    r->dir.path);
		err = SW_ECORRUPT;
	}
	return err;
}
