#include "storage/sqlite/files_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/err.h"
#include "proxy/base/log.h"
#include "storage/store.h"

/* Take the lock of that name. */
static int
take(const char *path, int *fd, char *reason)
{
	char name[4096], owner[32];
	ssize_t n;

	if ((size_t)snprintf(name, sizeof(name), "%s.lock", path) >=
	    sizeof(name))
		return SW_EINVAL;
	*fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (*fd < 0) {
		snprintf(
		    reason, 256, "cannot open its .lock: %s", strerror(errno));
		return errno == EROFS ? SW_OK : SW_ESTORE;
	}
	if (flock(*fd, LOCK_EX | LOCK_NB) == 0) {
		n = snprintf(owner, sizeof(owner), "%ld\n", (long)getpid());
		/* Only a hint for people: the lock itself is what counts. */
		if (ftruncate(*fd, 0) == 0 &&
		    pwrite(*fd, owner, (size_t)n, 0) != n)
			log_debug("store: cannot write the lock's owner");
		return SW_OK;
	}
	n = pread(*fd, owner, sizeof(owner) - 1, 0);
	owner[n > 0 ? n : 0] = '\0';
	owner[strcspn(owner, "\n")] = '\0';
	snprintf(reason, 256,
	    "in use by process %s: stop that one, or give this one a store of "
	    "its own",
	    owner);
	return SW_ELOCKED;
}

/* Where a link of that name leads to, for free(); NULL if it is none. */
static char *
follow(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISLNK(st.st_mode) ?
	    realpath(path, NULL) :
	    NULL;
}

int
store_lock_take(struct store_lock *l, const char *path, char *reason)
{
	struct stat st;
	char *real;
	int err;

	*l = (struct store_lock){ -1, -1 };
	if ((err = take(path, &l->named, reason)) != SW_OK)
		return err;
	if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink > 1)
		log_warn("store: %s has other names (hard links): a gateway "
			 "that uses one of them is not kept out",
		    path);
	if ((real = follow(path)) == NULL)
		return SW_OK;
	err = take(real, &l->linked, reason);
	free(real);
	return err;
}

void
store_lock_drop(struct store_lock *l)
{
	if (l->linked >= 0)
		close(l->linked);
	if (l->named >= 0)
		close(l->named);
}

int
store_sqlite_move_aside(const char *path)
{
	static const char *const suffixes[] = { "", "-wal", "-shm", "-payloads",
		"-tail" };
	char from[4096], to[4096], stamp[32];
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		snprintf(from, sizeof(from), "%s%s", path, suffixes[i]);
		snprintf(to, sizeof(to), "%s.corrupt-%s%s", path, stamp,
		    suffixes[i]);
		if (rename(from, to) != 0 && (errno != ENOENT || i == 0)) {
			log_error("store: rename %s to %s: %s", from, to,
			    strerror(errno));
			return SW_ESTORE;
		}
	}
	log_warn("store: damaged, moved aside and begun anew path=%s "
		 "kept=%s.corrupt-%s",
	    path, path, stamp);
	return SW_OK;
}
