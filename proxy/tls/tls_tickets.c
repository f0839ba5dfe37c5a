/*
 * Session tickets (RFC 5077 4, RFC 8446 4.6.1): what a client needs to resume
 * its session, encrypted with keys that only we have. Two generations of keys:
 * the newest gives tickets out, and those of the one before are still taken, so
 * that each ticket is good for at least the age of a session.
 */
#include <openssl/core_names.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "proxy/tls/tls_private.h"

enum { NAME_BYTES = 16, KEY_BYTES = 32, IV_BYTES = 16 };

struct ticket_key {
	uint8_t name[NAME_BYTES];
	uint8_t cipher[KEY_BYTES];
	uint8_t mac[KEY_BYTES];
	bool used; /* false: there is none */
};

struct tls_tickets {
	pthread_mutex_t lock;
	struct ticket_key newest, before;
	uint64_t made_ms; /* of the newest; 0: nobody has told the time yet */
};

static void
make_key(struct ticket_key *k)
{
	digest_random(k, sizeof(*k));
	k->used = true;
}

int
tls_tickets_new(struct tls_tickets **out)
{
	struct tls_tickets *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return SW_ENOMEM;
	pthread_mutex_init(&t->lock, NULL);
	make_key(&t->newest);
	*out = t;
	return SW_OK;
}

void
tls_tickets_free(struct tls_tickets *t)
{
	if (t == NULL)
		return;
	pthread_mutex_destroy(&t->lock);
	explicit_bzero(t, sizeof(*t));
	free(t);
}

void
tls_tickets_turn(struct tls_tickets *t, uint64_t now_ms, uint64_t age_ms)
{
	pthread_mutex_lock(&t->lock);
	if (t->made_ms == 0) {
		t->made_ms = now_ms;
	} else if (now_ms >= t->made_ms + age_ms) {
		/* After a long silence those before are too old as well. */
		if (now_ms < t->made_ms + 2 * age_ms)
			t->before = t->newest;
		else
			explicit_bzero(&t->before, sizeof(t->before));
		make_key(&t->newest);
		t->made_ms = now_ms;
	}
	pthread_mutex_unlock(&t->lock);
}

/* A copy of the key of that name; false: nobody has it any more. */
static bool
find_key(struct tls_tickets *t, const uint8_t *name, struct ticket_key *out,
    bool *newest)
{
	pthread_mutex_lock(&t->lock);
	*newest = memcmp(t->newest.name, name, NAME_BYTES) == 0;
	*out = *newest ? t->newest : t->before;
	pthread_mutex_unlock(&t->lock);
	return out->used && memcmp(out->name, name, NAME_BYTES) == 0;
}

static bool
set_up(const struct ticket_key *k, uint8_t *iv, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, int encrypt)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY,
		    (void *)(uintptr_t)k->mac, sizeof(k->mac)),
		OSSL_PARAM_construct_utf8_string(
		    OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->cipher, iv,
		   encrypt) == 1 &&
	    EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* SSL_CTX_set_tlsext_ticket_key_evp_cb(3) has the meaning of the results. */
static int
on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv,
    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt)
{
	enum { FAILED = -1, UNKNOWN = 0, TAKEN = 1, TAKEN_RENEW = 2 };
	struct tls_tickets *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	struct ticket_key key;
	bool newest = true, ready;

	if (encrypt) {
		pthread_mutex_lock(&t->lock);
		key = t->newest;
		pthread_mutex_unlock(&t->lock);
		memcpy(name, key.name, NAME_BYTES);
		digest_random(iv, IV_BYTES);
	} else if (!find_key(t, name, &key, &newest)) {
		return UNKNOWN;
	}
	ready = set_up(&key, iv, cipher, mac, encrypt);
	explicit_bzero(&key, sizeof(key));
	if (!ready)
		return FAILED;
	return newest ? TAKEN : TAKEN_RENEW;
}

int
tls_tickets_use(struct tls_tickets *t, SSL_CTX *ctx)
{
	if (SSL_CTX_set_app_data(ctx, t) != 1 ||
	    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) != 1)
		return SW_ENOMEM;
	return SW_OK;
}
