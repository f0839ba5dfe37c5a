/* Certificates and their keys, who gets which, and how TLS is spoken. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conf/named_file.h"
#include "proxy/base/err.h"
#include "proxy/tls/tls_private.h"
#include "proxy/tls/tls_staple.h"

/*
 * Of TLS 1.2 only what has forward secrecy and authenticated encryption, which
 * is also all that HTTP/2 would allow (RFC 9113 9.2.2). AES of 128 bits first:
 * nobody breaks it, and it is faster. Who puts ChaCha20 first has no AES in
 * hardware, and gets it.
 */
static const char ciphers_1_2[] = "ECDHE-ECDSA-AES128-GCM-SHA256:"
				  "ECDHE-RSA-AES128-GCM-SHA256:"
				  "ECDHE-ECDSA-AES256-GCM-SHA384:"
				  "ECDHE-RSA-AES256-GCM-SHA384:"
				  "ECDHE-ECDSA-CHACHA20-POLY1305:"
				  "ECDHE-RSA-CHACHA20-POLY1305";
static const char ciphers_1_3[] = "TLS_AES_128_GCM_SHA256:"
				  "TLS_AES_256_GCM_SHA384:"
				  "TLS_CHACHA20_POLY1305_SHA256";
static const char groups[] = "X25519:P-256:P-384";

/* A connection has at most one certificate of each kind. */
enum kind { KIND_RSA, KIND_RSA_PSS, KIND_ECDSA, KIND_ED25519, KINDS };

struct certificate {
	X509 *leaf;
	STACK_OF(X509) * chain;
	EVP_PKEY *key;
	char *path;
	enum kind kind;
	struct tls_staple staple;
};

struct tls_context {
	_Atomic size_t refs;
	SSL_CTX *ssl;
	SSL_CTX *api; /* of the API's clients, who may need certificates */
	struct tls_tickets *tickets; /* NULL: no sessions are resumed */
	uint64_t session_age_ms;
	char *default_name; /* who asks for no known name gets this; or NULL */
	struct certificate *certificates;
	size_t count;
};

const char *
tls_error(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	return text == NULL ? "no reason given" : text;
}

/* Which certificates a client gets. */

static int
score_name(const struct certificate *c, const char *name)
{
	enum { NO = 0, WILDCARD = 1, EXACT = 2 };
	char *matched = NULL;
	int score = NO;

	if (X509_check_host(c->leaf, name, 0,
		X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, &matched) == 1)
		score = matched != NULL && *matched == '*' ? WILDCARD : EXACT;
	OPENSSL_free(matched);
	return score;
}

/* The best certificate of each kind for a name; false: none has it. */
static bool
find_best(const struct tls_context *t, const char *name,
    const struct certificate *best[KINDS])
{
	int scores[KINDS] = { 0 };
	bool found = false;

	for (size_t i = 0; i < t->count; i++) {
		const struct certificate *c = &t->certificates[i];
		int score = score_name(c, name);

		if (score > scores[c->kind]) {
			scores[c->kind] = score;
			best[c->kind] = c;
			found = true;
		}
	}
	return found;
}

static int
on_certificates_wanted(SSL *ssl, void *arg)
{
	const struct tls_context *t = arg;
	const struct certificate *best[KINDS] = { NULL };
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	if (name == NULL || !find_best(t, name, best)) {
		if (t->default_name != NULL)
			find_best(t, t->default_name, best);
		best[t->certificates[0].kind] = &t->certificates[0];
	}
	SSL_certs_clear(ssl);
	for (size_t i = 0; i < KINDS; i++)
		if (best[i] != NULL &&
		    SSL_use_cert_and_key(ssl, best[i]->leaf, best[i]->key,
			best[i]->chain, 1) != 1)
			return 0;
	return 1;
}

/* Who asks is sent what the authority has said of the certificate. */
static int
on_status_wanted(SSL *ssl, void *arg)
{
	const struct tls_context *t = arg;
	const X509 *leaf = SSL_get_certificate(ssl);

	for (size_t i = 0; i < t->count; i++) {
		const struct tls_staple *s = &t->certificates[i].staple;
		unsigned char *copy;

		if (t->certificates[i].leaf != leaf ||
		    (copy = tls_staple_copy(s)) == NULL)
			continue;
		SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)s->len);
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_NOACK;
}

