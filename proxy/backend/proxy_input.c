#include "proxy/backend/proxy_input.h"

#include <stdlib.h>

#include "proxy/base/err.h"
#include "proxy/worker.h"

ssize_t
input_take(struct conn *c, uint8_t *out, size_t n)
{
	if (c->in == NULL)
		return c->readable ? conn_read(c, out, n, false) : SW_EAGAIN;
	if (n > buf_len(c->in))
		n = buf_len(c->in);
	memcpy(out, buf_head(c->in), n);
	buf_drop(c->in, n);
	if (buf_len(c->in) == 0) {
		buf_fini(c->in);
		free(c->in);
		c->in = NULL;
	}
	return (ssize_t)n;
}

int
input_put_back(struct conn *c, const uint8_t *bytes, size_t n)
{
	struct buf *in;

	if (n == 0)
		return SW_OK;
	in = malloc(sizeof(*in));
	if (in == NULL)
		return SW_ENOMEM;
	/* A relay may have left more than what is kept else. */
	buf_init(
	    in, 4 * WORKER_INPUT + n + (c->in == NULL ? 0 : buf_len(c->in)));
	buf_put(in, bytes, n);
	if (c->in != NULL) {
		buf_put_str(in, buf_str(c->in));
		buf_fini(c->in);
		free(c->in);
	}
	c->in = in;
	return buf_error(in);
}
