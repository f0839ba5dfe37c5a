#include "proxy/tls/tls.h"

#include <time.h>

#include "tests/oom.h"
#include "tests/proxy/tls/tls_peer.h"

static struct wanted w;

static void
set_up(void)
{
	scratch_make();
	wanted_init(&w);
}

static void
clean_up(void)
{
	wanted_fini(&w);
	scratch_remove();
}

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

/* Bytes, whichever way. */

static void
client_writes(struct pair *p, const char *text)
{
	ck_assert_int_eq(
	    SSL_write(p->ssl, text, (int)strlen(text)), (int)strlen(text));
}

START_TEST(bytes_go_both_ways)
{
	static const char hello[] = "hello";
	const struct iovec iov = { (void *)(uintptr_t)hello, 5 };
	const struct offer o = { .version = versions[_i] };
	struct tls_context *t;
	char got[16];
	struct pair p;
	bool more;

	set_up();
	want(&w, "one", EC, "DNS:one.test");
	t = context_of(&w, NULL);
	pair_make(&p, t, &o);
	ck_assert_int_eq(tls_read(p.tls, got, sizeof(got), &more), SW_EAGAIN);
	ck_assert(!more);
	client_writes(&p, "ab");
	client_writes(&p, "cd");
	/* Both records at once, and the descriptor will tell of more. */
	ck_assert_int_eq(tls_read(p.tls, got, sizeof(got), &more), 4);
	ck_assert_mem_eq(got, "abcd", 4);
	ck_assert(!more);
	client_writes(&p, "efgh");
	/* What has been read from the socket already tells nothing. */
	ck_assert_int_eq(tls_read(p.tls, got, 3, &more), 3);
	ck_assert(more);
	ck_assert_int_eq(tls_read(p.tls, got, 3, &more), 1);
	ck_assert(!more);
	ck_assert_int_eq(tls_write(p.tls, &iov, 1), 5);
	ck_assert(!tls_holds(p.tls));
	ck_assert_int_eq(SSL_read(p.ssl, got, sizeof(got)), 5);
	ck_assert_mem_eq(got, hello, 5);
	ck_assert_str_eq(
	    tls_version_name(p.tls), _i == 0 ? "TLSv1.2" : "TLSv1.3");
	pair_close(&p);
	tls_context_unref(t);
	clean_up();
}
END_TEST

/* The client's bytes reach us one by one. */
START_TEST(a_handshake_may_be_cut_anywhere)
{
	const struct offer o = { .version = versions[_i] };
	struct tls_context *t;
	char byte, got[16];
	struct pair p;
	BIO *to, *from;
	int err = SW_EAGAIN;
	ssize_t n;
	bool more;

	set_up();
	want(&w, "one", EC, "");
	t = context_of(&w, NULL);
	pair_open(&p, t, &o, 1);
	BIO_new_bio_pair(&from, 1 << 16, &to, 1 << 16);
	SSL_set_bio(p.ssl, from, from);
	while (err == SW_EAGAIN || !SSL_is_init_finished(p.ssl)) {
		SSL_do_handshake(p.ssl);
		while (BIO_read(to, &byte, 1) == 1) {
			ck_assert_int_eq(write(p.theirs, &byte, 1), 1);
			if (err == SW_EAGAIN)
				err = tls_handshake(p.tls);
		}
		while ((n = read(p.theirs, &byte, 1)) == 1)
			BIO_write(to, &byte, 1);
		ck_assert(err == SW_EAGAIN || err == SW_OK);
	}
	client_writes(&p, "late");
	while (BIO_read(to, &byte, 1) == 1) {
		ck_assert_int_eq(
		    tls_read(p.tls, got, sizeof(got), &more), SW_EAGAIN);
		ck_assert_int_eq(write(p.theirs, &byte, 1), 1);
	}
	ck_assert_int_eq(tls_read(p.tls, got, sizeof(got), &more), 4);
	BIO_free(to);
	pair_close(&p);
	tls_context_unref(t);
	clean_up();
}
END_TEST

