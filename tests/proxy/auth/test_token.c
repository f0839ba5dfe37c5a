#include "proxy/auth/token.h"

#include "tests/keys.h"
#include "tests/oom.h"
#include "tests/proxy/auth/tokens.h"
#include "tests/suite.h"

/* All times are around this one. */
#define NOW_S 1700000000
static const uint64_t now_ms = UINT64_C(1000) * NOW_S;

#define TEXT2(x) #x
#define TEXT(x) TEXT2(x)
#define NOW TEXT(NOW_S)

static struct grant *
accepted(const struct conf *conf, const char *token)
{
	struct grant *g = NULL;
	const char *why = NULL;
	int err = token_read(&g, conf, str_of(token), now_ms, &why);

	ck_assert_msg(err == SW_OK, "%s", why == NULL ? "?" : why);
	return g;
}

static void
refused(const struct conf *conf, const char *token, const char *sentence)
{
	struct grant *g = NULL;
	const char *why = "nothing was said";

	ck_assert_int_eq(
	    token_read(&g, conf, str_of(token), now_ms, &why), SW_EAUTH);
	ck_assert_ptr_null(g);
	ck_assert_msg(strstr(why, sentence) != NULL, "%s", why);
	/* It has to fit into the close of a WebSocket. */
	ck_assert_uint_le(strlen(why), 123);
}

START_TEST(a_token_says_who_may_do_what_until_when)
{
	struct conf *conf = conf_of(KEY "token-leeway = 5s\n");
	struct grant *g = accepted(conf,
	    hs256("{\"sub\":\"ann \\u00e4\",\"exp\":1700000060,"
		  "\"channels\":{\"subscribe\":[\"room-*\",\"news\"],"
		  "\"send\":[\"room-7\"]},\"other\":[1,2]}"));

	ck_assert_str_eq(g->user, "ann \xc3\xa4");
	ck_assert_uint_eq(g->expires_ms, UINT64_C(1700000065000));
	ck_assert(patterns_match(&g->subscribe, STR("room-1")));
	ck_assert(patterns_match(&g->subscribe, STR("news")));
	ck_assert(!patterns_match(&g->subscribe, STR("news2")));
	ck_assert(patterns_match(&g->send, STR("room-7")));
	ck_assert(!patterns_match(&g->send, STR("room-1")));
	grant_free(g);
	conf_free(conf);
}
END_TEST

START_TEST(what_a_token_does_not_say_it_does_not_allow)
{
	struct conf *conf = conf_of(KEY);
	struct grant *g = accepted(conf, hs256("{}"));

	ck_assert_ptr_null(g->user);
	ck_assert_uint_eq(g->expires_ms, 0);
	ck_assert(!patterns_match(&g->subscribe, STR("a")));
	ck_assert(!patterns_match(&g->send, STR("a")));
	grant_free(g);
	conf_free(conf);
}
END_TEST

static const struct {
	uint64_t token, backend, earlier;
} ends[] = { { 0, 0, 0 }, { 7, 0, 7 }, { 0, 7, 7 }, { 7, 9, 7 }, { 9, 7, 7 } };

/* Zero is never. */
START_TEST(what_ends_first_ends_it)
{
	struct granted granted = { .expires_ms = ends[_i].backend };
	const struct grant g = { .expires_ms = ends[_i].token,
		.granted = &granted };

	ck_assert_uint_eq(grant_expires_ms(&g), ends[_i].earlier);
}
END_TEST

START_TEST(whom_the_backend_names_is_the_user)
{
	char ann[] = "ann", bob[] = "bob";
	struct granted granted = { .user = bob }, nobody = { .user = NULL };
	struct grant g = { .user = ann };

	ck_assert_ptr_null(grant_user(NULL));
	ck_assert_str_eq(grant_user(&g), "ann");
	g.granted = &nobody;
	ck_assert_str_eq(grant_user(&g), "ann");
	g.granted = &granted;
	ck_assert_str_eq(grant_user(&g), "bob");
}
END_TEST

START_TEST(a_user_has_up_to_255_bytes)
{
	struct conf *conf = conf_of(KEY);
	char claims[TOKEN_USER_MAX + 16];
	struct grant *g;

	snprintf(
	    claims, sizeof(claims), "{\"sub\":\"%0*d\"}", TOKEN_USER_MAX, 0);
	g = accepted(conf, hs256(claims));
	ck_assert_uint_eq(strlen(g->user), TOKEN_USER_MAX);
	grant_free(g);
	snprintf(claims, sizeof(claims), "{\"sub\":\"%0*d\"}",
	    TOKEN_USER_MAX + 1, 0);
	refused(conf, hs256(claims), "up to 255 bytes");
	conf_free(conf);
}
END_TEST

