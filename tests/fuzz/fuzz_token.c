/*
 * A token, as anybody may send it; or, if it begins with a brace, the claims of
 * one that is signed. They are refused with a sentence, or become a grant
 * that is in force, whose user and patterns are what they have to be.
 */
#include "proxy/auth/token.h"
#include "proxy/base/pattern.h"
#include "tests/fuzz/fuzz.h"

static const uint64_t now_ms = UINT64_C(1700000000000);

/* One key, one issuer, one audience; made once. */
static const struct conf *
the_conf(void)
{
	static char kid[] = "k", issuer[] = "me", audience[] = "us";
	static char *issuers[] = { issuer }, *audiences[] = { audience };
	static struct token_key key = { .kid = kid };
	static struct conf conf = {
		.token_key = &key,
		.token_key_count = 1,
		.token_issuer = issuers,
		.token_issuer_count = 1,
		.token_audience = audiences,
		.token_audience_count = 1,
		.token_leeway_ms = 10000,
	};
	struct buf advice;

	if (key.key == NULL) {
		buf_init(&advice, 1024);
		must(signature_key_new(&key.key, SIGNATURE_HS256,
			 STR("0123456789abcdef0123456789abcdef"),
			 &advice) == SW_OK);
		buf_fini(&advice);
	}
	return &conf;
}

static void
check_patterns(const struct patterns *p)
{
	for (size_t i = 0; i < p->count; i++)
		must(pattern_valid(str_of(p->items[i])));
	must(p->count > 0 || !patterns_match(p, STR("a")));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool signed_already = size > 0 && data[0] == '{';
	struct str text = { (const char *)data, size };
	char *copy = fuzz_copy(text);
	struct grant *g = NULL;
	const char *why = NULL;
	int err;

	text.p = copy;
	err = signed_already ?
	    token_claims(&g, the_conf(), text, now_ms, &why) :
	    token_read(&g, the_conf(), text, now_ms, &why);
	must(err == SW_OK || err == SW_EAUTH);
	must((err == SW_OK) == (g != NULL));
	if (g != NULL) {
		must(g->expires_ms == 0 || g->expires_ms > now_ms);
		must(g->user == NULL || strlen(g->user) <= TOKEN_USER_MAX);
		check_patterns(&g->subscribe);
		check_patterns(&g->send);
	} else {
		/* It fits into the close of a WebSocket. */
		must(why != NULL && strlen(why) <= 123);
	}
	grant_free(g);
	free(copy);
	return 0;
}