enum { MUCH = 1 << 20, PIECES = 7 };

/* What was counted as written is forgotten by the caller, and still arrives. */
START_TEST(what_the_socket_does_not_take_is_held)
{
	static const size_t sizes[PIECES] = { 1, 0, 40000, 16384, 70000, 3,
		5000 };
	const struct offer o = { .version = versions[_i], .buffer = 4096 };
	uint8_t *all, *got, *scratch[PIECES];
	size_t sent = 0, received = 0, held = 0;
	struct tls_context *t;
	struct pair p;

	set_up();
	want(&w, "one", EC, "");
	t = context_of(&w, NULL);
	pair_make(&p, t, &o);
	all = malloc(MUCH);
	got = malloc(MUCH);
	for (size_t i = 0; i < MUCH; i++)
		all[i] = (uint8_t)(i * 2654435761u >> 13);
	for (size_t i = 0; i < PIECES; i++)
		scratch[i] = malloc(sizes[i] + 1);
	while (received < MUCH) {
		struct iovec iov[PIECES];
		size_t at = sent;
		ssize_t n;
		int size;

		for (size_t i = 0; i < PIECES; i++) {
			size_t len =
			    MUCH - at < sizes[i] ? MUCH - at : sizes[i];

			memcpy(scratch[i], all + at, len);
			iov[i] = (struct iovec){ scratch[i], len };
			at += len;
		}
		n = tls_write(p.tls, iov, PIECES);
		ck_assert_int_ge(n, 0);
		sent += (size_t)n;
		held += tls_holds(p.tls);
		for (size_t i = 0; i < PIECES; i++)
			memset(scratch[i], 0xee, sizes[i]);
		size = SSL_read(p.ssl, got + received,
		    (int)(MUCH - received < 20000 ? MUCH - received : 20000));
		if (size > 0)
			received += (size_t)size;
		ck_assert_uint_le(received, sent);
	}
	ck_assert_uint_gt(held, 10);
	ck_assert_uint_eq(sent, MUCH);
	ck_assert_int_eq(tls_write(p.tls, NULL, 0), 0);
	ck_assert(!tls_holds(p.tls));
	ck_assert_mem_eq(got, all, MUCH);
	for (size_t i = 0; i < PIECES; i++)
		free(scratch[i]);
	free(all);
	free(got);
	pair_close(&p);
	tls_context_unref(t);
	clean_up();
}
END_TEST

/* The end. */

START_TEST(a_goodbye_is_said_and_heard)
{
	const struct offer o = { .version = versions[_i] };
	struct tls_context *t;
	struct pair p;
	char byte;
	bool more;

	set_up();
	want(&w, "one", EC, "");
	t = context_of(&w, NULL);
	pair_make(&p, t, &o);
	client_writes(&p, "x");
	ck_assert_int_eq(SSL_shutdown(p.ssl), 0);
	ck_assert_int_eq(tls_read(p.tls, &byte, 1, &more), 1);
	ck_assert(more);
	ck_assert_int_eq(tls_read(p.tls, &byte, 1, &more), 0);
	ck_assert(!more);
	ck_assert_int_eq(tls_read(p.tls, &byte, 1, &more), 0);
	ck_assert_int_eq(tls_goodbye(p.tls), SW_OK);
	ck_assert_int_eq(SSL_shutdown(p.ssl), 1);
	pair_close(&p);
	tls_context_unref(t);
	clean_up();
}
END_TEST

START_TEST(an_end_without_goodbye_is_an_end_as_well)
{
	const struct offer o = { .version = versions[_i] };
	struct tls_context *t;
	struct pair p;
	char got[4];
	bool more;

	set_up();
	want(&w, "one", EC, "");
	t = context_of(&w, NULL);
	pair_make(&p, t, &o);
	client_writes(&p, "x");
	shutdown(p.theirs, SHUT_WR);
	ck_assert_int_eq(tls_read(p.tls, got, sizeof(got), &more), 1);
	ck_assert(more);
	ck_assert_int_eq(tls_read(p.tls, got, sizeof(got), &more), 0);
	pair_close(&p);
	tls_context_unref(t);
	clean_up();
}
END_TEST

