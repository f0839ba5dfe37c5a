#include "proxy/base/signature.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#include "proxy/base/err.h"

enum {
	SHA256_SIZE = 32,
	ES256_SIZE = 64, /* RFC 7518 3.4: both numbers, 32 bytes each */
	RSA_BITS_MIN = 2048,
	SIGNATURE_MAX = 2048, /* of an RSA key of 16384 bits */
};

struct signature_key {
	enum signature_alg alg;
	EVP_PKEY *pair;    /* or the public half of one */
	EVP_MAC_CTX *hmac; /* with the secret in it: to be copied */
};

static const char *const names[SIGNATURE_ALGS] = {
	[SIGNATURE_HS256] = "HS256",
	[SIGNATURE_RS256] = "RS256",
	[SIGNATURE_ES256] = "ES256",
	[SIGNATURE_PS256] = "PS256",
};

const char *
signature_alg_name(enum signature_alg alg)
{
	return names[alg];
}

int
signature_alg_find(enum signature_alg *out, struct str name)
{
	for (int i = 0; i < SIGNATURE_ALGS; i++)
		if (str_is(name, names[i])) {
			*out = (enum signature_alg)i;
			return SW_OK;
		}
	return SW_ENOENT;
}

enum signature_alg
signature_key_alg(const struct signature_key *k)
{
	return k->alg;
}

static int
refuse(struct buf *advice, const char *text)
{
	buf_puts(advice, text);
	return SW_EINVAL;
}

static int
take_secret(struct signature_key *k, struct str secret, struct buf *advice)
{
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(
		    OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *mac;

	if (secret.len < SIGNATURE_SECRET_MIN)
		return refuse(advice,
		    "write a secret of 32 characters or more: `openssl rand "
		    "-hex 32` makes one");
	mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	k->hmac = EVP_MAC_CTX_new(mac);
	EVP_MAC_free(mac);
	return k->hmac != NULL &&
		EVP_MAC_init(k->hmac, (const unsigned char *)secret.p,
		    secret.len, params) == 1 ?
	    SW_OK :
	    SW_ENOMEM;
}

/* Does the key fit what it is to be used for? */
static int
check_pair(const struct signature_key *k, struct buf *advice)
{
	char group[32] = "";

	if (k->alg == SIGNATURE_ES256) {
		if (EVP_PKEY_get_base_id(k->pair) != EVP_PKEY_EC ||
		    EVP_PKEY_get_group_name(
			k->pair, group, sizeof(group), NULL) != 1 ||
		    strcmp(group, "prime256v1") != 0)
			return refuse(
			    advice, "ES256 takes a key on the curve P-256");
		return SW_OK;
	}
	if (EVP_PKEY_get_base_id(k->pair) != EVP_PKEY_RSA)
		return refuse(advice, "RS256 and PS256 take an RSA key");
	if (EVP_PKEY_get_bits(k->pair) < RSA_BITS_MIN)
		return refuse(
		    advice, "RS256 and PS256 take a key of 2048 bits or more");
	return SW_OK;
}

/* Nobody is there to be asked. */
static int
no_passphrase(char *out, int size, int writing, void *ctx)
{
	(void)out;
	(void)size;
	(void)writing;
	(void)ctx;
	return -1;
}

static bool
has_private_key(struct str pem)
{
	static const char mark[] = "PRIVATE KEY-----";

	return pem.len > 0 &&
	    memmem(pem.p, pem.len, mark, sizeof(mark) - 1) != NULL;
}

static int
take_pem(
    struct signature_key *k, struct str pem, bool signs, struct buf *advice)
{
	BIO *bio;

	if (!signs && has_private_key(pem))
		return refuse(advice,
		    "give the public key alone: `openssl pkey -pubout` cuts "
		    "it out of a private one");
	bio = BIO_new_mem_buf(pem.p == NULL ? "" : pem.p, (int)pem.len);
	if (bio == NULL)
		return SW_ENOMEM;
	k->pair = signs ?
	    PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) :
	    PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	if (k->pair == NULL)
		return refuse(advice,
		    signs ? "give a private key in PEM, without a passphrase" :
			    "give a public key in PEM, which begins with "
			    "-----BEGIN PUBLIC KEY-----");
	return check_pair(k, advice);
}

static int
key_new(struct signature_key **out, enum signature_alg alg, struct str material,
    bool signs, struct buf *advice)
{
	struct signature_key *k = calloc(1, sizeof(*k));
	int err;

	if (k == NULL)
		return SW_ENOMEM;
	k->alg = alg;
	err = alg == SIGNATURE_HS256 ? take_secret(k, material, advice) :
				       take_pem(k, material, signs, advice);
	/* The queue of errors is the thread's, and others look at it. */
	ERR_clear_error();
	if (err != SW_OK) {
		signature_key_free(k);
		return err;
	}
	*out = k;
	return SW_OK;
}

int
signature_key_new(struct signature_key **out, enum signature_alg alg,
    struct str material, struct buf *advice)
{
	return key_new(out, alg, material, false, advice);
}

