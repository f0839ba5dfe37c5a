#include "proxy/tls/tls_staple.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <string.h>
#include <time.h>

static OCSP_RESPONSE *
response_in(const char *path)
{
	BIO *file = BIO_new_file(path, "rb");
	OCSP_RESPONSE *response = NULL;

	if (file != NULL)
		response = d2i_OCSP_RESPONSE_bio(file, NULL);
	BIO_free(file);
	return response;
}

/* NULL: it says nothing of any certificate. */
static OCSP_BASICRESP *
basic_of(OCSP_RESPONSE *response)
{
	if (response == NULL ||
	    OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
		return NULL;
	return OCSP_response_get1_basic(response);
}

/* What is said of the certificate, which its serial number is enough for. */
static OCSP_SINGLERESP *
find_certificate(OCSP_BASICRESP *basic, const X509 *certificate)
{
	const ASN1_INTEGER *ours = X509_get0_serialNumber(certificate);

	for (int i = 0; i < OCSP_resp_count(basic); i++) {
		OCSP_SINGLERESP *one = OCSP_resp_get0(basic, i);
		ASN1_INTEGER *serial = NULL;
		/* Not of its own making: OpenSSL has forgotten the const. */
		OCSP_CERTID *id =
		    (OCSP_CERTID *)(uintptr_t)OCSP_SINGLERESP_get0_id(one);

		if (OCSP_id_get0_info(NULL, NULL, NULL, &serial, id) == 1 &&
		    ASN1_INTEGER_cmp(serial, ours) == 0)
			return one;
	}
	return NULL;
}

static int64_t
now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec;
}

static void
judge(struct tls_staple *s, OCSP_SINGLERESP *one)
{
	ASN1_GENERALIZEDTIME *until = NULL;
	struct tm tm;
	int status = OCSP_single_get0_status(one, NULL, NULL, NULL, &until);

	s->until = INT64_MAX;
	if (until != NULL && ASN1_TIME_to_tm(until, &tm) == 1)
		s->until = (int64_t)timegm(&tm);
	if (now_s() >= s->until)
		s->state = TLS_STAPLE_OUTDATED;
	else if (status == V_OCSP_CERTSTATUS_GOOD)
		s->state = TLS_STAPLE_GOOD;
	else
		s->state = TLS_STAPLE_BAD;
}

static void
keep(struct tls_staple *s, OCSP_RESPONSE *response)
{
	int n = i2d_OCSP_RESPONSE(response, &s->bytes);

	if (n > 0)
		s->len = (size_t)n;
	else
		s->state = TLS_STAPLE_UNREADABLE;
}

void
tls_staple_read(struct tls_staple *s, const char *path, const X509 *certificate)
{
	OCSP_RESPONSE *response;
	OCSP_BASICRESP *basic;
	OCSP_SINGLERESP *one;

	*s = (struct tls_staple){ .state = TLS_STAPLE_NONE };
	if (path == NULL)
		return;
	response = response_in(path);
	basic = basic_of(response);
	if (basic == NULL) {
		s->state = TLS_STAPLE_UNREADABLE;
	} else if ((one = find_certificate(basic, certificate)) == NULL) {
		s->state = TLS_STAPLE_FOREIGN;
	} else {
		judge(s, one);
		if (s->state == TLS_STAPLE_GOOD)
			keep(s, response);
	}
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
	ERR_clear_error();
}

void
tls_staple_free(struct tls_staple *s)
{
	OPENSSL_free(s->bytes);
}

unsigned char *
tls_staple_copy(const struct tls_staple *s)
{
	if (s->bytes == NULL || now_s() >= s->until)
		return NULL;
	return OPENSSL_memdup(s->bytes, s->len);
}