START_TEST(what_is_no_record_breaks_the_connection_for_good)
{
	const struct offer o = { .version = versions[_i] };
	char x[] = "x";
	const struct iovec iov = { x, 1 };
	struct tls_context *t;
	struct pair p;
	char got[4];
	bool more;

	set_up();
	want(&w, "one", EC, "");
	t = context_of(&w, NULL);
	pair_make(&p, t, &o);
	ck_assert_int_eq(write(p.theirs, "GET / HTTP/1.1\r\n\r\n", 18), 18);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(
		    tls_read(p.tls, got, sizeof(got), &more), SW_ECLOSED);
	ck_assert(!more);
	ck_assert_int_eq(tls_write(p.tls, &iov, 1), SW_ECLOSED);
	ck_assert_int_eq(tls_goodbye(p.tls), SW_OK);
	pair_close(&p);
	tls_context_unref(t);
	clean_up();
}
END_TEST

START_TEST(keys_are_changed_only_so_often)
{
	const struct offer o = { .version = TLS1_3_VERSION };
	struct tls_context *t;
	struct pair p;
	char byte;
	bool more;

	set_up();
	want(&w, "one", EC, "");
	t = context_of(&w, NULL);
	pair_make(&p, t, &o);
	for (int i = 1; i <= 1000; i++) {
		ck_assert_int_eq(
		    SSL_key_update(p.ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		client_writes(&p, "a");
		ck_assert_int_eq(tls_read(p.tls, &byte, 1, &more), 1);
	}
	ck_assert_int_eq(
	    SSL_key_update(p.ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
	client_writes(&p, "a");
	ck_assert_int_eq(tls_read(p.tls, &byte, 1, &more), SW_ECLOSED);
	ck_assert(!more);
	pair_close(&p);
	tls_context_unref(t);
	clean_up();
}
END_TEST

START_TEST(who_leaves_during_the_handshake_has_left)
{
	struct tls_context *t;
	struct pair p;

	set_up();
	want(&w, "one", EC, "");
	t = context_of(&w, NULL);
	pair_open(&p, t, &(struct offer){ 0 }, 1);
	SSL_do_handshake(p.ssl);
	ck_assert_int_eq(tls_handshake(p.tls), SW_EAGAIN);
	shutdown(p.theirs, SHUT_RDWR);
	ck_assert_int_eq(tls_handshake(p.tls), SW_ECLOSED);
	ck_assert_int_eq(tls_goodbye(p.tls), SW_OK);
	pair_close(&p);
	tls_context_unref(t);
	clean_up();
}
END_TEST

/* Who gets which certificate. */

static const struct {
	const char *name, *signatures, *expected;
} choices[] = {
	/* By name, exact before a wildcard, wherever they stand. */
	{ "b.test", NULL, "exact" },
	{ "B.TEST", NULL, "exact" },
	{ "a.any.test", NULL, "any" },
	{ "www.any.test", NULL, "www" },
	/* A wildcard is one label, not more, not fewer. */
	{ "a.b.any.test", NULL, "first" },
	{ "any.test", NULL, "first" },
	/* Of the kind that is understood. */
	{ "first.test", NULL, "first" },
	{ "first.test", "RSA-PSS+SHA256:RSA+SHA256", "rsa" },
	{ "first.test", "ECDSA+SHA256", "first" },
	/* A name nobody has, or none. */
	{ "nobody.test", NULL, "first" },
	{ "nobody.test", "RSA-PSS+SHA256:RSA+SHA256", "rsa" },
	{ NULL, NULL, "first" },
	{ NULL, "RSA-PSS+SHA256:RSA+SHA256", "rsa" },
	/* There is no ECDSA beside it: it is not replaced by another name's. */
	{ "only.test", NULL, "only" },
};

START_TEST(the_certificate_is_chosen_by_name_and_kind)
{
	struct tls_context *t;

	set_up();
	want(&w, "first", EC, "DNS:first.test");
	want(&w, "rsa", "rsa:2048", "DNS:first.test");
	want(&w, "any", EC, "DNS:*.any.test");
	want(&w, "exact", EC, "DNS:a.test,DNS:b.test");
	want(&w, "www", EC, "DNS:www.any.test");
	want(&w, "only", "rsa:2048", "DNS:only.test");
	t = context_of(&w, NULL);
	for (size_t i = 0; i < COUNT(choices); i++) {
		const struct offer o = { .name = choices[i].name,
			.signatures = choices[i].signatures,
			.version = versions[_i] };
		char got[64] = "";
		struct pair p;
		X509 *x;

		pair_make(&p, t, &o);
		x = SSL_get1_peer_certificate(p.ssl);
		X509_NAME_get_text_by_NID(X509_get_subject_name(x),
		    NID_organizationName, got, sizeof(got));
		ck_assert_msg(strcmp(got, choices[i].expected) == 0,
		    "%s: %s instead of %s",
		    choices[i].name == NULL ? "(none)" : choices[i].name, got,
		    choices[i].expected);
		X509_free(x);
		pair_close(&p);
	}
	tls_context_unref(t);
	clean_up();
}
END_TEST

START_TEST(only_http_1_1_is_offered_by_alpn)
{
	static const struct {
		const char *protocols;
		int expected;
	} cases[] = {
		{ NULL, SW_OK },
		{ "\x08http/1.1", SW_OK },
		{ "\x02h2\x08http/1.1", SW_OK },
		{ "\x02h2", SW_EPROTO },
	};
	struct tls_context *t;

	set_up();
	want(&w, "one", EC, "");
	t = context_of(&w, NULL);
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct offer o = { .protocols = cases[i].protocols,
			.version = versions[_i] };
		const unsigned char *chosen;
		unsigned len;
		struct pair p;

		pair_open(&p, t, &o, 1);
		ck_assert_int_eq(pair_shake(&p), cases[i].expected);
		if (cases[i].expected == SW_OK) {
			SSL_get0_alpn_selected(p.ssl, &chosen, &len);
			ck_assert_uint_eq(len, o.protocols == NULL ? 0 : 8);
		} else {
			ck_assert_ptr_nonnull(strstr(tls_failure(p.tls), "no"));
		}
		pair_close(&p);
	}
	tls_context_unref(t);
	clean_up();
}
END_TEST

START_TEST(an_older_version_than_wanted_is_refused)
{
	static const struct {
		enum tls_version oldest;
		int offered, expected;
	} cases[] = {
		{ TLS_1_2, TLS1_2_VERSION, SW_OK },
		{ TLS_1_2, TLS1_1_VERSION, SW_EPROTO },
		{ TLS_1_3, TLS1_3_VERSION, SW_OK },
		{ TLS_1_3, TLS1_2_VERSION, SW_EPROTO },
	};
	struct tls_context *t;
	struct pair p;

	set_up();
	want(&w, "one", EC, "");
	w.conf.tls_min_version = cases[_i].oldest;
	t = context_of(&w, NULL);
	pair_open(&p, t, &(struct offer){ 0 }, 1);
	SSL_set_min_proto_version(p.ssl, cases[_i].offered);
	SSL_set_max_proto_version(p.ssl, cases[_i].offered);
	/* The client's library is not to refuse it by itself. */
	SSL_set_security_level(p.ssl, 0);
	ck_assert_int_eq(pair_shake(&p), cases[_i].expected);
	pair_close(&p);
	tls_context_unref(t);
	clean_up();
}
END_TEST

/* Sessions. */

/* The session of a connection made at `now_ms` from `before`; was it resumed?
 */
static SSL_SESSION *
session_at(struct tls_context *t, int version, SSL_SESSION *before,
    uint64_t now_ms, bool *resumed)
{
	const struct offer o = { .version = version, .session = before };
	SSL_SESSION *after;
	struct pair p;
	char byte;

	pair_open(&p, t, &o, now_ms);
	ck_assert_int_eq(pair_shake(&p), SW_OK);
	/* Tickets of TLS 1.3 come behind the handshake. */
	ck_assert_int_eq(SSL_read(p.ssl, &byte, 1), -1);
	*resumed = tls_resumed(p.tls);
	ck_assert_int_eq(SSL_session_reused(p.ssl), *resumed);
	after = SSL_get1_session(p.ssl);
	/* Or the session counts as broken. */
	SSL_shutdown(p.ssl);
	pair_close(&p);
	return after;
}

START_TEST(a_session_is_resumed_until_its_keys_are_gone)
{
	/* Keys are a second old when they change, and two when they go. */
	static const struct {
		uint64_t made_ms, again_ms;
		bool resumed;
	} cases[] = { { 1, 1, true }, { 1, 900, true }, { 1, 1500, true },
		{ 1, 2500, false }, { 1, 90000, false } };
	struct tls_tickets *tickets;
	struct tls_context *t, *reloaded;
	SSL_SESSION *first, *second;
	bool resumed;

	set_up();
	want(&w, "one", EC, "");
	for (size_t i = 0; i < COUNT(cases); i++) {
		ck_assert_int_eq(tls_tickets_new(&tickets), SW_OK);
		t = context_of(&w, tickets);
		first = session_at(
		    t, versions[_i], NULL, cases[i].made_ms, &resumed);
		ck_assert(!resumed);
		tls_context_unref(t);
		/* Other certificates do not end it. */
		reloaded = context_of(&w, tickets);
		second = session_at(
		    reloaded, versions[_i], first, cases[i].again_ms, &resumed);
		ck_assert_msg(resumed == cases[i].resumed, "%zu", i);
		SSL_SESSION_free(first);
		SSL_SESSION_free(second);
		tls_context_unref(reloaded);
		tls_tickets_free(tickets);
	}
	clean_up();
}
END_TEST

START_TEST(a_ticket_of_somebody_else_is_worth_nothing)
{
	struct tls_tickets *mine, *others;
	struct tls_context *t;
	SSL_SESSION *first, *second;
	bool resumed;

	set_up();
	want(&w, "one", EC, "");
	ck_assert_int_eq(tls_tickets_new(&mine), SW_OK);
	ck_assert_int_eq(tls_tickets_new(&others), SW_OK);
	t = context_of(&w, others);
	first = session_at(t, versions[_i], NULL, 1, &resumed);
	tls_context_unref(t);
	t = context_of(&w, mine);
	second = session_at(t, versions[_i], first, 1, &resumed);
	ck_assert(!resumed);
	SSL_SESSION_free(first);
	SSL_SESSION_free(second);
	tls_context_unref(t);
	tls_tickets_free(mine);
	tls_tickets_free(others);
	clean_up();
}
END_TEST

START_TEST(without_an_age_sessions_are_not_resumed)
{
	struct tls_tickets *tickets;
	struct tls_context *t;
	SSL_SESSION *first, *second;
	bool resumed;

	set_up();
	want(&w, "one", EC, "");
	w.conf.tls_session_age_ms = 0;
	ck_assert_int_eq(tls_tickets_new(&tickets), SW_OK);
	t = context_of(&w, tickets);
	first = session_at(t, versions[_i], NULL, 1, &resumed);
	second = session_at(t, versions[_i], first, 1, &resumed);
	ck_assert(!resumed);
	ck_assert(!SSL_SESSION_has_ticket(second));
	SSL_SESSION_free(first);
	SSL_SESSION_free(second);
	tls_context_unref(t);
	tls_tickets_free(tickets);
	clean_up();
}
END_TEST

/* Files. */

static void
concatenate(const char *a, const char *b, const char *to)
{
	size_t n, m;
	char *first = scratch_read(a, &n), *second = scratch_read(b, &m);
	char *both = malloc(n + m);

	memcpy(both, first, n);
	memcpy(both + n, second, m);
	scratch_write(to, both, n + m);
	free(first);
	free(second);
	free(both);
}

START_TEST(a_key_may_stand_in_the_file_of_its_certificate)
{
	struct tls_certificate_info c;
	struct tls_context *t;

	set_up();
	make_certificate("one", EC, "DNS:a.test,DNS:*.b.test");
	concatenate("one.key", "one.pem", "both.pem");
	want_files(&w, "both.pem", NULL);
	t = context_of(&w, NULL);
	ck_assert(tls_certificate_describe(t, 0, &c));
	ck_assert_str_eq(c.path, w.certificates[0]);
	ck_assert_str_eq(c.kind, "ECDSA");
	ck_assert_str_eq(c.names, "a.test,*.b.test");
	ck_assert_int_gt(c.expires, time(NULL) + 2 * 86400);
	ck_assert_int_lt(c.expires, time(NULL) + 4 * 86400);
	ck_assert(!tls_certificate_describe(t, 1, &c));
	tls_context_unref(t);
	clean_up();
}
END_TEST

START_TEST(the_chain_is_sent_behind_the_certificate)
{
	struct tls_context *t;
	struct pair p;

	set_up();
	make_certificate("one", EC, "");
	make_certificate("two", EC, "");
	concatenate("one.pem", "two.pem", "chain.pem");
	want_files(&w, "chain.pem", "one.key");
	t = context_of(&w, NULL);
	pair_make(&p, t, &(struct offer){ 0 });
	ck_assert_int_eq(sk_X509_num(SSL_get_peer_cert_chain(p.ssl)), 2);
	pair_close(&p);
	tls_context_unref(t);
	clean_up();
}
END_TEST

/* What is wrong, in which words: %s is the directory. */
static const struct {
	const char *certificate, *key, *fault;
} faults[] = {
	{ "none.pem", "one.key",
	    "tls-certificate \"%s/none.pem\" cannot be read: No such file or "
	    "directory" },
	{ "one.pem", "none.key",
	    "tls-key \"%s/none.key\" cannot be read: No such file or "
	    "directory" },
	{ "one.pem", "two.key",
	    "tls-key \"%s/two.key\" is not the key of tls-certificate "
	    "\"%s/one.pem\"" },
	{ "one.key", "one.key",
	    "tls-certificate \"%s/one.key\" has no certificate in PEM that can "
	    "be read: no start line" },
	{ "one.pem", "one.pem",
	    "tls-key \"%s/one.pem\" has no private key in PEM that can be "
	    "read: unsupported" },
	{ "one.pem", NULL,
	    "tls-key \"%s/one.pem\" has no private key in PEM that can be "
	    "read: unsupported" },
	{ "empty", "one.key",
	    "tls-certificate \"%s/empty\" has no certificate in PEM that can "
	    "be read: no start line" },
	{ "cut.pem", "one.key",
	    "tls-certificate \"%s/cut.pem\" has no certificate in PEM that can "
	    "be read: bad end line" },
	{ "cut-chain.pem", "one.key",
	    "tls-certificate \"%s/cut-chain.pem\" has no certificate in PEM "
	    "that can be read: bad end line" },
	{ "one.pem", "locked.key",
	    "tls-key \"%s/locked.key\" has a passphrase: write it without, "
	    "with openssl pkey -in FILE" },
	{ "weak.pem", "weak.key",
	    "tls-certificate \"%s/weak.pem\" is refused: ee key too small" },
};

START_TEST(what_is_wrong_with_a_file_is_said)
{
	char expected[2048], command[2048], *text;
	size_t len;

	set_up();
	make_certificate("one", EC, "");
	make_certificate("two", EC, "");
	make_certificate("weak", "rsa:1024", "");
	scratch_write("empty", "", 0);
	text = scratch_read("one.pem", &len);
	scratch_write("cut.pem", text, len / 2);
	free(text);
	concatenate("one.pem", "cut.pem", "cut-chain.pem");
	snprintf(command, sizeof(command),
	    "openssl pkey -in %s/one.key -aes128 -passout pass:secret -out "
	    "%s/locked.key",
	    scratch_dir, scratch_dir);
	ck_assert_int_eq(system(command), 0);
	want_files(&w, faults[_i].certificate, faults[_i].key);
	snprintf(expected, sizeof(expected), faults[_i].fault, scratch_dir,
	    scratch_dir);
	ck_assert_str_eq(fault_of(&w), expected);
	clean_up();
}
END_TEST

/* Memory. */

static int
open_and_hold(void *arg)
{
	struct tls_context *t = NULL;
	struct tls_tickets *tickets = NULL;
	struct tls *tls = NULL;
	struct buf why;
	int err;

	buf_init(&why, 4096);
	if ((err = tls_tickets_new(&tickets)) == SW_OK &&
	    (err = tls_context_new(&t, &w.conf, tickets, &why)) == SW_OK)
		err = tls_open(&tls, t, false, *(int *)arg, 1);
	tls_free(tls);
	tls_context_unref(t);
	tls_tickets_free(tickets);
	buf_fini(&why);
	return err;
}

START_TEST(memory_that_runs_out_is_told_and_nothing_stays)
{
	int fds[2];

	set_up();
	want(&w, "one", EC, "DNS:one.test");
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	oom_tell(open_and_hold, &fds[0]);
	close(fds[0]);
	close(fds[1]);
	clean_up();
}
END_TEST

START_TEST(without_memory_to_hold_a_record_the_connection_ends)
{
	const struct offer o = { .buffer = 4096 };
	static uint8_t block[1 << 18];
	const struct iovec iov = { block, sizeof(block) };
	struct tls_context *t;
	struct pair p;
	ssize_t n;

	set_up();
	want(&w, "one", EC, "");
	t = context_of(&w, NULL);
	pair_make(&p, t, &o);
	oom_begin(1, true);
	n = tls_write(p.tls, &iov, 1);
	oom_end();
	ck_assert_int_eq(n, SW_ECLOSED);
	ck_assert_int_eq(tls_write(p.tls, &iov, 1), SW_ECLOSED);
	pair_close(&p);
	tls_context_unref(t);
	clean_up();
}
END_TEST

SUITE("tls", LOOP(bytes_go_both_ways, 2),
    LOOP(a_handshake_may_be_cut_anywhere, 2),
    LOOP(what_the_socket_does_not_take_is_held, 2),
    LOOP(a_goodbye_is_said_and_heard, 2),
    LOOP(an_end_without_goodbye_is_an_end_as_well, 2),
    LOOP(what_is_no_record_breaks_the_connection_for_good, 2),
    TEST(keys_are_changed_only_so_often),
    TEST(who_leaves_during_the_handshake_has_left),
    LOOP(the_certificate_is_chosen_by_name_and_kind, 2),
    LOOP(only_http_1_1_is_offered_by_alpn, 2),
    LOOP(an_older_version_than_wanted_is_refused, 4),
    LOOP(a_session_is_resumed_until_its_keys_are_gone, 2),
    LOOP(a_ticket_of_somebody_else_is_worth_nothing, 2),
    LOOP(without_an_age_sessions_are_not_resumed, 2),
    TEST(a_key_may_stand_in_the_file_of_its_certificate),
    TEST(the_chain_is_sent_behind_the_certificate),
    LOOP(what_is_wrong_with_a_file_is_said, COUNT(faults)),
    TEST(memory_that_runs_out_is_told_and_nothing_stays),
    TEST(without_memory_to_hold_a_record_the_connection_ends))
