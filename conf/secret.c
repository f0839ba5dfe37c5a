#include "conf/secret.h"

#include <errno.h>
#include <stdio.h>

#include "proxy/base/err.h"

/* Of what travels in a header's value, all but blanks. */
static bool
is_printable(struct str text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.p[i] <= ' ' || text.p[i] > '~')
			return false;
	return true;
}

/* `path` is the file that the token is in, or NULL. */
static int
take(char **out, struct str token, const char *path, struct buf *advice)
{
	const char *into = path == NULL ? "" : " into ";

	if (path == NULL)
		path = "";
	if (token.len < SECRET_MIN || token.len > SECRET_MAX) {
		buf_printf(advice, "write a token of %d to %d characters%s%s",
		    SECRET_MIN, SECRET_MAX, into, path);
		return SW_EINVAL;
	}
	if (!is_printable(token)) {
		buf_printf(advice,
		    "write a token of ASCII characters without blanks%s%s",
		    into, path);
		return SW_EINVAL;
	}
	*out = strndup(token.p, token.len);
	return *out == NULL ? SW_ENOMEM : SW_OK;
}

static int
take_file(char **out, const char *path, struct buf *advice)
{
	char line[SECRET_MAX + 64] = "";
	struct str token;
	FILE *file;

	if (*path != '/') {
		buf_puts(advice, "write file: and an absolute path");
		return SW_EINVAL;
	}
	file = fopen(path, "re");
	if (file == NULL ||
	    (fgets(line, sizeof(line), file) == NULL && ferror(file) != 0)) {
		buf_printf(
		    advice, "%s cannot be read: %s", path, strerror(errno));
		if (file != NULL)
			fclose(file);
		return SW_EINVAL;
	}
	fclose(file);
	token = (struct str){ line, strcspn(line, "\r\n") };
	return take(out, str_trim(token), path, advice);
}

int
secret_resolve(char **out, struct str text, struct buf *advice)
{
	char path[4096];

	if (!str_starts(text, "file:"))
		return take(out, text, NULL, advice);
	if (text.len - 5 >= sizeof(path)) {
		buf_puts(advice, "write a shorter path");
		return SW_EINVAL;
	}
	memcpy(path, text.p + 5, text.len - 5);
	path[text.len - 5] = '\0';
	return take_file(out, path, advice);
}
