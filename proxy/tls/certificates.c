#include "proxy/tls/certificates.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <time.h>

#include "proxy/base/err.h"
#include "proxy/base/log.h"

/* What is served to whom, and until when. */
static void
log_certificates(const struct tls_context *t)
{
	static const char *const staples[] = {
		[TLS_STAPLE_NONE] = "none",
		[TLS_STAPLE_GOOD] = "good",
		[TLS_STAPLE_BAD] = "revoked-or-unknown",
		[TLS_STAPLE_OUTDATED] = "outdated",
		[TLS_STAPLE_FOREIGN] = "of-other-certificates",
		[TLS_STAPLE_UNREADABLE] = "unreadable",
	};
	struct tls_certificate_info c;
	struct timespec now;
	char names[LOG_QUOTED];
	int64_t days;

	clock_gettime(CLOCK_REALTIME, &now);
	for (size_t i = 0; tls_certificate_describe(t, i, &c); i++) {
		days = (c.expires - (int64_t)now.tv_sec) / (24 * 3600);
		/* One that ended today has not a day left, but one less. */
		days -= c.expires < (int64_t)now.tv_sec;
		log_write(days < 7 || c.staple > TLS_STAPLE_GOOD ? LOG_WARN :
								   LOG_INFO,
		    "certificate file=%s kind=%s names=%s days-left=%" PRId64
		    " ocsp=%s",
		    c.path, c.kind, log_quote(names, str_of(c.names)), days,
		    staples[c.staple]);
	}
}

static int
load(struct tls_context **out, struct certificates *c, const struct conf *conf)
{
	struct buf why;
	int err;

	*out = NULL;
	if (conf->tls_certificate_count == 0)
		return SW_OK;
	buf_init(&why, 64 << 10);
	err = tls_context_new(out, conf, c->tickets, &why);
	if (err == SW_OK)
		log_certificates(*out);
	else
		log_error("tls: %.*s", STR_ARG(buf_str(&why)));
	buf_fini(&why);
	return err;
}

static uint64_t
mix(uint64_t sum, uint64_t value)
{
	/* FNV's prime. */
	return (sum ^ value) * 0x100000001b3U;
}

static uint64_t
look_at_files(uint64_t sum, char *const *paths, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct stat st;

		if (stat(paths[i], &st) != 0) {
			sum = mix(sum, (uint64_t)errno);
			continue;
		}
		sum = mix(mix(sum, (uint64_t)st.st_dev), (uint64_t)st.st_ino);
		sum = mix(mix(sum, (uint64_t)st.st_size),
		    (uint64_t)st.st_mtim.tv_sec);
		sum = mix(sum, (uint64_t)st.st_mtim.tv_nsec);
	}
	return sum;
}

static uint64_t
look(const struct conf *conf)
{
	uint64_t sum = look_at_files(
	    0, conf->tls_certificate, conf->tls_certificate_count);

	sum = look_at_files(sum, conf->tls_key, conf->tls_key_count);
	sum =
	    look_at_files(sum, conf->api_client_ca, conf->api_client_ca_count);
	return look_at_files(sum, conf->tls_ocsp, conf->tls_ocsp_count);
}

int
certificates_open(struct certificates *c, const struct conf *conf)
{
	int err = tls_tickets_new(&c->tickets);

	if (err != SW_OK)
		return err;
	c->tried = c->seen = look(conf);
	return load(&c->context, c, conf);
}

void
certificates_close(struct certificates *c)
{
	tls_context_unref(c->context);
	tls_tickets_free(c->tickets);
}

int
certificates_renew(struct tls_context **replaced, struct certificates *c,
    const struct conf *conf)
{
	uint64_t seen = look(conf);
	struct tls_context *fresh;
	int err = load(&fresh, c, conf);

	*replaced = NULL;
	if (err != SW_OK) {
		log_error("reload: the certificates cannot be used; the old "
			  "ones stay in use");
		return err;
	}
	c->tried = c->seen = seen;
	if (fresh == NULL)
		return SW_OK; /* whoever listens still needs them */
	*replaced = c->context;
	c->context = fresh;
	return SW_OK;
}

bool
certificates_changed(struct certificates *c, const struct conf *conf)
{
	uint64_t now = look(conf);
	bool stands = now == c->seen;

	c->seen = now;
	if (!stands || now == c->tried)
		return false;
	c->tried = now;
	return true;
}
