#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "conf/check_backend.h"
#include "conf/conf.h"
#include "proxy/auth/token_command.h"
#include "proxy/base/err.h"
#include "proxy/base/log.h"
#include "proxy/compare/command.h"
#include "proxy/gateway.h"
#include "proxy/process.h"
#include "proxy/systemd.h"
#include "proxy/tls/tls.h"

#ifndef SPILLWAY_SYSCONFDIR
#define SPILLWAY_SYSCONFDIR "/etc/spillway"
#endif

enum exit_status { EXIT_FINE = 0, EXIT_START = 1, EXIT_USAGE = 2 };

struct options {
	const char *file;
	bool test_only;
	bool print;
};

static void
usage(FILE *out)
{
	fputs("Usage: spillway [-c FILE] [-t] [--print-config]\n"
	      "       spillway token --key FILE [options]\n"
	      "       spillway compare [options]\n"
	      "       spillway --version | --help\n"
	      "\n"
	      "  -c, --config FILE   configuration to use instead of\n"
	      "                      " SPILLWAY_SYSCONFDIR "/spillway.conf\n"
	      "  -t, --test          check the configuration and exit\n"
	      "      --print-config  print all that is in effect and exit\n"
	      "      --version       print the version and exit\n"
	      "  -h, --help          print this and exit\n"
	      "  token               make a token; see spillway token --help\n"
	      "  compare             measure what each transport costs; see\n"
	      "                      spillway compare --help\n"
	      "\n"
	      "Manuals: spillway(8), spillway.conf(5)\n",
	    out);
}

/* The end of what was asked for: did it reach its reader? */
static int
printed(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_FINE;
	fprintf(stderr, "spillway: cannot write: %s\n", strerror(errno));
	return EXIT_START;
}

