#include "proxy/base/signature.h"

#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "tests/keys.h"
#include "tests/suite.h"

static const char secret[] = "0123456789abcdef0123456789abcdef";

static struct signature_key *
key_of(enum signature_alg alg, const char *material, bool signs)
{
	struct signature_key *k = NULL;
	struct buf advice;
	int err;

	buf_init(&advice, 1024);
	err = signs ?
	    signature_key_new_private(&k, alg, str_of(material), &advice) :
	    signature_key_new(&k, alg, str_of(material), &advice);
	ck_assert_msg(err == SW_OK, "%.*s", STR_ARG(buf_str(&advice)));
	ck_assert_uint_eq(buf_len(&advice), 0);
	buf_fini(&advice);
	return k;
}

/* Base64url to bytes; they stay until the next call. */
static struct str
bytes_of(const char *text)
{
	static struct buf bytes;

	buf_fini(&bytes);
	buf_init(&bytes, 4096);
	ck_assert_int_eq(base64url_decode(&bytes, str_of(text)), SW_OK);
	return buf_str(&bytes);
}

START_TEST(the_hmac_of_rfc_7515_a_1_is_valid)
{
	static const char text[] =
	    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
	    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
	    "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
	struct signature_key *k;
	struct buf advice;

	buf_init(&advice, 1024);
	ck_assert_int_eq(
	    signature_key_new(&k, SIGNATURE_HS256,
		bytes_of("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH"
			 "75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"),
		&advice),
	    SW_OK);
	ck_assert(signature_verify(k, str_of(text),
	    bytes_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")));
	signature_key_free(k);
	buf_fini(&advice);
}
END_TEST

START_TEST(the_signature_of_rfc_7515_a_3_is_valid)
{
	static const char text[] =
	    "eyJhbGciOiJFUzI1NiJ9."
	    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
	    "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
	struct signature_key *k = key_of(SIGNATURE_ES256, ec_public, false);

	ck_assert(signature_verify(k, str_of(text),
	    bytes_of("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djx"
		     "La8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")));
	signature_key_free(k);
}
END_TEST

START_TEST(what_others_have_signed_with_rsa_is_valid)
{
	struct signature_key *rs = key_of(SIGNATURE_RS256, rsa_public, false);
	struct signature_key *ps = key_of(SIGNATURE_PS256, rsa_public, false);

	ck_assert(signature_verify(rs, STR("a.b"), bytes_of(rs256_of_text)));
	ck_assert(signature_verify(ps, STR("a.b"), bytes_of(ps256_of_text)));
	/* The two are not each other's. */
	ck_assert(!signature_verify(rs, STR("a.b"), bytes_of(ps256_of_text)));
	ck_assert(!signature_verify(ps, STR("a.b"), bytes_of(rs256_of_text)));
	/* RFC 7518 3.5: the salt is as long as the hash. */
	ck_assert(
	    !signature_verify(ps, STR("a.b"), bytes_of(ps256_with_long_salt)));
	signature_key_free(rs);
	signature_key_free(ps);
}
END_TEST

static const struct {
	enum signature_alg alg;
	const char *check, *sign;
	size_t size;
} algs[] = {
	{ SIGNATURE_HS256, secret, secret, 32 },
	{ SIGNATURE_RS256, rsa_public, rsa_private, 256 },
	{ SIGNATURE_ES256, ec_public, ec_private, 64 },
	{ SIGNATURE_PS256, rsa_public, rsa_private, 256 },
};

static void
flip(uint8_t *byte, size_t bit)
{
	*byte = (uint8_t)(*byte ^ (1U << bit));
}

START_TEST(what_is_signed_is_valid_and_nothing_else_is)
{
	struct signature_key *check =
	    key_of(algs[_i].alg, algs[_i].check, false);
	struct signature_key *sign = key_of(algs[_i].alg, algs[_i].sign, true);
	struct str text = STR("header.payload");
	struct buf signature;
	struct str bytes;

	buf_init(&signature, 4096);
	ck_assert_int_eq(signature_make(&signature, sign, text), SW_OK);
	bytes = buf_str(&signature);
	ck_assert_uint_eq(bytes.len, algs[_i].size);
	ck_assert(signature_verify(check, text, bytes));
	ck_assert(!signature_verify(check, STR("header.payloae"), bytes));
	ck_assert(!signature_verify(check, STR(""), bytes));
	/* Any bit counts, and so does the length. */
	for (size_t i = 0; i < bytes.len; i++) {
		flip(&buf_head(&signature)[i], i % 8);
		ck_assert(!signature_verify(check, text, bytes));
		flip(&buf_head(&signature)[i], i % 8);
	}
	for (size_t n = 0; n < bytes.len; n++)
		ck_assert(
		    !signature_verify(check, text, (struct str){ bytes.p, n }));
	ck_assert_int_eq(buf_put(&signature, "", 1), SW_OK);
	ck_assert(!signature_verify(check, text, buf_str(&signature)));
	buf_fini(&signature);
	signature_key_free(check);
	signature_key_free(sign);
}
END_TEST

/* Both numbers zero: what a careless library takes for any text. */
START_TEST(a_signature_of_zeros_is_not_valid)
{
	struct signature_key *k = key_of(SIGNATURE_ES256, ec_public, false);
	static const char zeros[64];

	ck_assert(!signature_verify(
	    k, STR("a.b"), (struct str){ zeros, sizeof(zeros) }));
	signature_key_free(k);
}
END_TEST

static const struct {
	enum signature_alg alg;
	const char *material;
	bool signs;
	const char *advice;
} bad_keys[] = {
	{ SIGNATURE_HS256, "0123456789abcdef0123456789abcde", false,
	    "write a secret of 32 characters" },
	{ SIGNATURE_HS256, "", true, "write a secret of 32 characters" },
	{ SIGNATURE_RS256, "", false, "give a public key in PEM" },
	{ SIGNATURE_RS256, secret, false, "give a public key in PEM" },
	{ SIGNATURE_RS256, rsa_small, false, "RS256 and PS256 take a key of" },
	{ SIGNATURE_RS256, ec_public, false, "RS256 and PS256 take an RSA" },
	{ SIGNATURE_PS256, ec_public, false, "RS256 and PS256 take an RSA" },
	{ SIGNATURE_ES256, rsa_public, false, "ES256 takes a key on" },
	{ SIGNATURE_ES256, p384_public, false, "ES256 takes a key on" },
	{ SIGNATURE_ES256, ec_private, false, "give the public key alone" },
	{ SIGNATURE_ES256, ec_public, true, "give a private key in PEM" },
};

START_TEST(a_key_that_does_not_fit_is_refused_with_advice)
{
	struct signature_key *k = NULL;
	struct str material = str_of(bad_keys[_i].material);
	struct buf advice;

	buf_init(&advice, 1024);
	ck_assert_int_eq(bad_keys[_i].signs ?
		signature_key_new_private(
		    &k, bad_keys[_i].alg, material, &advice) :
		signature_key_new(&k, bad_keys[_i].alg, material, &advice),
	    SW_EINVAL);
	ck_assert_ptr_null(k);
	ck_assert_msg(str_starts(buf_str(&advice), bad_keys[_i].advice), "%.*s",
	    STR_ARG(buf_str(&advice)));
	buf_fini(&advice);
}
END_TEST

START_TEST(a_key_that_only_checks_does_not_sign)
{
	struct signature_key *k = key_of(SIGNATURE_ES256, ec_public, false);
	struct buf out;

	buf_init(&out, 4096);
	ck_assert_int_eq(signature_make(&out, k, STR("a")), SW_EIO);
	ck_assert_uint_eq(buf_len(&out), 0);
	buf_fini(&out);
	signature_key_free(k);
}
END_TEST

START_TEST(algorithms_have_the_names_of_rfc_7518_and_none_is_none)
{
	static const char *const unknown[] = { "none", "None", "", "hs256",
		"HS384", "RS512", "ES256K", "EdDSA" };
	enum signature_alg alg;

	for (int i = 0; i < SIGNATURE_ALGS; i++) {
		ck_assert_int_eq(
		    signature_alg_find(&alg,
			str_of(signature_alg_name((enum signature_alg)i))),
		    SW_OK);
		ck_assert_int_eq(alg, i);
	}
	for (size_t i = 0; i < COUNT(unknown); i++)
		ck_assert_int_eq(
		    signature_alg_find(&alg, str_of(unknown[i])), SW_ENOENT);
}
END_TEST

SUITE("signature", TEST(the_hmac_of_rfc_7515_a_1_is_valid),
    TEST(the_signature_of_rfc_7515_a_3_is_valid),
    TEST(what_others_have_signed_with_rsa_is_valid),
    LOOP(what_is_signed_is_valid_and_nothing_else_is, COUNT(algs)),
    TEST(a_signature_of_zeros_is_not_valid),
    LOOP(a_key_that_does_not_fit_is_refused_with_advice, COUNT(bad_keys)),
    TEST(a_key_that_only_checks_does_not_sign),
    TEST(algorithms_have_the_names_of_rfc_7518_and_none_is_none))