/* RFC 7301 3.2: HTTP/1.1, or no common protocol; who does not ask gets it. */
static int
on_protocols_offered(SSL *ssl, const unsigned char **out,
    unsigned char *out_len, const unsigned char *in, unsigned in_len, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *chosen;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, in,
		in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static int
on_name(SSL *ssl, int *alert, void *arg)
{
	(void)alert;
	(void)arg;
	return SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) == NULL ?
	    SSL_TLSEXT_ERR_NOACK :
	    SSL_TLSEXT_ERR_OK;
}

/* Reading files. */

static int
complain_open(struct buf *why, const char *directive, const char *path)
{
	buf_printf(why, "%s \"%s\" cannot be read: %s", directive, path,
	    strerror(errno));
	return SW_EINVAL;
}

/* NULL with errno. */
static BIO *
open_file(const char *path)
{
	FILE *file = named_file_open(path);
	BIO *bio = file == NULL ? NULL : BIO_new_fp(file, BIO_CLOSE);

	if (file != NULL && bio == NULL) {
		fclose(file);
		errno = ENOMEM;
	}
	return bio;
}

/* Nobody is there to type it. */
static int
no_passphrase(char *to, int size, int writing, void *arg)
{
	bool *asked = arg;

	(void)to;
	(void)size;
	(void)writing;
	*asked = true;
	return -1;
}

static int
read_certificates(struct certificate *c, struct buf *why)
{
	BIO *file = open_file(c->path);
	X509 *next;
	unsigned long last;

	if (file == NULL)
		return complain_open(why, "tls-certificate", c->path);
	c->leaf = PEM_read_bio_X509(file, NULL, NULL, NULL);
	c->chain = sk_X509_new_null();
	while (c->leaf != NULL && c->chain != NULL &&
	    (next = PEM_read_bio_X509(file, NULL, NULL, NULL)) != NULL)
		if (sk_X509_push(c->chain, next) == 0) {
			X509_free(next);
			break;
		}
	last = ERR_peek_last_error();
	BIO_free(file);
	/* The end of the file is no fault. */
	if (c->leaf != NULL && ERR_GET_LIB(last) == ERR_LIB_PEM &&
	    ERR_GET_REASON(last) == PEM_R_NO_START_LINE) {
		ERR_clear_error();
		return SW_OK;
	}
	buf_printf(why,
	    "tls-certificate \"%s\" has no certificate in PEM that can be "
	    "read: %s",
	    c->path, tls_error());
	return SW_EINVAL;
}

static int
read_key(struct certificate *c, const char *path, struct buf *why)
{
	BIO *file = open_file(path);
	bool asked = false;

	if (file == NULL)
		return complain_open(why, "tls-key", path);
	c->key = PEM_read_bio_PrivateKey(file, NULL, no_passphrase, &asked);
	BIO_free(file);
	if (c->key != NULL)
		return SW_OK;
	if (asked)
		buf_printf(why,
		    "tls-key \"%s\" has a passphrase: write it without, with "
		    "openssl pkey -in FILE",
		    path);
	else
		buf_printf(why,
		    "tls-key \"%s\" has no private key in PEM that can be "
		    "read: %s",
		    path, tls_error());
	return SW_EINVAL;
}

static bool
kind_of(enum kind *out, const EVP_PKEY *key)
{
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
		*out = KIND_RSA;
		return true;
	case EVP_PKEY_RSA_PSS:
		*out = KIND_RSA_PSS;
		return true;
	case EVP_PKEY_EC:
		*out = KIND_ECDSA;
		return true;
	case EVP_PKEY_ED25519:
		*out = KIND_ED25519;
		return true;
	default:
		return false;
	}
}

/* Does OpenSSL take it, as it will have to for each connection? */
static int
try_certificate(struct tls_context *t, struct certificate *c,
    const char *key_path, struct buf *why)
{
	if (X509_check_private_key(c->leaf, c->key) != 1)
		buf_printf(why,
		    "tls-key \"%s\" is not the key of tls-certificate \"%s\"",
		    key_path, c->path);
	else if (!kind_of(&c->kind, c->key))
		buf_printf(why,
		    "tls-certificate \"%s\" is of a kind that is not served: "
		    "use ECDSA or RSA",
		    c->path);
	else if (SSL_CTX_use_cert_and_key(
		     t->ssl, c->leaf, c->key, c->chain, 1) != 1)
		buf_printf(why, "tls-certificate \"%s\" is refused: %s",
		    c->path, tls_error());
	else
		return SW_OK;
	return SW_EINVAL;
}

static int
load_one(
    struct tls_context *t, const struct conf *conf, size_t i, struct buf *why)
{
	struct certificate *c = &t->certificates[t->count];
	const char *path = conf->tls_certificate[i];
	const char *key = conf->tls_key_count == 0 ? path : conf->tls_key[i];
	int err;