/* False: there is nothing more to do; `*status` says how it went. */
static bool
read_options(struct options *o, int argc, char **argv, int *status)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "test", no_argument, NULL, 't' },
		{ "print-config", no_argument, NULL, 'p' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	*o = (struct options){ .file = SPILLWAY_SYSCONFDIR "/spillway.conf" };
	*status = EXIT_FINE;
	while ((c = getopt_long(argc, argv, "c:th", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->file = optarg;
			break;
		case 't':
			o->test_only = true;
			break;
		case 'p':
			o->print = true;
			break;
		case 'V':
			puts("spillway " PACKAGE_VERSION);
			*status = printed();
			return false;
		case 'h':
			usage(stdout);
			*status = printed();
			return false;
		default:
			usage(stderr);
			*status = EXIT_USAGE;
			return false;
		}
	}
	if (optind < argc) {
		fprintf(stderr,
		    "%s: what is \"%s\"? -c FILE names a configuration\n",
		    argv[0], argv[optind]);
		usage(stderr);
		*status = EXIT_USAGE;
		return false;
	}
	return true;
}

/*
 * What is wrong, one fault a line: for a person who starts it or asks with -t;
 * in the log, an entry each, when it runs. Without places they are the file's.
 */
static void
tell(const char *file, struct str faults, bool running)
{
	const char *colon = file[0] == '\0' ? "" : ": ";
	struct str one;

	while (str_cut(&faults, '\n', &one)) {
		if (one.len > 0 && running)
			log_error("%s%s%.*s", file, colon, STR_ARG(one));
		else if (one.len > 0)
			fprintf(
			    stderr, "%s%s%.*s\n", file, colon, STR_ARG(one));
	}
}

static bool
is_pipe(const char *file)
{
	struct stat st;

	return stat(file, &st) == 0 &&
	    (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

/* The configuration, or NULL after its faults were told. */
static struct conf *
load(const struct options *o, bool running)
{
	struct conf *conf = NULL;
	struct buf faults;
	int err;

	/* Nothing would come of it but defaults, or a wait without an end. */
	if (running && is_pipe(o->file)) {
		tell(o->file,
		    str_of("is a pipe, and what it had was read: have it in a "
			   "file, for SIGHUP to read again"),
		    running);
		return NULL;
	}
	buf_init(&faults, 1 << 20);
	err = conf_load(&conf, o->file, &faults);
	if (err != SW_OK && buf_len(&faults) > 0) {
		tell("", buf_str(&faults), running);
	} else if (err != SW_OK) {
		tell(o->file, str_of(err_info(err)->sentence), running);
	} else if (backend_files_check(conf, &faults) != SW_OK) {
		tell(o->file, buf_str(&faults), running);
		conf_free(conf);
		conf = NULL;
	}
	buf_fini(&faults);
	return conf;
}

/* Can the certificates be used? If not, it is told. */
static bool
certificates_are_fine(
    const struct options *o, const struct conf *conf, bool running)
{
	struct tls_context *tls = NULL;
	struct buf why;
	int err = SW_OK;

	buf_init(&why, 64 << 10);
	if (conf->tls_certificate_count > 0)
		err = tls_context_new(&tls, conf, NULL, &why);
	if (err != SW_OK)
		tell(o->file, buf_str(&why), running);
	tls_context_unref(tls);
	buf_fini(&why);
	return err == SW_OK;
}

/* What the files say is fine; are those that they name? */
static int
test(const struct options *o, const struct conf *conf)
{
	struct identity id;

	if (!certificates_are_fine(o, conf, false) ||
	    identity_find(&id, conf) != SW_OK)
		return EXIT_START;
	printf("%s: fine\n", o->file);
	return printed();
}

/* Who has become somebody else may not be able to read again what it has. */
static void
rehearse_reload(const struct options *o)
{
	struct conf *conf = load(o, true);

	if (conf == NULL || !certificates_are_fine(o, conf, true))
		log_warn("SIGHUP will change nothing: the daemon cannot read "
			 "its files again, for the reasons above; let its user "
			 "read them");
	conf_free(conf);
}

static int
print(const struct conf *conf)
{
	struct buf out;
	int err;

	/* A block of a few bytes may be a page of what is in effect. */
	buf_init(&out, SIZE_MAX / 2);
	err = conf_print(conf, &out);
	if (err == SW_OK)
		fwrite(buf_head(&out), 1, buf_len(&out), stdout);
	else
		fprintf(stderr, "spillway: %s\n", err_info(err)->sentence);
	buf_fini(&out);
	return err == SW_OK ? printed() : EXIT_START;
}

/* Signals come to this thread alone: all others are born with them blocked. */
static void
block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	/* To other servers they say that logs were rotated; here they would
	 * be the end. */
	sigaddset(set, SIGUSR1);
	sigaddset(set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* A file as large as we may make it is a full disk, not the end. */
	signal(SIGXFSZ, SIG_IGN);
}

static sigset_t awaited;

static bool
is_end(int s)
{
	return s == SIGTERM || s == SIGINT;
}

/* A second SIGTERM, while draining: stop now. */
static bool
asked_again(void)
{
	const struct timespec now = { 0, 0 };
	siginfo_t info;
	int s;

	while ((s = sigtimedwait(&awaited, &info, &now)) > 0)
		if (is_end(s))
			return true;
	return false;
}

/*
 * The scanner in libconfuse ends the program when memory runs out. At the start
 * that is as good as anything; later we look first whether there is enough.
 */
static bool
is_memory_left(void)
{
	enum { BLOCKS = 64, BYTES = 16 << 10 };
	void *blocks[BLOCKS];
	size_t n = 0;

	while (n < BLOCKS && (blocks[n] = malloc(BYTES)) != NULL)
		n++;
	for (size_t i = 0; i < n; i++)
		free(blocks[i]);
	return n == BLOCKS;
}

static void
reload(struct gateway *g, const struct options *o)
{
	struct conf *next = NULL;

	systemd_notify("RELOADING=1");
	if (!is_memory_left())
		log_error("reload: memory ran out; the old configuration stays "
			  "in use file=%s",
		    o->file);
	else if ((next = load(o, true)) == NULL)
		log_error("reload: the configuration has faults; the old one "
			  "stays in use file=%s",
		    o->file);
	else if (gateway_reload(g, next) != SW_OK)
		log_error("reload: the old configuration stays in use file=%s",
		    o->file);
	systemd_notify("READY=1");
}

/* 0 ms: for ever. Negative when there was none. */
static int
await_signal(uint64_t wait_ms)
{
	const struct timespec wait = { (time_t)(wait_ms / 1000),
		(long)(wait_ms % 1000) * 1000000 };
	siginfo_t info;

	return wait_ms > 0 ? sigtimedwait(&awaited, &info, &wait) :
			     sigwaitinfo(&awaited, &info);
}

/* A drain-time beyond TimeoutStopSec= is meant as well. */
static void
notify_end(const struct gateway *g)
{
	enum { COMMITS_MS = 30000 };
	char text[128];

	snprintf(text, sizeof(text), "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64,
	    (gateway_drain_ms(g) + COMMITS_MS) * 1000);
	systemd_notify(text);
}

/* What is done beside signals. Returns how long to wait for one; 0: for ever */
static uint64_t
look_after(struct gateway *g)
{
	uint64_t files = gateway_watch(g), beat = gateway_beat(g);

	return files == 0 || (beat != 0 && beat < files) ? beat : files;
}

static void
serve(struct gateway *g, const struct options *o)
{
	uint64_t wait_ms;
	int s;

	systemd_notify("READY=1");
	log_info("ready");
	wait_ms = look_after(g);
	do {
		s = await_signal(wait_ms);
		if (s == SIGHUP)
			reload(g, o);
		else if (s == SIGUSR1 || s == SIGUSR2)
			log_warn("SIGUSR%d means nothing here: the log goes to "
				 "the standard error",
			    s == SIGUSR1 ? 1 : 2);
		wait_ms = look_after(g);
	} while (!is_end(s));
	notify_end(g);
	gateway_drain(g, asked_again);
}

int
main(int argc, char **argv)
{
	struct options o;
	struct gateway *g;
	struct conf *conf;
	bool changes;
	int status, err;

	if (argc > 1 && strcmp(argv[1], "token") == 0)
		return token_command(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "compare") == 0)
		return compare_command(argc - 1, argv + 1);
	if (!read_options(&o, argc, argv, &status))
		return status;
	conf = load(&o, false);
	if (conf == NULL)
		return o.test_only ? EXIT_START : EXIT_USAGE;
	if (o.test_only || o.print) {
		status = o.print ? print(conf) : test(&o, conf);
		conf_free(conf);
		return status;
	}
	log_set(conf->log_level, conf->log_json);
	log_info("starting version=" PACKAGE_VERSION);
	changes = strcmp(conf->user, "off") != 0;
	block_signals(&awaited);
	if (process_fill_standard() != SW_OK) {
		conf_free(conf);
		return EXIT_START;
	}
	if ((err = gateway_start(&g, conf)) != SW_OK) {
		/* Whatever else it was, has been told where it was found. */
		log_error("not started%s%s", err == SW_ENOMEM ? ": " : "",
		    err == SW_ENOMEM ? err_info(err)->sentence : "");
		return EXIT_START;
	}
	if (changes)
		rehearse_reload(&o);
	serve(g, &o);
	gateway_free(g);
	log_info("stopped");
	return EXIT_FINE;
}
