#include "conf/named_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WRITER_MS = 5000 };

/* Without O_NONBLOCK a FIFO is not even opened before somebody writes. */
static bool
is_written(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct stat st;
	int n;

	if (fstat(fd, &st) != 0)
		return false;
	if (!S_ISFIFO(st.st_mode))
		return true;
	n = poll(&p, 1, WRITER_MS);
	if (n == 0)
		errno = ETIMEDOUT;
	return n > 0;
}

FILE *
named_file_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), why;
	FILE *file = NULL;

	if (fd < 0)
		return NULL;
	if (is_written(fd) && fcntl(fd, F_SETFL, 0) == 0)
		file = fdopen(fd, "r");
	if (file != NULL)
		return file;
	why = errno;
	close(fd);
	errno = why;
	return NULL;
}
