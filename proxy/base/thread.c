#include "proxy/base/thread.h"

#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proxy/base/err.h"
#include "proxy/base/log.h"

enum {
	NAME_BYTES = 16,
	BRIEF_NS = 100000, /* the shortest slice that the system knows */
};

int
thread_start(pthread_t *out, const char *name, void *(*run)(void *), void *ctx)
{
	char shown[NAME_BYTES];
	int err = pthread_create(out, NULL, run, ctx);

	if (err != 0) {
		log_error("thread %s: cannot be started: %s (see TasksMax, "
			  "LimitNPROC and memory)",
		    name, strerror(err));
		return SW_EIO;
	}
	snprintf(shown, sizeof(shown), "%s", name);
	pthread_setname_np(*out, shown);
	return SW_OK;
}

/* sched_setattr(2); the C library does not have it yet. */
struct attributes {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime; /* ns; a slice, where the policy is the usual one */
	uint64_t deadline;
	uint64_t period;
};

void
thread_be_brief(void)
{
	struct attributes a = { 0 };

	if (syscall(SYS_sched_getattr, 0, &a, sizeof(a), 0) != 0 ||
	    a.policy != SCHED_OTHER)
		return;
	a.runtime = BRIEF_NS;
	syscall(SYS_sched_setattr, 0, &a, 0);
}