/* With token-leeway = 10s, token-issuer = "me", token-audience = { "us", "it" }
 */
static const struct {
	const char *claims;
	const char *why; /* NULL: it is accepted */
} claims[] = {
#define OURS "\"iss\":\"me\",\"aud\":\"us\""
	{ "{" OURS "}", NULL },
	{ "{\"iss\":\"me\",\"aud\":[\"them\",\"it\"]}", NULL },
	{ "{\"iss\":\"m\\u0065\",\"aud\":\"us\"}", NULL },
	/* Times. */
	{ "{" OURS ",\"exp\":" NOW "}", NULL },
	{ "{" OURS ",\"exp\":1699999991}", NULL },
	{ "{" OURS ",\"exp\":1699999990}", "expired" },
	{ "{" OURS ",\"exp\":1699999990.9}", "expired" },
	{ "{" OURS ",\"exp\":0}", "expired" },
	{ "{" OURS ",\"exp\":1e10}", "exp is no time" },
	{ "{" OURS ",\"exp\":1700000000.5E1}", "exp is no time" },
	{ "{" OURS ",\"exp\":-1}", "exp is no time" },
	{ "{" OURS ",\"exp\":\"1800000000\"}", "exp is no time" },
	{ "{" OURS ",\"exp\":null}", "exp is no time" },
	{ "{" OURS ",\"exp\":99999999999999999999999999}", NULL },
	{ "{" OURS ",\"nbf\":1700000010}", NULL },
	{ "{" OURS ",\"nbf\":1700000011}", "not valid yet" },
	{ "{" OURS ",\"nbf\":99999999999999999999999999}", "not valid yet" },
	{ "{" OURS ",\"nbf\":true}", "nbf is no time" },
	{ "{" OURS ",\"exp\":1800000000,\"nbf\":1600000000}", NULL },
	/* Parties. */
	{ "{\"aud\":\"us\"}", "iss" },
	{ "{\"iss\":\"Me\",\"aud\":\"us\"}", "iss" },
	{ "{\"iss\":[\"me\"],\"aud\":\"us\"}", "iss" },
	{ "{\"iss\":\"me\"}", "aud" },
	{ "{\"iss\":\"me\",\"aud\":\"them\"}", "aud" },
	{ "{\"iss\":\"me\",\"aud\":[]}", "aud" },
	{ "{\"iss\":\"me\",\"aud\":[\"us\",1]}", "aud" },
	{ "{\"iss\":\"me\",\"aud\":{\"us\":1}}", "aud" },
	/* Users. */
	{ "{" OURS ",\"sub\":1}", "sub" },
	{ "{" OURS ",\"sub\":\"a\\u0000b\"}", "sub" },
	{ "{" OURS ",\"sub\":\"\"}", NULL },
	/* Channels. */
	{ "{" OURS ",\"channels\":{}}", NULL },
	{ "{" OURS ",\"channels\":[]}", "channels" },
	{ "{" OURS ",\"channels\":{\"subscribe\":\"a\"}}", "channels" },
	{ "{" OURS ",\"channels\":{\"subscribe\":[1]}}", "channels" },
	{ "{" OURS ",\"channels\":{\"subscribe\":[\"a b\"]}}", "channels" },
	{ "{" OURS ",\"channels\":{\"send\":[\"\"]}}", "channels" },
	{ "{" OURS ",\"channels\":{\"send\":[\"a\\u0000\"]}}", "channels" },
	{ "{" OURS ",\"channels\":{\"send\":[],\"send\":[\"*\"]}}",
	    "channels" },
	/* What can be read in two ways. */
	{ "{" OURS ",\"sub\":\"a\",\"sub\":\"b\"}", "claims" },
	{ "{" OURS ",\"s\\u0075b\":\"a\",\"sub\":\"b\"}", "claims" },
	{ "[]", "claims" },
	{ "", "claims" },
	{ "{" OURS, "claims" },
	{ "{" OURS "} x", "claims" },
};

START_TEST(the_claims_decide)
{
	struct conf *conf = conf_of(KEY "token-leeway = 10s\n"
					"token-issuer = me\n"
					"token-audience = { us, it }\n");

	if (claims[_i].why == NULL)
		grant_free(accepted(conf, hs256(claims[_i].claims)));
	else
		refused(conf, hs256(claims[_i].claims), claims[_i].why);
	conf_free(conf);
}
END_TEST

