#include "proxy/base/thread.h"

#include <stdio.h>

#include "proxy/base/err.h"

enum { NAME_BYTES = 16 };

int
thread_start(pthread_t *out, const char *name, void *(*run)(void *), void *ctx)
{
	char shown[NAME_BYTES];

	if (pthread_create(out, NULL, run, ctx) != 0)
		return SW_EIO;
	snprintf(shown, sizeof(shown), "%s", name);
	pthread_setname_np(*out, shown);
	return SW_OK;
}
