#include "conf/token_key.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "conf/named_file.h"
#include "conf/secret.h"
#include "proxy/base/err.h"

enum { PEM_MAX = 64 << 10 };

static int
refuse(struct buf *advice, const char *text)
{
	buf_puts(advice, text);
	return SW_EINVAL;
}

static int
read_pem(struct buf *out, const char *path, struct buf *advice)
{
	FILE *file = named_file_open(path);
	size_t n = 1;
	int err = SW_OK;

	if (file == NULL) {
		buf_printf(
		    advice, "%s cannot be read: %s", path, strerror(errno));
		return SW_EINVAL;
	}
	while (n > 0 && (err = buf_reserve(out, 4096)) == SW_OK) {
		n = fread(buf_tail(out), 1, 4096, file);
		buf_commit(out, n);
	}
	if (err == SW_OK && ferror(file) != 0) {
		buf_printf(advice, "%s cannot be read", path);
		err = SW_EINVAL;
	}
	fclose(file);
	if (err == SW_ELIMIT)
		err = refuse(advice, "name a smaller file: this is no key");
	return err;
}

static int
read_secret(struct buf *out, struct str source, struct buf *advice)
{
	char *secret;
	int err = secret_resolve(&secret, source, "secret", 0, advice);

	if (err != SW_OK)
		return err;
	err = buf_puts(out, secret);
	explicit_bzero(secret, strlen(secret));
	free(secret);
	return err;
}

int
token_key_material(struct buf *out, enum signature_alg alg, struct str source,
    struct buf *advice)
{
	char path[4096];

	if (alg == SIGNATURE_HS256)
		return read_secret(out, source, advice);
	if (!str_starts(source, "file:/") || source.len - 5 >= sizeof(path))
		return refuse(
		    advice, "write file: and the absolute path of a PEM file");
	memcpy(path, source.p + 5, source.len - 5);
	path[source.len - 5] = '\0';
	return read_pem(out, path, advice);
}

static int
read_kid(struct token_key *k, struct str *source, struct buf *advice)
{
	struct str kid;

	if (!str_starts(*source, "kid="))
		return SW_OK;
	source->p += 4;
	source->len -= 4;
	str_cut(source, ':', &kid);
	if (kid.len == 0 || kid.len > TOKEN_KID_MAX || source->p == NULL)
		return refuse(advice,
		    "write an id of 1 to 128 characters behind kid=, a colon "
		    "and the key");
	k->kid = strndup(kid.p, kid.len);
	return k->kid == NULL ? SW_ENOMEM : SW_OK;
}

int
token_key_read(struct token_key *out, struct str text, struct buf *advice)
{
	struct token_key k = { .key = NULL };
	struct buf material;
	enum signature_alg alg;
	struct str name;
	int err;

	str_cut(&text, ':', &name);
	if (signature_alg_find(&alg, name) != SW_OK || text.p == NULL)
		return refuse(advice,
		    "write HS256, RS256, ES256 or PS256, a colon and the key, "
		    "such as HS256:file:/etc/spillway/token-key");
	buf_init(&material, PEM_MAX);
	if ((err = read_kid(&k, &text, advice)) == SW_OK &&
	    (err = token_key_material(&material, alg, text, advice)) == SW_OK)
		err =
		    signature_key_new(&k.key, alg, buf_str(&material), advice);
	if (buf_len(&material) > 0)
		explicit_bzero(buf_head(&material), buf_len(&material));
	buf_fini(&material);
	if (err == SW_OK)
		*out = k;
	else
		token_key_fini(&k);
	return err;
}

void
token_key_fini(struct token_key *k)
{
	signature_key_free(k->key);
	free(k->kid);
	*k = (struct token_key){ .key = NULL };
}