	t->count++; /* freed from here on, however far it gets */
	ERR_clear_error();
	c->path = strdup(path);
	if (c->path == NULL)
		return SW_ENOMEM;
	if ((err = read_certificates(c, why)) != SW_OK ||
	    (err = read_key(c, key, why)) != SW_OK)
		return err;
	if ((err = try_certificate(t, c, key, why)) == SW_OK &&
	    conf->tls_ocsp_count > 0 && strcmp(conf->tls_ocsp[i], "none") != 0)
		tls_staple_read(&c->staple, conf->tls_ocsp[i], c->leaf);
	return err;
}

/* Names of a certificate. */

static void
add_name(char *out, size_t size, const char *name, size_t len)
{
	size_t used = strlen(out);

	/* What does not fit, or is no name, is left out. */
	if (used + len + 2 > size || memchr(name, '\0', len) != NULL)
		return;
	if (used > 0)
		out[used++] = ',';
	memcpy(out + used, name, len);
	out[used + len] = '\0';
}

/* The DNS names with commas between; without any, the common name. */
static void
put_names(const struct certificate *c, char *out, size_t size)
{
	GENERAL_NAMES *names =
	    X509_get_ext_d2i(c->leaf, NID_subject_alt_name, NULL, NULL);
	char common[256];
	int len;

	out[0] = '\0';
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);

		if (n->type == GEN_DNS)
			add_name(out, size,
			    (const char *)ASN1_STRING_get0_data(n->d.dNSName),
			    (size_t)ASN1_STRING_length(n->d.dNSName));
	}
	GENERAL_NAMES_free(names);
	len = X509_NAME_get_text_by_NID(X509_get_subject_name(c->leaf),
	    NID_commonName, common, sizeof(common));
	if (out[0] == '\0' && len > 0)
		add_name(out, size, common, (size_t)len);
}

bool
tls_certificate_describe(
    const struct tls_context *t, size_t i, struct tls_certificate_info *out)
{
	static const char *const kinds[KINDS] = {
		[KIND_RSA] = "RSA",
		[KIND_RSA_PSS] = "RSA-PSS",
		[KIND_ECDSA] = "ECDSA",
		[KIND_ED25519] = "Ed25519",
	};
	const struct certificate *c = &t->certificates[i];
	struct tm tm;

	if (i >= t->count)
		return false;
	out->path = c->path;
	out->kind = kinds[c->kind];
	put_names(c, out->names, sizeof(out->names));
	out->staple = c->staple.state;
	out->expires = 0;
	if (ASN1_TIME_to_tm(X509_get0_notAfter(c->leaf), &tm) == 1)
		out->expires = (int64_t)timegm(&tm);
	return true;
}

/*
 * Who asks for a name that no certificate has is served as if it had asked for
 * the first one's, so that it too may get ECDSA or RSA.
 */
static int
choose_default(struct tls_context *t)
{
	char names[256];
	char *name = names;

	put_names(&t->certificates[0], names, sizeof(names));
	names[strcspn(names, ",")] = '\0';
	/* "*.example.org" is in the certificate for this name: */
	if (names[0] == '*')
		names[0] = 'x';
	if (names[0] == '\0')
		return SW_OK;
	t->default_name = strdup(name);
	return t->default_name == NULL ? SW_ENOMEM : SW_OK;
}

/* NULL as tickets: sessions are not resumed. */
static int
set_up(struct tls_context *t, SSL_CTX **out, const struct conf *conf,
    struct tls_tickets *tickets)
{
	SSL_CTX *ssl;
	uint64_t options = SSL_OP_CIPHER_SERVER_PREFERENCE |
	    SSL_OP_PRIORITIZE_CHACHA | SSL_OP_NO_RENEGOTIATION |
	    SSL_OP_NO_COMPRESSION | SSL_OP_ENABLE_KTLS |
	    /* What we read says by itself where it ends. */
	    SSL_OP_IGNORE_UNEXPECTED_EOF;
	int oldest =
	    conf->tls_min_version == TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;

