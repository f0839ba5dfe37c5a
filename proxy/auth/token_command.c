#include "proxy/auth/token_command.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "conf/token_key.h"
#include "conf/values.h"
#include "proxy/base/command_line.h"
#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "proxy/base/json.h"
#include "proxy/base/pattern.h"

enum { PATTERNS_MAX = 64 };

struct list {
	const char *items[PATTERNS_MAX];
	size_t count;
};

struct wish {
	const char *key, *kid, *sub, *aud, *iss;
	enum signature_alg alg;
	uint64_t expires_ms;
	struct list subscribe, send;
};

static void
usage(FILE *out)
{
	fputs(
	    "Usage: spillway token --key FILE [options]\n"
	    "\n"
	    "Makes a token (JWT) and prints it.\n"
	    "\n"
	    "  --key FILE           the secret, or the private key in PEM\n"
	    "  --alg ALG            HS256 (the default), RS256, ES256, PS256\n"
	    "  --kid ID             the key's id\n"
	    "  --sub USER           whose token it is\n"
	    "  --subscribe PATTERN  channels to subscribe to; may be repeated\n"
	    "  --send PATTERN       channels to send to; may be repeated\n"
	    "  --expires DURATION   1h if it is not given; 0: never\n"
	    "  --aud TEXT, --iss TEXT\n"
	    "                       whom it is meant for, who issued it\n",
	    out);
}

static bool
fail(const char *what, struct str why)
{
	fprintf(stderr, "spillway token: %s: %.*s\n", what, STR_ARG(why));
	return false;
}

static bool
add_pattern(struct list *list, const char *name, const char *text)
{
	if (!pattern_valid(str_of(text)) || list->count == PATTERNS_MAX)
		return fail(name,
		    STR("write up to 64 patterns of A-Z a-z 0-9 . _ ~ : - and "
			"*"));
	list->items[list->count++] = text;
	return true;
}

static bool
read_duration(struct wish *w, const char *text)
{
	struct buf advice;
	bool fine;

	buf_init(&advice, 1024);
	fine = value_msec(&w->expires_ms, str_of(text), &advice) == SW_OK;
	if (!fine)
		fail("--expires", buf_str(&advice));
	buf_fini(&advice);
	return fine;
}

enum option_id { KEY = 1, ALG, KID, SUB, SUBSCRIBE, SEND, EXPIRES, AUD, ISS };

static bool
take_option(void *to, int id, const char *text)
{
	struct wish *w = to;

	switch ((enum option_id)id) {
	case KEY:
		w->key = text;
		return true;
	case ALG:
		return signature_alg_find(&w->alg, str_of(text)) == SW_OK ||
		    fail("--alg", STR("write HS256, RS256, ES256 or PS256"));
	case KID:
		w->kid = text;
		return true;
	case SUB:
		w->sub = text;
		return true;
	case SUBSCRIBE:
		return add_pattern(&w->subscribe, "--subscribe", text);
	case SEND:
		return add_pattern(&w->send, "--send", text);
	case EXPIRES:
		return read_duration(w, text);
	case AUD:
		w->aud = text;
		return true;
	case ISS:
		w->iss = text;
		return true;
	}
	return false;
}

