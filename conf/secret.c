#include "conf/secret.h"

#include <errno.h>
#include <stdio.h>

#include "conf/named_file.h"
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

static void
advise_length(struct buf *advice, const char *what, size_t least)
{
	if (least > 0)
		buf_printf(advice, "write a %s of %zu to %d characters", what,
		    least, SECRET_MAX);
	else
		buf_printf(advice, "write a %s of at most %d characters", what,
		    SECRET_MAX);
}

/* `path` is the file that the secret is in, or NULL. */
static int
take(char **out, struct str secret, const char *path, const char *what,
    size_t least, struct buf *advice)
{
	const char *into = path == NULL ? "" : " into ";

	if (path == NULL)
		path = "";
	if (secret.len < least || secret.len > SECRET_MAX) {
		advise_length(advice, what, least);
		buf_printf(advice, "%s%s", into, path);
		return SW_EINVAL;
	}
	if (!is_printable(secret)) {
		buf_printf(advice,
		    "write a %s of ASCII characters without blanks%s%s", what,
		    into, path);
		return SW_EINVAL;
	}
	*out = strndup(secret.p, secret.len);
	return *out == NULL ? SW_ENOMEM : SW_OK;
}

static int
take_file(char **out, const char *path, const char *what, size_t least,
    struct buf *advice)
{
	char line[SECRET_MAX + 64] = "";
	struct str secret;
	FILE *file;

	if (*path != '/') {
		buf_puts(advice, "write file: and an absolute path");
		return SW_EINVAL;
	}
	file = named_file_open(path);
	if (file == NULL ||
	    (fgets(line, sizeof(line), file) == NULL && ferror(file) != 0)) {
		buf_printf(
		    advice, "%s cannot be read: %s", path, strerror(errno));
		if (file != NULL)
			fclose(file);
		return SW_EINVAL;
	}
	fclose(file);
	secret = (struct str){ line, strcspn(line, "\r\n") };
	/* To write a secret there would be the end of that key. */
	if (str_starts(secret, "-----BEGIN ")) {
		buf_printf(advice,
		    "%s has a key in PEM, which is no %s: name another file, "
		    "or, for a token-key, ES256, RS256 or PS256",
		    path, what);
		return SW_EINVAL;
	}
	return take(out, str_trim(secret), path, what, least, advice);
}

int
secret_resolve(char **out, struct str text, const char *what, size_t least,
    struct buf *advice)
{
	char path[4096];

	if (!str_starts(text, "file:"))
		return take(out, text, NULL, what, least, advice);
	if (text.len - 5 >= sizeof(path)) {
		buf_puts(advice, "write a shorter path");
		return SW_EINVAL;
	}
	memcpy(path, text.p + 5, text.len - 5);
	path[text.len - 5] = '\0';
	return take_file(out, path, what, least, advice);
}