/* RFC 7519 4.1.3: who is not meant has to reject it. */
START_TEST(without_an_audience_a_token_for_somebody_is_not_for_us)
{
	struct conf *conf = conf_of(KEY);

	refused(conf, hs256("{\"aud\":\"us\"}"), "aud");
	grant_free(accepted(conf, hs256("{\"iss\":\"anybody\"}")));
	conf_free(conf);
}
END_TEST

static const struct {
	const char *header;
	const char *why;
} headers[] = {
	{ "{\"alg\":\"HS256\",\"typ\":\"JWT\"}", NULL },
	{ "{\"alg\":\"HS256\",\"kid\":\"any\"}", NULL },
	{ "{\"alg\":\"none\"}", "No key" },
	{ "{\"alg\":\"hs256\"}", "No key" },
	{ "{\"alg\":\"HS512\"}", "No key" },
	{ "{\"alg\":\"RS256\"}", "No key" },
	{ "{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", "extension" },
	{ "{\"alg\":\"HS256\",\"kid\":7}", "header" },
	{ "{\"alg\":\"HS256\",\"alg\":\"HS256\"}", "header" },
	{ "{\"alg\":[\"HS256\"]}", "header" },
	{ "{\"typ\":\"JWT\"}", "header" },
	{ "{}", "header" },
	{ "HS256", "header" },
	{ "", "header" },
};

START_TEST(the_header_may_only_agree_with_the_key)
{
	struct conf *conf = conf_of(KEY);
	const char *token =
	    token_of(SIGNATURE_HS256, SECRET, headers[_i].header, "{}");

	if (headers[_i].why == NULL)
		grant_free(accepted(conf, token));
	else
		refused(conf, token, headers[_i].why);
	conf_free(conf);
}
END_TEST

static const struct {
	const char *token;
	const char *why;
} shapes[] = {
	{ "", "no token" },
	{ "..", "header" },
	{ "a.b", "no token" },
	{ "a.b.c.d", "no token" },
	{ "a.b.c.d.e", "no token" },
	{ "eyJhbGciOiJub25lIn0.e30.", "No key" },
	{ "eyJhbGciOiJIUzI1NiJ9.e30.", "signature" },
	{ "eyJhbGciOiJIUzI1NiJ9.e30.AAAA", "signature" },
	{ "eyJhbGciOiJIUzI1NiJ9.e30.AAA=", "base64url" },
	{ "eyJhbGciOiJIUzI1NiJ9 .e30.AAAA", "base64url" },
	{ "eyJhbGciOiJIUzI1NiJ9.e30.A", "base64url" },
};

START_TEST(what_is_no_token_is_refused)
{
	struct conf *conf = conf_of(KEY);

	refused(conf, shapes[_i].token, shapes[_i].why);
	conf_free(conf);
}
END_TEST

START_TEST(a_token_that_is_too_long_is_not_read)
{
	struct conf *conf = conf_of(KEY);
	char *token = malloc(TOKEN_MAX + 2);

	memset(token, 'A', TOKEN_MAX + 1);
	token[TOKEN_MAX + 1] = '\0';
	token[100] = token[200] = '.';
	refused(conf, token, "no token");
	free(token);
	conf_free(conf);
}
END_TEST

/* Whatever is changed in it, it is no longer what was signed. */
START_TEST(no_character_of_a_token_can_be_changed)
{
	struct conf *conf = conf_of(KEY);
	char token[1024];
	size_t len;

	strcpy(token, hs256("{\"sub\":\"ann\",\"exp\":1800000000}"));
	len = strlen(token);
	for (size_t i = 0; i < len; i++) {
		char was = token[i];

		token[i] = was == 'A' ? 'B' : 'A';
		refused(conf, token, "");
		token[i] = was;
	}
	grant_free(accepted(conf, token));
	conf_free(conf);
}
END_TEST

/* A configuration whose keys are in files. */
static struct conf *
conf_with(const char *format, const char *pem)
{
	char path[] = "/tmp/spillway-key-XXXXXX", text[512];
	int fd = mkstemp(path);
	FILE *file = fdopen(fd, "w");
	struct conf *c;

	ck_assert_ptr_nonnull(file);
	fputs(pem, file);
	ck_assert_int_eq(fclose(file), 0);
	snprintf(text, sizeof(text), format, path, path);
	c = conf_of(text);
	remove(path);
	return c;
}

/*
 * Somebody knows the public key, as everybody may, and signs with it as if it
 * were a secret: the key stays what it was configured for.
 */
