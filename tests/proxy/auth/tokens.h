#ifndef SPILLWAY_TESTS_PROXY_AUTH_TOKENS_H
#define SPILLWAY_TESTS_PROXY_AUTH_TOKENS_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "proxy/base/digest.h"
#include "proxy/base/err.h"

/* Tokens and configurations for tests. */
#define SECRET "0123456789abcdef0123456789abcdef"
#define KEY "token-key = \"HS256:" SECRET "\"\n"

/* Loaded from a file of its own; without faults. */
static inline struct conf *
conf_of(const char *text)
{
	char path[] = "/tmp/spillway-token-XXXXXX";
	int fd = mkstemp(path);
	FILE *file = fdopen(fd, "w");
	struct conf *c = NULL;
	struct buf faults;

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
	buf_init(&faults, 1 << 16);
	conf_load(&c, path, &faults);
	remove(path);
	ck_assert_msg(c != NULL, "%.*s", STR_ARG(buf_str(&faults)));
	buf_fini(&faults);
	return c;
}

/* Signed whatever they are; it stays until the next call. */
static inline const char *
token_of(enum signature_alg alg, const char *key, const char *header,
    const char *claims)
{
	static char token[16384];
	struct buf out, signature, advice;
	struct signature_key *k = NULL;

	buf_init(&out, sizeof(token) - 1);
	buf_init(&signature, 4096);
	buf_init(&advice, 4096);
	ck_assert_int_eq(
	    signature_key_new_private(&k, alg, str_of(key), &advice), SW_OK);
	base64url_encode(&out, str_of(header));
	buf_puts(&out, ".");
	base64url_encode(&out, str_of(claims));
	ck_assert_int_eq(signature_make(&signature, k, buf_str(&out)), SW_OK);
	buf_puts(&out, ".");
	base64url_encode(&out, buf_str(&signature));
	ck_assert_int_eq(buf_error(&out), SW_OK);
	memcpy(token, buf_head(&out), buf_len(&out));
	token[buf_len(&out)] = '\0';
	signature_key_free(k);
	buf_fini(&out);
	buf_fini(&signature);
	buf_fini(&advice);
	return token;
}

static inline const char *
hs256(const char *claims)
{
	return token_of(SIGNATURE_HS256, SECRET, "{\"alg\":\"HS256\"}", claims);
}

#endif
