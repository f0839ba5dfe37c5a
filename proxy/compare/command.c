#include "proxy/compare/command.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/command_line.h"
#include "proxy/base/digest.h"
#include "proxy/base/err.h"
#include "proxy/compare/run.h"

enum {
	STATUS_LOSS = 3, /* events were missing, late or there twice */
	STATUS_INTERRUPTED = 130,
	OTHER_FILES = 32, /* that are open beside those of subscribers */
	OUTPUT_MAX = 4 << 20,
};

static void
complain(struct str why)
{
	fprintf(stderr, "spillway compare: %.*s\n", STR_ARG(why));
}

/* As many descriptors as we may have; are they enough? */
static bool
have_files(const struct compare_options *o)
{
	struct rlimit files;
	uint64_t subscribers =
	    o->subscribers * (o->together ? o->transport_count : 1);
	uint64_t need = subscribers + OTHER_FILES;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return true;
	if (files.rlim_cur < need) {
		files.rlim_cur =
		    files.rlim_max < need ? files.rlim_max : (rlim_t)need;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (files.rlim_cur >= need)
		return true;
	fprintf(stderr,
	    "spillway compare: --subscribers: %" PRIu64 " of them need %" PRIu64
	    " open files, and %" PRIu64
	    " are allowed; raise that with `ulimit -n`\n",
	    subscribers, need, (uint64_t)files.rlim_max);
	return false;
}

/*
 * Where the gateway is, and its API: who has none may still have the demo, but
 * is told that there are no numbers then.
 */
static bool
find_places(struct compare_options *o, struct result *r, bool *has_api)
{
	struct buf why;
	bool fine;

	buf_init(&why, 4096);
	fine = place_find(&o->url, &why) == SW_OK;
	if (!fine) {
		buf_puts(
		    &why, ": is the gateway running? --url says where it is");
		complain(buf_str(&why));
		buf_fini(&why);
		return false;
	}
	*has_api = place_find(&o->api, &why) == SW_OK;
	if (o->together)
		r->no_gauge = "CPU and memory are of all transports together: "
			      "without --together they are told apart";
	r->by_demo = o->publisher == PUBLISHER_DEMO || !*has_api;
	r->demo_counts = !*has_api;
	if (!*has_api && o->publisher == PUBLISHER_API) {
		buf_puts(&why,
		    ": this is where to publish; --api says where "
		    "the operator's API is");
		complain(buf_str(&why));
		fine = false;
	} else if (!*has_api) {
		r->no_gauge = "the operator's API is not reachable (--api)";
		buf_puts(&why,
		    ": the OPERATOR'S API IS NOT REACHABLE (--api). There are "
		    "no figures of the gateway's CPU and memory, and its demo "
		    "is asked to publish");
		complain(buf_str(&why));
	}
	buf_fini(&why);
	return fine;
}

static bool
need_tls(const struct compare_options *o)
{
	return o->url.secure || o->api.secure;
}

static bool
write_out(FILE *f, const struct buf *out, const char *path)
{
	bool fine = buf_error(out) == SW_OK &&
	    fwrite(buf_head(out), 1, buf_len(out), f) == buf_len(out) &&
	    fflush(f) == 0;

	if (!fine)
		fprintf(stderr, "spillway compare: %s: %s\n", path,
		    buf_error(out) != SW_OK ?
			err_info(buf_error(out))->sentence :
			strerror(errno));
	return fine;
}

/* To a file that is named, or none. */
static bool
take_away(const char *path, const struct result *r,
    void (*put)(struct buf *out, const struct result *r))
{
	FILE *f = stdout;
	struct buf out;
	bool fine;

	if (path == NULL)
		return true;
	if (strcmp(path, "-") != 0 && (f = fopen(path, "we")) == NULL) {
		fprintf(stderr, "spillway compare: %s: %s\n", path,
		    strerror(errno));
		return false;
	}
	buf_init(&out, OUTPUT_MAX);
	put(&out, r);
	fine = write_out(f, &out, path);
	buf_fini(&out);
	if (f != stdout && fclose(f) != 0 && fine) {
		fprintf(stderr, "spillway compare: %s: %s\n", path,
		    strerror(errno));
		fine = false;
	}
	return fine;
}

static bool
is_output(const char *path)
{
	return path != NULL && strcmp(path, "-") == 0;
}

/*
 * Before an hour is measured for it. What there is stays as it is until then,
 * and who reads a pipe has no end of it.
 */
static bool
can_write(const char *path)
{
	struct stat st;
	bool is_new;
	FILE *f;

	if (path == NULL || is_output(path))
		return true;
	is_new = stat(path, &st) != 0;
	if (!is_new && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return true;
	f = fopen(path, "ae");
	if (f == NULL) {
		fprintf(stderr, "spillway compare: %s: %s\n", path,
		    strerror(errno));
		return false;
	}
	fclose(f);
	if (is_new)
		unlink(path);
	return true;
}

/* The table, where nothing else goes. */
static bool
report(const struct result *r)
{
	const struct compare_options *o = r->options;
	bool beside =
	    is_output(o->json) || is_output(o->csv) || is_output(o->html);
	struct buf out;
	bool fine;

	buf_init(&out, OUTPUT_MAX);
	result_put_table(&out, r);
	fine = write_out(beside ? stderr : stdout, &out, "the table");
	buf_fini(&out);
	/* All of them, whatever becomes of one. */
	fine &= take_away(o->json, r, result_put_json);
	fine &= take_away(o->csv, r, result_put_csv);
	fine &= take_away(o->html, r, result_put_html);
	return fine;
}

static int
judge(const struct result *r)
{
	if (r->cut_short)
		return STATUS_INTERRUPTED;
	for (size_t i = 0; i < r->count; i++)
		if (!phase_is_measured(&r->phases[i]))
			return COMMAND_FAILED;
	for (size_t i = 0; i < r->count; i++)
		if (!phase_is_clean(r, &r->phases[i]))
			return STATUS_LOSS;
	return COMMAND_FINE;
}

static bool
is_something(const struct result *r)
{
	for (size_t i = 0; i < r->count; i++)
		if (phase_is_measured(&r->phases[i]))
			return true;
	return r->cut_short;
}

/* Borrowed from `why`, if that says anything. */
static const char *
sentence_of(struct buf *why, int err)
{
	buf_put(why, "", 1);
	return buf_error(why) == SW_OK && buf_len(why) > 1 ?
	    (const char *)buf_head(why) :
	    err_info(err)->sentence;
}

static int
compare(struct result *r, bool has_api, struct secure_context *context)
{
	struct buf why;
	int err, status;

	buf_init(&why, 1 << 16);
	err = run_all(r, has_api, context, &why);
	if (err != SW_OK) {
		r->broken_off = sentence_of(&why, err);
		complain(str_of(r->broken_off));
	}
	status = err != SW_OK ? COMMAND_FAILED : judge(r);
	/* What there is, even then. */
	if (is_something(r) && !report(r))
		status = COMMAND_FAILED;
	buf_fini(&why);
	return status;
}

int
compare_command(int argc, char **argv)
{
	static struct compare_options o;
	static struct result r;
	struct secure_context *context = NULL;
	bool has_api;
	struct timespec now;
	struct buf why;
	int status;

	if (!compare_options_read(&o, argc, argv, &status))
		return status;
	clock_gettime(CLOCK_REALTIME, &now);
	r = (struct result){ .options = &o,
		.began_unix_ms = (uint64_t)now.tv_sec * 1000 };
	signal(SIGPIPE, SIG_IGN);
	if (!can_write(o.json) || !can_write(o.csv) || !can_write(o.html) ||
	    !have_files(&o) || digest_start() != SW_OK ||
	    !find_places(&o, &r, &has_api))
		return COMMAND_FAILED;
	buf_init(&why, 4096);
	if (need_tls(&o) &&
	    secure_context_new(&context, &o.tls, &why) != SW_OK) {
		complain(buf_str(&why));
		status = COMMAND_FAILED;
	} else {
		status = compare(&r, has_api, context);
	}
	buf_fini(&why);
	secure_context_free(context);
	return status;
}