	*out = ssl = SSL_CTX_new(TLS_server_method());
	if (ssl == NULL)
		return SW_ENOMEM;
	if (tickets == NULL)
		options |= SSL_OP_NO_TICKET;
	SSL_CTX_set_options(ssl, options);
	SSL_CTX_set_mode(ssl,
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* One read for a record's head and body, and what is behind it. */
	SSL_CTX_set_read_ahead(ssl, 1);
	/* Tickets are all that is kept of a session, and the client has it. */
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_timeout(ssl, (long)(t->session_age_ms / 1000));
	SSL_CTX_set_cert_cb(ssl, on_certificates_wanted, t);
	SSL_CTX_set_tlsext_status_cb(ssl, on_status_wanted);
	SSL_CTX_set_tlsext_status_arg(ssl, t);
	SSL_CTX_set_alpn_select_cb(ssl, on_protocols_offered, NULL);
	SSL_CTX_set_tlsext_servername_callback(ssl, on_name);
	if (SSL_CTX_set_min_proto_version(ssl, oldest) != 1 ||
	    SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(ssl, ciphers_1_2) != 1 ||
	    SSL_CTX_set_ciphersuites(ssl, ciphers_1_3) != 1 ||
	    SSL_CTX_set1_groups_list(ssl, groups) != 1 ||
	    (tickets == NULL && SSL_CTX_set_num_tickets(ssl, 0) != 1))
		return SW_ENOMEM;
	return tickets == NULL ? SW_OK : tls_tickets_use(tickets, ssl);
}

/*
 * Sessions of these are not resumed: the certificate is looked at each time, by
 * the authorities that count now.
 */
static int
ask_for_certificates(
    struct tls_context *t, const struct conf *conf, struct buf *why)
{
	STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
	int err = set_up(t, &t->api, conf, NULL);

	for (size_t i = 0; i < conf->api_client_ca_count && err == SW_OK; i++) {
		const char *path = conf->api_client_ca[i];

		if (names != NULL &&
		    SSL_add_file_cert_subjects_to_stack(names, path) == 1 &&
		    SSL_CTX_load_verify_file(t->api, path) == 1)
			continue;
		buf_printf(why,
		    "api-client-ca \"%s\" has no certificates in PEM that can "
		    "be read: %s",
		    path, tls_error());
		err = SW_EINVAL;
	}
	if (err != SW_OK) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return err;
	}
	SSL_CTX_set_client_CA_list(t->api, names);
	SSL_CTX_set_verify(
	    t->api, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return SW_OK;
}

static int
set_up_both(struct tls_context *t, const struct conf *conf, struct buf *why)
{
	int err = set_up(t, &t->ssl, conf, t->tickets);

	if (err != SW_OK || conf->api_client_ca_count > 0)
		return err != SW_OK ? err : ask_for_certificates(t, conf, why);
	SSL_CTX_up_ref(t->ssl);
	t->api = t->ssl;
	return SW_OK;
}

int
tls_context_new(struct tls_context **out, const struct conf *conf,
    struct tls_tickets *tickets, struct buf *why)
{
	struct tls_context *t = calloc(1, sizeof(*t));
	int err = SW_ENOMEM;

	if (t == NULL)
		return SW_ENOMEM;
	atomic_init(&t->refs, 1);
	t->session_age_ms = conf->tls_session_age_ms;
	t->tickets = t->session_age_ms == 0 ? NULL : tickets;
	t->certificates =
	    calloc(conf->tls_certificate_count, sizeof(*t->certificates));
	if (t->certificates == NULL ||
	    (err = set_up_both(t, conf, why)) != SW_OK)
		goto fail;
	for (size_t i = 0; i < conf->tls_certificate_count; i++)
		if ((err = load_one(t, conf, i, why)) != SW_OK)
			goto fail;
	if ((err = choose_default(t)) != SW_OK)
		goto fail;
	*out = t;
	return SW_OK;

fail:
	ERR_clear_error();
	tls_context_unref(t);
	return err;
}

struct tls_context *
tls_context_ref(struct tls_context *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	return t;
}

void
tls_context_unref(struct tls_context *t)
{
	if (t == NULL ||
	    atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) > 1)
		return;
	SSL_CTX_free(t->ssl);
	SSL_CTX_free(t->api);
	for (size_t i = 0; i < t->count; i++) {
		X509_free(t->certificates[i].leaf);
		sk_X509_pop_free(t->certificates[i].chain, X509_free);
		EVP_PKEY_free(t->certificates[i].key);
		tls_staple_free(&t->certificates[i].staple);
		free(t->certificates[i].path);
	}
	free(t->certificates);
	free(t->default_name);
	free(t);
}

SSL *
tls_context_begin(struct tls_context *t, bool api, uint64_t now_ms)
{
	if (t->tickets != NULL)
		tls_tickets_turn(t->tickets, now_ms, t->session_age_ms);
	return SSL_new(api ? t->api : t->ssl);
}
