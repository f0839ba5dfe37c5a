#include "conf/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/named_file.h"
#include "proxy/base/err.h"

enum { CHUNK = 16 * 1024 }; /* read at a time */

static int
refuse(struct buf *why, const char *text)
{
	buf_puts(why, text);
	return SW_EINVAL;
}

/* All of the file, a new line and a NUL into `out`. */
static int
read_text(struct buf *out, FILE *file, struct buf *why)
{
	size_t n;
	int err;

	do {
		if ((err = buf_reserve(out, CHUNK)) != SW_OK)
			break;
		n = fread(buf_tail(out), 1, CHUNK, file);
		buf_commit(out, n);
	} while (n > 0);
	if (err == SW_ELIMIT)
		return refuse(why, "cannot be read: larger than 1 MiB");
	if (err != SW_OK)
		return err;
	if (ferror(file)) {
		buf_printf(why, "cannot be read: %s", strerror(errno));
		return SW_EINVAL;
	}
	if (buf_len(out) > 0 &&
	    memchr(buf_head(out), '\0', buf_len(out)) != NULL)
		return refuse(why, "is not a text file");
	return buf_put(out, "\n", 2);
}

int
source_read(
    struct source **out, const char *path, unsigned number, struct buf *why)
{
	struct source *s = calloc(1, sizeof(*s));
	FILE *file = NULL;
	struct buf text;
	int err = SW_ENOMEM;

	buf_init(&text, SOURCE_MAX);
	if (s == NULL || (s->path = strdup(path)) == NULL)
		goto done;
	s->number = number;
	/* Whoever starts it may take time to make the first one, for a pipe. */
	file = number == 0 ? fopen(path, "re") : named_file_open(path);
	if (file == NULL) {
		buf_printf(why, "cannot be read: %s", strerror(errno));
		err = SW_EINVAL;
		goto done;
	}
	if ((err = read_text(&text, file, why)) != SW_OK)
		goto done;
	s->text = (char *)buf_take(&text, &s->len);
	s->len--; /* without the NUL */
	*out = s;
	s = NULL;

done:
	if (file != NULL)
		fclose(file);
	buf_fini(&text);
	source_free(s);
	return err;
}

void
source_free(struct source *s)
{
	if (s == NULL)
		return;
	free(s->path);
	free(s->text);
	free(s);
}
