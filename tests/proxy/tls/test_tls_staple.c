#include "proxy/tls/tls_staple.h"

#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <time.h>

#include "tests/proxy/tls/tls_peer.h"

enum { HOUR = 3600 };

/* The authority, which speaks of certificates by their serial numbers. */
static X509 *authority;
static EVP_PKEY *key;

static X509 *
certificate_of(long serial)
{
	X509 *x = X509_new();

	ASN1_INTEGER_set(X509_get_serialNumber(x), serial);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), HOUR);
	X509_set_pubkey(x, key);
	ck_assert_int_gt(X509_sign(x, key, EVP_sha256()), 0);
	return x;
}

static void
set_up(void)
{
	scratch_make();
	key = EVP_EC_gen("P-256");
	authority = certificate_of(1);
}

static void
clean_up(void)
{
	X509_free(authority);
	EVP_PKEY_free(key);
	scratch_remove();
}

/* What is said of one certificate; `until` is seconds from now, 0: not told. */
struct said {
	long serial;
	int status;
	int until;
};

static void
add(OCSP_BASICRESP *basic, const struct said *s)
{
	X509 *about = certificate_of(s->serial);
	OCSP_CERTID *id = OCSP_cert_to_id(NULL, about, authority);
	ASN1_TIME *now = X509_gmtime_adj(NULL, -HOUR);
	ASN1_TIME *until =
	    s->until == 0 ? NULL : X509_gmtime_adj(NULL, s->until);

	ck_assert_ptr_nonnull(OCSP_basic_add1_status(basic, id, s->status,
	    OCSP_REVOKED_STATUS_UNSPECIFIED, now, now, until));
	ASN1_TIME_free(now);
	ASN1_TIME_free(until);
	OCSP_CERTID_free(id);
	X509_free(about);
}

/* A file with a response that says all of that. */
static const char *
response_of(const struct said *said, size_t count, int status)
{
	static char path[512];
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	OCSP_RESPONSE *r;
	BIO *file;

	for (size_t i = 0; i < count; i++)
		add(basic, &said[i]);
	ck_assert_int_eq(
	    OCSP_basic_sign(basic, authority, key, EVP_sha256(), NULL, 0), 1);
	r = OCSP_response_create(status, basic);
	snprintf(path, sizeof(path), "%s/ocsp", scratch_dir);
	file = BIO_new_file(path, "wb");
	ck_assert_int_eq(i2d_OCSP_RESPONSE_bio(file, r), 1);
	BIO_free(file);
	OCSP_RESPONSE_free(r);
	OCSP_BASICRESP_free(basic);
	return path;
}

static enum tls_staple_state
state_of(const char *path, struct tls_staple *s)
{
	X509 *ours = certificate_of(7);

	tls_staple_read(s, path, ours);
	X509_free(ours);
	return s->state;
}

static void
judged(const struct said *said, size_t count, enum tls_staple_state expected)
{
	const char *path =
	    response_of(said, count, OCSP_RESPONSE_STATUS_SUCCESSFUL);
	unsigned char *copy;
	struct tls_staple s;

	ck_assert_int_eq(state_of(path, &s), expected);
	copy = tls_staple_copy(&s);
	ck_assert_int_eq(copy != NULL, expected == TLS_STAPLE_GOOD);
	if (copy != NULL) {
		FILE *f = fopen(path, "rb");
		unsigned char bytes[4096];

		ck_assert_uint_eq(fread(bytes, 1, sizeof(bytes), f), s.len);
		ck_assert_mem_eq(copy, bytes, s.len);
		fclose(f);
	}
	OPENSSL_free(copy);
	tls_staple_free(&s);
}

START_TEST(what_is_said_of_the_certificate_counts)
{
	static const struct {
		struct said said[2];
		enum tls_staple_state expected;
	} rows[] = {
		{ { { 7, V_OCSP_CERTSTATUS_GOOD, HOUR },
		      { 8, V_OCSP_CERTSTATUS_REVOKED, HOUR } },
		    TLS_STAPLE_GOOD },
		{ { { 8, V_OCSP_CERTSTATUS_REVOKED, -1 },
		      { 7, V_OCSP_CERTSTATUS_GOOD, 0 } },
		    TLS_STAPLE_GOOD },
		{ { { 8, V_OCSP_CERTSTATUS_GOOD, HOUR },
		      { 7, V_OCSP_CERTSTATUS_REVOKED, HOUR } },
		    TLS_STAPLE_BAD },
		{ { { 7, V_OCSP_CERTSTATUS_UNKNOWN, HOUR },
		      { 8, V_OCSP_CERTSTATUS_GOOD, HOUR } },
		    TLS_STAPLE_BAD },
		{ { { 7, V_OCSP_CERTSTATUS_GOOD, -1 },
		      { 8, V_OCSP_CERTSTATUS_GOOD, HOUR } },
		    TLS_STAPLE_OUTDATED },
		{ { { 6, V_OCSP_CERTSTATUS_GOOD, HOUR },
		      { 8, V_OCSP_CERTSTATUS_GOOD, HOUR } },
		    TLS_STAPLE_FOREIGN },
	};

	set_up();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		judged(rows[i].said, 2, rows[i].expected);
	clean_up();
}
END_TEST

START_TEST(it_is_sent_as_long_as_it_holds)
{
	const struct said said = { 7, V_OCSP_CERTSTATUS_GOOD, HOUR };
	struct tls_staple s;
	unsigned char *copy;
	struct timespec now;

	set_up();
	clock_gettime(CLOCK_REALTIME, &now);
	ck_assert_int_eq(
	    state_of(
		response_of(&said, 1, OCSP_RESPONSE_STATUS_SUCCESSFUL), &s),
	    TLS_STAPLE_GOOD);
	ck_assert_int_ge(s.until, now.tv_sec + HOUR);
	copy = tls_staple_copy(&s);
	ck_assert_ptr_nonnull(copy);
	OPENSSL_free(copy);
	s.until = now.tv_sec;
	ck_assert_ptr_null(tls_staple_copy(&s));
	tls_staple_free(&s);
	clean_up();
}
END_TEST

START_TEST(files_that_are_no_such_response)
{
	const struct said said = { 7, V_OCSP_CERTSTATUS_GOOD, HOUR };
	struct tls_staple s;
	const char *path;
	char folder[512];

	set_up();
	ck_assert_int_eq(state_of(NULL, &s), TLS_STAPLE_NONE);
	ck_assert_ptr_null(tls_staple_copy(&s));
	snprintf(folder, sizeof(folder), "%s", scratch_dir);
	ck_assert_int_eq(state_of(folder, &s), TLS_STAPLE_UNREADABLE);
	ck_assert_int_eq(state_of("/nowhere", &s), TLS_STAPLE_UNREADABLE);
	path = response_of(&said, 1, OCSP_RESPONSE_STATUS_TRYLATER);
	ck_assert_int_eq(state_of(path, &s), TLS_STAPLE_UNREADABLE);
	path = response_of(&said, 1, OCSP_RESPONSE_STATUS_SUCCESSFUL);
	ck_assert_int_eq(truncate(path, 100), 0);
	ck_assert_int_eq(state_of(path, &s), TLS_STAPLE_UNREADABLE);
	ck_assert_int_eq(truncate(path, 0), 0);
	ck_assert_int_eq(state_of(path, &s), TLS_STAPLE_UNREADABLE);
	clean_up();
}
END_TEST

SUITE("tls_staple", TEST(what_is_said_of_the_certificate_counts),
    TEST(it_is_sent_as_long_as_it_holds), TEST(files_that_are_no_such_response))
