/*
 * What a client may send to an address that speaks TLS, from its first byte on.
 * The first byte of the input says how it is cut into writes, and on which
 * address it arrives: that of streams, or that of the API, where clients need
 * certificates.
 *
 * Nobody gets through without having heard us, and what failed stays so.
 */
#include <fcntl.h>
#include <openssl/pem.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/tls/tls.h"
#include "tests/fuzz/fuzz.h"

static struct tls_context *context;

static void
write_certificate(const char *path)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	FILE *f = fopen(path, "w");

	must(key != NULL && x != NULL && f != NULL);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
	    (const unsigned char *)"fuzz.test", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_set_pubkey(x, key);
	must(X509_sign(x, key, EVP_sha256()) > 0);
	must(PEM_write_X509(f, x) == 1);
	must(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1);
	must(fclose(f) == 0);
	X509_free(x);
	EVP_PKEY_free(key);
}

static void
make_context(void)
{
	static struct tls_tickets *tickets;
	char path[] = "/tmp/spillway-fuzz-XXXXXX";
	char *paths[] = { path };
	struct conf conf = {
		.tls_certificate = paths,
		.tls_certificate_count = 1,
		.api_client_ca = paths,
		.api_client_ca_count = 1,
		.tls_session_age_ms = 60000,
	};
	struct buf why;
	int fd = mkstemp(path);

	must(fd >= 0);
	close(fd);
	signal(SIGPIPE, SIG_IGN);
	write_certificate(path);
	buf_init(&why, 1024);
	must(tls_tickets_new(&tickets) == SW_OK);
	must(tls_context_new(&context, &conf, tickets, &why) == SW_OK);
	buf_fini(&why);
	unlink(path);
}

/* Whoever reads them not would have us wait. */
static void
drop_answers(int fd)
{
	char bytes[4096];

	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		continue;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t step, at = 0;
	int pair[2], err = SW_EAGAIN;
	struct tls *t;

	/* Whoever begins otherwise is answered before this is asked. */
	if (size < 2 || !tls_begins_with(data[1]))
		return 0;
	if (context == NULL)
		make_context();
	step = (size_t)(data[0] >> 1) * 16 + 1;
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	must(tls_open(&t, context, (data[0] & 1) != 0, pair[0], 1000) == SW_OK);
	data++;
	size--;
	while (at < size && err == SW_EAGAIN) {
		size_t n = size - at < step ? size - at : step;
		ssize_t sent = send(pair[1], data + at, n, MSG_DONTWAIT);

		must(sent > 0);
		at += (size_t)sent;
		err = tls_handshake(t);
		drop_answers(pair[1]);
	}
	must(err == SW_EAGAIN || err == SW_EPROTO || err == SW_ECLOSED);
	if (err == SW_EAGAIN) {
		shutdown(pair[1], SHUT_WR);
		err = tls_handshake(t);
		must(err == SW_EPROTO || err == SW_ECLOSED);
	}
	must(tls_handshake(t) != SW_OK);
	tls_free(t);
	close(pair[0]);
	close(pair[1]);
	return 0;
}