/* False: there is nothing more to do; `*status` says how it went. */
static bool
read_wish(struct wish *w, int argc, char **argv, int *status)
{
	static const struct option longs[] = {
		{ "key", required_argument, NULL, KEY },
		{ "alg", required_argument, NULL, ALG },
		{ "kid", required_argument, NULL, KID },
		{ "sub", required_argument, NULL, SUB },
		{ "subscribe", required_argument, NULL, SUBSCRIBE },
		{ "send", required_argument, NULL, SEND },
		{ "expires", required_argument, NULL, EXPIRES },
		{ "aud", required_argument, NULL, AUD },
		{ "iss", required_argument, NULL, ISS },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	static const struct command_line line = { longs, usage, take_option };

	if (!command_line_read(&line, w, argc, argv, status))
		return false;
	if (w->key == NULL)
		usage(stderr);
	return w->key != NULL;
}

/*
 * `path` as token-key has it, which is absolute. Not resolved: a pipe such as
 * that of <(...) in a shell has no name to resolve to.
 */
static int
put_source(struct buf *out, const char *path)
{
	char cwd[PATH_MAX];

	buf_puts(out, "file:");
	if (*path != '/') {
		if (getcwd(cwd, sizeof(cwd)) == NULL)
			return SW_EIO;
		buf_printf(out, "%s/", cwd);
	}
	return buf_puts(out, path);
}

static bool
read_key(struct signature_key **out, const struct wish *w)
{
	struct buf advice, material, source;
	int err;

	buf_init(&advice, 8192);
	buf_init(&material, 1 << 16);
	buf_init(&source, PATH_MAX + 8);
	err = put_source(&source, w->key);
	if (err == SW_OK)
		err = token_key_material(
		    &material, w->alg, buf_str(&source), &advice);
	if (err == SW_OK)
		err = signature_key_new_private(
		    out, w->alg, buf_str(&material), &advice);
	if (err != SW_OK)
		fail("--key",
		    buf_len(&advice) > 0 ? buf_str(&advice) :
					   str_of(err_info(err)->sentence));
	buf_fini(&advice);
	buf_fini(&material);
	buf_fini(&source);
	return err == SW_OK;
}

static void
put_member(struct buf *out, const char *name, const char *text)
{
	if (text == NULL)
		return;
	buf_printf(out, ",\"%s\":", name);
	json_put_string(out, str_of(text));
}

static void
put_patterns(struct buf *out, const char *name, const struct list *list)
{
	buf_printf(out, "\"%s\":[", name);
	for (size_t i = 0; i < list->count; i++) {
		buf_puts(out, i == 0 ? "" : ",");
		json_put_string(out, str_of(list->items[i]));
	}
	buf_puts(out, "]");
}

static void
put_header(struct buf *out, const struct wish *w)
{
	buf_printf(
	    out, "{\"alg\":\"%s\",\"typ\":\"JWT\"", signature_alg_name(w->alg));
	put_member(out, "kid", w->kid);
	buf_puts(out, "}");
}

static void
put_claims(struct buf *out, const struct wish *w)
{
	uint64_t now = (uint64_t)time(NULL);

	buf_puts(out, "{\"iat\":");
	buf_put_u64(out, now);
	if (w->expires_ms > 0) {
		buf_puts(out, ",\"exp\":");
		buf_put_u64(out, now + (w->expires_ms + 999) / 1000);
	}
	put_member(out, "sub", w->sub);
	put_member(out, "aud", w->aud);
	put_member(out, "iss", w->iss);
	buf_puts(out, ",\"channels\":{");
	put_patterns(out, "subscribe", &w->subscribe);
	buf_puts(out, ",");
	put_patterns(out, "send", &w->send);
	buf_puts(out, "}}");
}

static int
put_token(
    struct buf *out, const struct wish *w, const struct signature_key *key)
{
	struct buf part, signature;
	int err;

	buf_init(&part, 1 << 16);
	buf_init(&signature, 1 << 16);
	put_header(&part, w);
	base64url_encode(out, buf_str(&part));
	buf_clear(&part);
	put_claims(&part, w);
	buf_puts(out, ".");
	base64url_encode(out, buf_str(&part));
	err = buf_error(&part);
	if (err == SW_OK)
		err = signature_make(&signature, key, buf_str(out));
	if (err == SW_OK) {
		buf_puts(out, ".");
		base64url_encode(out, buf_str(&signature));
		buf_puts(out, "\n");
		err = buf_error(out);
	}
	buf_fini(&part);
	buf_fini(&signature);
	return err;
}

int
token_command(int argc, char **argv)
{
	struct wish w = { .expires_ms = UINT64_C(3600) * 1000 };
	struct signature_key *key = NULL;
	struct buf out;
	int status, err;

	if (!read_wish(&w, argc, argv, &status))
		return status;
	if (!read_key(&key, &w))
		return COMMAND_FAILED;
	buf_init(&out, 1 << 18);
	err = put_token(&out, &w, key);
	if (err == SW_OK)
		fwrite(buf_head(&out), 1, buf_len(&out), stdout);
	else
		fail(w.key, str_of(err_info(err)->sentence));
	buf_fini(&out);
	signature_key_free(key);
	return err == SW_OK && fflush(stdout) == 0 ? COMMAND_FINE :
						     COMMAND_FAILED;
}