START_TEST(a_public_key_is_never_a_secret)
{
	struct conf *conf =
	    conf_with("token-key = \"RS256:file:%s\"\n", rsa_public);

	refused(conf,
	    token_of(SIGNATURE_HS256, rsa_public, "{\"alg\":\"HS256\"}", "{}"),
	    "No key");
	refused(conf,
	    token_of(SIGNATURE_HS256, rsa_public, "{\"alg\":\"RS256\"}", "{}"),
	    "signature");
	/* Nor is it a key for another algorithm of the same kind. */
	refused(conf,
	    token_of(SIGNATURE_PS256, rsa_private, "{\"alg\":\"PS256\"}", "{}"),
	    "No key");
	refused(conf,
	    token_of(SIGNATURE_PS256, rsa_private, "{\"alg\":\"RS256\"}", "{}"),
	    "signature");
	grant_free(accepted(conf,
	    token_of(
		SIGNATURE_RS256, rsa_private, "{\"alg\":\"RS256\"}", "{}")));
	conf_free(conf);
}
END_TEST

START_TEST(each_algorithm_has_its_keys)
{
	struct conf *conf =
	    conf_with("token-key = { \"RS256:file:%s\", \"PS256:file:%s\" }\n",
		rsa_public);

	grant_free(accepted(conf,
	    token_of(
		SIGNATURE_PS256, rsa_private, "{\"alg\":\"PS256\"}", "{}")));
	grant_free(accepted(conf,
	    token_of(
		SIGNATURE_RS256, rsa_private, "{\"alg\":\"RS256\"}", "{}")));
	conf_free(conf);
	conf =
	    conf_with("token-key = \"ES256:kid=curve:file:%s\"\n", ec_public);
	grant_free(accepted(conf,
	    token_of(SIGNATURE_ES256, ec_private,
		"{\"alg\":\"ES256\",\"kid\":\"curve\"}", "{}")));
	conf_free(conf);
}
END_TEST

#define OTHER "another-secret-of-32-characters!"

START_TEST(any_key_that_fits_will_do_and_ids_narrow_the_choice)
{
	struct conf *conf =
	    conf_of("token-key = { \"HS256:kid=old:" SECRET "\", \"HS256:"
		    "kid=new:" OTHER "\" }\n");
	const char *const old = "{\"alg\":\"HS256\",\"kid\":\"old\"}";

	grant_free(
	    accepted(conf, token_of(SIGNATURE_HS256, SECRET, old, "{}")));
	grant_free(accepted(conf, hs256("{}")));
	grant_free(accepted(conf,
	    token_of(SIGNATURE_HS256, OTHER, "{\"alg\":\"HS256\"}", "{}")));
	refused(conf, token_of(SIGNATURE_HS256, OTHER, old, "{}"), "signature");
	refused(conf,
	    token_of(SIGNATURE_HS256, SECRET,
		"{\"alg\":\"HS256\",\"kid\":\"older\"}", "{}"),
	    "No key");
	conf_free(conf);
}
END_TEST

struct telling {
	const struct conf *conf;
	struct str token;
};

static int
tell(void *arg)
{
	const struct telling *t = arg;
	struct grant *g = NULL;
	const char *why;
	int err = token_read(&g, t->conf, t->token, now_ms, &why);

	grant_free(g);
	return err;
}

START_TEST(memory_may_run_out_anywhere)
{
	struct telling t = { .conf = conf_of(KEY) };

	t.token = str_of(hs256("{\"sub\":\"ann\",\"channels\":{\"subscribe\":"
			       "[\"a\",\"b*\"],\"send\":[\"c\"]}}"));
	oom_tell(tell, &t);
	conf_free((struct conf *)t.conf);
}
END_TEST

SUITE("token", TEST(a_token_says_who_may_do_what_until_when),
    TEST(what_a_token_does_not_say_it_does_not_allow),
    TEST(a_user_has_up_to_255_bytes),
    LOOP(what_ends_first_ends_it, COUNT(ends)),
    TEST(whom_the_backend_names_is_the_user),
    LOOP(the_claims_decide, COUNT(claims)),
    TEST(without_an_audience_a_token_for_somebody_is_not_for_us),
    LOOP(the_header_may_only_agree_with_the_key, COUNT(headers)),
    LOOP(what_is_no_token_is_refused, COUNT(shapes)),
    TEST(a_token_that_is_too_long_is_not_read),
    TEST(no_character_of_a_token_can_be_changed),
    TEST(a_public_key_is_never_a_secret), TEST(each_algorithm_has_its_keys),
    TEST(any_key_that_fits_will_do_and_ids_narrow_the_choice),
    TEST(memory_may_run_out_anywhere))