int
signature_key_new_private(struct signature_key **out, enum signature_alg alg,
    struct str material, struct buf *advice)
{
	return key_new(out, alg, material, true, advice);
}

void
signature_key_free(struct signature_key *k)
{
	if (k == NULL)
		return;
	EVP_PKEY_free(k->pair);
	EVP_MAC_CTX_free(k->hmac);
	free(k);
}

static bool
hmac(const struct signature_key *k, struct str text,
    unsigned char out[SHA256_SIZE])
{
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(k->hmac);
	size_t len = 0;
	bool done = ctx != NULL &&
	    EVP_MAC_update(ctx, (const unsigned char *)text.p, text.len) == 1 &&
	    EVP_MAC_final(ctx, out, &len, SHA256_SIZE) == 1 &&
	    len == SHA256_SIZE;

	EVP_MAC_CTX_free(ctx);
	return done;
}

/* RFC 7518 3.5: the salt is as long as the hash, and MGF1 uses it too. */
static bool
set_padding(const struct signature_key *k, EVP_PKEY_CTX *ctx)
{
	return k->alg != SIGNATURE_PS256 ||
	    (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, SHA256_SIZE) == 1 &&
		EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1);
}

/* The two numbers as libcrypto has them: in DER. 0 on failure. */
static size_t
der_of(struct str pair, unsigned char out[SIGNATURE_MAX])
{
	const unsigned char *p = (const unsigned char *)pair.p;
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(p, ES256_SIZE / 2, NULL);
	BIGNUM *s = BN_bin2bn(p + ES256_SIZE / 2, ES256_SIZE / 2, NULL);
	int len = 0;

	if (sig == NULL || r == NULL || s == NULL ||
	    ECDSA_SIG_set0(sig, r, s) != 1) {
		BN_free(r);
		BN_free(s);
	} else {
		len = i2d_ECDSA_SIG(sig, &out);
	}
	ECDSA_SIG_free(sig);
	return len > 0 ? (size_t)len : 0;
}

/* The other way round, in place; false on failure. */
static bool
pair_of(unsigned char *signature, size_t *len)
{
	const unsigned char *der = signature;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)*len);
	bool fits = sig != NULL &&
	    BN_bn2binpad(ECDSA_SIG_get0_r(sig), signature, ES256_SIZE / 2) >
		0 &&
	    BN_bn2binpad(ECDSA_SIG_get0_s(sig), signature + ES256_SIZE / 2,
		ES256_SIZE / 2) > 0;

	ECDSA_SIG_free(sig);
	*len = ES256_SIZE;
	return fits;
}

static bool
verify_pair(const struct signature_key *k, struct str text, struct str bytes)
{
	unsigned char der[SIGNATURE_MAX];
	const unsigned char *signature = (const unsigned char *)bytes.p;
	size_t len = bytes.len;
	EVP_PKEY_CTX *params;
	EVP_MD_CTX *ctx;
	bool valid;

	if (k->alg == SIGNATURE_ES256) {
		if (bytes.len != ES256_SIZE || (len = der_of(bytes, der)) == 0)
			return false;
		signature = der;
	}
	ctx = EVP_MD_CTX_new();
	valid = ctx != NULL &&
	    EVP_DigestVerifyInit(ctx, &params, EVP_sha256(), NULL, k->pair) ==
		1 &&
	    set_padding(k, params) &&
	    EVP_DigestVerify(ctx, signature, len, (const unsigned char *)text.p,
		text.len) == 1;
	EVP_MD_CTX_free(ctx);
	return valid;
}

bool
signature_verify(
    const struct signature_key *k, struct str text, struct str signature)
{
	unsigned char expected[SHA256_SIZE];
	bool valid;

	if (signature.len == 0)
		return false;
	if (k->alg == SIGNATURE_HS256)
		valid = signature.len == SHA256_SIZE &&
		    hmac(k, text, expected) &&
		    CRYPTO_memcmp(expected, signature.p, SHA256_SIZE) == 0;
	else
		valid = verify_pair(k, text, signature);
	ERR_clear_error();
	return valid;
}

static bool
sign_pair(const struct signature_key *k, struct str text,
    unsigned char out[SIGNATURE_MAX], size_t *len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *params;
	bool made = ctx != NULL &&
	    EVP_DigestSignInit(ctx, &params, EVP_sha256(), NULL, k->pair) ==
		1 &&
	    set_padding(k, params) &&
	    EVP_DigestSign(
		ctx, out, len, (const unsigned char *)text.p, text.len) == 1 &&
	    (k->alg != SIGNATURE_ES256 || pair_of(out, len));

	EVP_MD_CTX_free(ctx);
	return made;
}

int
signature_make(struct buf *out, const struct signature_key *k, struct str text)
{
	unsigned char signature[SIGNATURE_MAX];
	size_t len = k->alg == SIGNATURE_HS256 ? SHA256_SIZE : SIGNATURE_MAX;
	bool made = k->alg == SIGNATURE_HS256 ?
	    hmac(k, text, signature) :
	    sign_pair(k, text, signature, &len);

	ERR_clear_error();
	return made ? buf_put(out, signature, len) : SW_EIO;
}
