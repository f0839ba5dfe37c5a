#include "proxy/base/digest.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "proxy/base/err.h"
#include "proxy/base/log.h"

static EVP_MD *sha1;
static EVP_MAC *hmac;
static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;

/* Looking an algorithm up costs more than a short digest: do it once. */
static void
fetch(void)
{
	sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
	hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
}

int
digest_sha1(uint8_t out[SHA1_SIZE], struct str data)
{
	pthread_once(&fetch_once, fetch);
	if (sha1 == NULL ||
	    EVP_Digest(data.p, data.len, out, NULL, sha1, NULL) != 1)
		return SW_ENOMEM;
	return SW_OK;
}

int
digest_hmac(uint8_t out[HMAC_SIZE], struct str key, const struct str *pieces,
    size_t count)
{
	char name[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(
		    OSSL_MAC_PARAM_DIGEST, name, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC_CTX *ctx;
	size_t len;
	bool made;

	pthread_once(&fetch_once, fetch);
	ctx = EVP_MAC_CTX_new(hmac);
	made = ctx != NULL &&
	    EVP_MAC_init(ctx, (const unsigned char *)key.p, key.len, params) ==
		1;
	for (size_t i = 0; i < count && made; i++)
		made = EVP_MAC_update(ctx, (const unsigned char *)pieces[i].p,
			   pieces[i].len) == 1;
	made = made && EVP_MAC_final(ctx, out, &len, HMAC_SIZE) == 1;
	EVP_MAC_CTX_free(ctx);
	return made ? SW_OK : SW_ENOMEM;
}

int
digest_start(void)
{
	uint8_t out[SHA1_SIZE], code[HMAC_SIZE];
	int err = digest_sha1(out, STR(""));

	return err != SW_OK ? err : digest_hmac(code, STR("key"), NULL, 0);
}

/* From the system: OpenSSL's generators allocate, one in each thread. */
void
digest_random(void *out, size_t n)
{
	uint8_t *p = out;

	while (n > 0) {
		ssize_t got = getrandom(p, n, 0);

		if (got < 0 && errno != EINTR) {
			log_error("no random numbers from the system");
			abort();
		}
		p += got > 0 ? got : 0;
		n -= got > 0 ? (size_t)got : 0;
	}
}

bool
digest_equal(struct str a, struct str b)
{
	return a.len == b.len && CRYPTO_memcmp(a.p, b.p, a.len) == 0;
}

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
base64_encode(char *out, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	for (; n >= 3; n -= 3, p += 3, out += 4) {
		out[0] = alphabet[p[0] >> 2];
		out[1] = alphabet[(p[0] & 3) << 4 | p[1] >> 4];
		out[2] = alphabet[(p[1] & 15) << 2 | p[2] >> 6];
		out[3] = alphabet[p[2] & 63];
	}
	if (n == 0)
		return;
	out[0] = alphabet[p[0] >> 2];
	out[1] = alphabet[(p[0] & 3) << 4 | (n == 2 ? p[1] >> 4 : 0)];
	out[2] = n == 2 ? alphabet[(p[1] & 15) << 2] : '=';
	out[3] = '=';
}

/* The value of a base64 character, -1 if it is none. */
static int
digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int
base64_decode(struct buf *out, struct str text)
{
	if (text.len % 4 != 0)
		return SW_EINVAL;
	for (size_t i = 0; i < text.len; i += 4) {
		const char *p = text.p + i;
		bool last = i + 4 == text.len;
		int pad = last && p[3] == '=' ? (p[2] == '=' ? 2 : 1) : 0;
		uint32_t group = 0;
		uint8_t bytes[3];
		int err;

		for (int k = 0; k < 4 - pad; k++) {
			int value = digit(p[k]);

			if (value < 0)
				return SW_EINVAL;
			group |= (uint32_t)value << (18 - 6 * k);
		}
		/* RFC 4648 3.5: the bits that padding leaves over are zero. */
		if ((group & ((1u << (8 * pad)) - 1)) != 0)
			return SW_EINVAL;
		bytes[0] = (uint8_t)(group >> 16);
		bytes[1] = (uint8_t)(group >> 8);
		bytes[2] = (uint8_t)group;
		if ((err = buf_put(out, bytes, (size_t)(3 - pad))) != SW_OK)
			return err;
	}
	return SW_OK;
}

int
base64url_encode(struct buf *out, struct str bytes)
{
	size_t len = BASE64_LENGTH(bytes.len);
	int err;
	char *p;

	if (len == 0)
		return SW_OK;
	if ((err = buf_reserve(out, len)) != SW_OK)
		return err;
	p = (char *)buf_tail(out);
	base64_encode(p, bytes.p, bytes.len);
	while (len > 0 && p[len - 1] == '=')
		len--;
	for (size_t i = 0; i < len; i++)
		p[i] = p[i] == '+' ? '-' : p[i] == '/' ? '_' : p[i];
	buf_commit(out, len);
	return SW_OK;
}

/* Of URLs to the usual alphabet; what belongs to neither stays. */
static char
usual_digit(char c)
{
	if (c == '+' || c == '/' || c == '=')
		return '!';
	return (char)(c == '-' ? '+' : c == '_' ? '/' : c);
}

int
base64url_decode(struct buf *out, struct str text)
{
	int err = SW_OK;

	for (size_t i = 0; i < text.len && err == SW_OK; i += 4) {
		char group[4] = "====";
		size_t n = text.len - i < 4 ? text.len - i : 4;

		if (n == 1)
			return SW_EINVAL;
		for (size_t k = 0; k < n; k++)
			group[k] = usual_digit(text.p[i + k]);
		err = base64_decode(out, (struct str){ group, 4 });
	}
	return err;
}
