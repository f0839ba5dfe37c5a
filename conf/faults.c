#include "conf/faults.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/err.h"

struct fault {
	struct place at;
	size_t order; /* of those on the same line */
	char *text;
};

void
faults_init(struct faults *f)
{
	*f = (struct faults){ .error = SW_OK };
}

void
faults_fini(struct faults *f)
{
	while (f->count > 0)
		free(f->items[--f->count].text);
	free(f->items);
	f->items = NULL;
}

void
faults_add(struct faults *f, struct place at, const char *format, ...)
{
	struct fault *items =
	    realloc(f->items, (f->count + 1) * sizeof(*items));
	char *text = NULL;
	va_list args;
	int n;

	if (items != NULL)
		f->items = items;
	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (items == NULL || n < 0) {
		if (n >= 0)
			free(text);
		f->error = SW_ENOMEM;
		return;
	}
	items[f->count] = (struct fault){ at, f->count, text };
	f->count++;
}

static int
compare_faults(const void *left, const void *right)
{
	const struct fault *a = left, *b = right;

	if (a->at.file != b->at.file)
		return a->at.file < b->at.file ? -1 : 1;
	if (a->at.line != b->at.line)
		return a->at.line < b->at.line ? -1 : 1;
	return a->order < b->order ? -1 : 1;
}

/* A fault is one line, whatever a path in it is made of. */
static void
flatten(struct buf *out, size_t from)
{
	for (size_t i = from; i < buf_len(out); i++)
		if (buf_head(out)[i] < ' ')
			buf_head(out)[i] = '?';
}

int
faults_put(struct faults *f, struct buf *out)
{
	if (f->count > 1)
		qsort(f->items, f->count, sizeof(*f->items), compare_faults);
	for (size_t i = 0; i < f->count; i++) {
		const struct fault *it = &f->items[i];
		size_t from = buf_len(out);

		if (it->at.line == 0)
			buf_printf(out, "%s: %s", it->at.path, it->text);
		else
			buf_printf(out, "%s:%u: %s", it->at.path, it->at.line,
			    it->text);
		flatten(out, from);
		buf_puts(out, "\n");
	}
	return f->error != SW_OK ? f->error : buf_error(out);
}
