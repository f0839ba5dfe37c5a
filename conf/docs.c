#include "conf/docs.h"

#include "conf/directives.h"
#include "conf/fields.h"
#include "proxy/base/err.h"

enum { WIDTH = 78 };

static const char sample_head[] =
    "# spillway.conf: configuration of the spillway daemon.\n"
    "#\n"
    "# A line such as \"#workers = 0\" is a setting with its default: remove "
    "the #\n"
    "# to change it. Lines that begin with \"# \" explain. To check a file:\n"
    "#\n"
    "#     spillway -t -c spillway.conf\n"
    "#\n"
    "# Durations have one of the units ms, s, m, h and d. Sizes are bytes, or "
    "have\n"
    "# one of the units k, m and g. Values with signs in them stand in double\n"
    "# quotes, lists in braces. Other files are included where this stands:\n"
    "#\n"
    "#     include(\"more.conf\")\n"
    "#\n"
    "# Settings are read again on SIGHUP, but for those that need a restart.\n"
    "# More in spillway.conf(5).\n";

static const char sample_channels[] =
    "\n"
    "# The settings above hold for all channels, and for some channels in a "
    "block:\n"
    "#\n"
    "#     channel \"room-*\" {\n"
    "#             history-events = 1000\n"
    "#             send = publish\n"
    "#     }\n"
    "#\n"
    "# A * stands for any text. The first block that matches a channel's name "
    "holds;\n"
    "# what it does not set is as above.\n";

static const char sample_routes[] =
    "\n"
    "# Some paths may have another backend, or other settings of these, in a "
    "block:\n"
    "#\n"
    "#     route \"/api/*\" {\n"
    "#             backend = { \"http://10.0.0.2:4000\", "
    "\"http://10.0.0.3:4000\" }\n"
    "#             strip-prefix = yes\n"
    "#             backend-response-timeout = 5s\n"
    "#     }\n"
    "#     route \"/internal/*\" { backend = off }\n"
    "#\n"
    "# A * stands for any text; \"/api/*\" means /api as well. The first "
    "block in the\n"
    "# file that matches a path holds; what it does not set is as above.\n";

static const char manual_head[] =
    ".\\\" Made from the table of directives by conf/gendoc.\n"
    ".Dd November 20, 2026\n"
    ".Dt SPILLWAY.CONF 5\n"
    ".Os\n"
    ".Sh NAME\n"
    ".Nm spillway.conf\n"
    ".Nd configuration of the spillway realtime gateway\n"
    ".Sh DESCRIPTION\n"
    "This file configures\n"
    ".Xr spillway 8 .\n"
    "All directives have a default, so it may be empty.\n"
    "When anything in it is wrong, the daemon does not start, or goes on with\n"
    "the configuration that it has; all faults are reported at once, each "
    "with\n"
    "its file and line and what to write instead.\n"
    ".Ss Syntax\n"
    "A directive is set by its name, an equals sign and a value on the same\n"
    "line:\n"
    ".Bd -literal -offset indent\n"
    "workers = 4\n"
    "log\\-level = debug\n"
    "store = \"/srv/spillway/history.db\"\n"
    ".Ed\n"
    ".Pp\n"
    "It may be set once.\n"
    "A directive that takes a list takes one value, or several in braces with\n"
    "commas between them.\n"
    "A list may span lines, and\n"
    ".Ql +=\n"
    "adds to one that was set before:\n"
    ".Bd -literal -offset indent\n"
    "listen = { \"127.0.0.1:8080\", \"[::1]:8080\" }\n"
    "listen += \"unix:/run/spillway/public\"\n"
    ".Ed\n"
    ".Pp\n"
    "Values with blanks or one of the signs\n"
    ".Ql \"# \\(dq \\(aq = { } ( ) + , *\"\n"
    "stand in double or single quotes, which end on the line on which they\n"
    "begin.\n"
    "In double quotes,\n"
    ".Ql \\e\\(dq\n"
    "and\n"
    ".Ql \\e\\e\n"
    "stand for a quote and a backslash,\n"
    ".Ql \\exHH\n"
    "for the character of that number, and\n"
    ".Ql ${NAME}\n"
    "for a variable of the environment, or\n"
    ".Ql ${NAME:\\-text}\n"
    "for that text if there is no such variable.\n"
    ".Pp\n"
    "Comments begin with\n"
    ".Ql #\n"
    "or\n"
    ".Ql //\n"
    "and end with the line, or stand between\n"
    ".Ql /*\n"
    "and\n"
    ".Ql */ .\n"
    ".Ss Values and units\n"
    ".Bl -tag -width duration\n"
    ".It Ar number\n"
    "A whole number.\n"
    ".It Ar duration\n"
    "A whole number and one of the units\n"
    ".Cm ms , s , m , h\n"
    "and\n"
    ".Cm d\n"
    "(milliseconds, seconds, minutes, hours and days), such as\n"
    ".Ql 250ms .\n"
    "Only 0 has no unit.\n"
    ".It Ar size\n"
    "A number of bytes, or a whole number and one of the units\n"
    ".Cm k , m\n"
    "and\n"
    ".Cm g\n"
    "(1024, 1024 times as many, and 1024 times as many again), such as\n"
    ".Ql 64k .\n"
    ".It Ar address\n"
    "An IP address and a port, such as\n"
    ".Ql 127.0.0.1:8080\n"
    "or\n"
    ".Ql [::1]:8080 ;\n"
    ".Ql localhost:8080 ,\n"
    "which is 127.0.0.1;\n"
    ".Ql :8080\n"
    "for all addresses of the machine; or\n"
    ".Ql unix:/path\n"
    "for a Unix socket.\n"
    "Other names are not looked up.\n"
    "Port 0 stands for any free port.\n"
    ".It Ar path\n"
    "A file or directory.\n"
    "A path that does not begin with a slash is relative to the directory in\n"
    "which the daemon was started.\n"
    ".El\n"
    ".Ss Includes\n"
    "A file includes another with\n"
    ".Bd -literal -offset indent\n"
    "include(\"more.conf\")\n"
    ".Ed\n"
    ".Pp\n"
    "outside of blocks, as if its text stood there.\n"
    "A path that does not begin with a slash is relative to the directory of\n"
    "the file that includes.\n"
    "Includes may nest up to 8 files deep.\n"
    ".Ss Channel blocks\n"
    "The directives under\n"
    ".Sx Channels\n"
    "may also stand in blocks, and then hold for some channels:\n"
    ".Bd -literal -offset indent\n"
    "channel \"room\\-*\" {\n"
    "        history\\-events = 1000\n"
    "        send = publish\n"
    "}\n"
    ".Ed\n"
    ".Pp\n"
    "In the pattern,\n"
    ".Ql *\n"
    "stands for any text, also for none; all else must be characters that\n"
    "channels have in their names (A\\-Z a\\-z 0\\-9 . _ ~ : \\-).\n"
    "There may be any number of blocks, each with a pattern of its own.\n"
    "The first one in the file whose pattern matches the name of a channel\n"
    "holds for it, however well a later one would fit; a block that could\n"
    "never hold, because one before it has all of its channels, is a fault.\n"
    "What it does not set is inherited from the settings outside of blocks,\n"
    "wherever they stand, and these also hold for all other channels.\n"
    ".Ss Route blocks\n"
    "Directives that are marked\n"
    ".Dq By route\n"
    "may also stand in a block for the requests to some paths, which go\n"
    "through the reverse proxy:\n"
    ".Bd -literal -offset indent\n"
    "backend = \"http://127.0.0.1:3000\"\n"
    "\n"
    "route \"/api/*\" {\n"
    "        backend = { \"http://10.0.0.2:4000\", "
    "\"http://10.0.0.3:4000\" }\n"
    "        strip\\-prefix = yes\n"
    "        request\\-header = { \"X\\-Team: a\", \"Cookie:\" }\n"
    "        backend\\-response\\-timeout = 5s\n"
    "}\n"
    "route \"/internal/*\" { backend = off }\n"
    ".Ed\n"
    ".Pp\n"
    "As with channels a\n"
    ".Ql *\n"
    "stands for any text, the first block in the file whose pattern matches\n"
    "holds, and what it does not set is inherited from outside of blocks.\n"
    "A block that could never hold, because one before it has all of its\n"
    "paths, is a fault.\n"
    "A pattern with\n"
    ".Ql /*\n"
    "at its end also means the path without it:\n"
    ".Ql /api/*\n"
    "is /api, /api/ and all below, but not /apis.\n"
    "Upper and lower case differ.\n"
    "The gateway's own paths (/stream/..., /spillway/..., /healthz, /readyz)\n"
    "stay its own.\n"
    ".Pp\n"
    "A pattern is compared with the path as the client wrote it, without the\n"
    "query, and the path is passed on as it is.\n"
    "But a request is refused (400) if any of what servers are known to do to\n"
    "paths would make the path another route's: to decode its escapes, once "
    "or\n"
    "twice, to resolve\n"
    ".Ql \\&.\n"
    "and\n"
    ".Ql .. ,\n"
    "to merge slashes, to turn\n"
    ".Ql \\e\n"
    "into one, to drop parameters behind a\n"
    ".Ql \\&; .\n"
    "So with the routes above /api/../internal/x, /api/%2e%2e/internal and\n"
    "/%69nternal reach nobody, while /api/a%2Fb and /api/a/../b go where\n"
    "/api/* says.\n"
    ".Pp\n"
    "A route that says\n"
    ".Ic backend\n"
    "itself has its own connections, limits, failures and probes, and those\n"
    "directives about them that say so may stand in it; other routes share\n"
    "what there is outside.\n"
    "Patterns, their order and backends need a restart: if a reload finds\n"
    "others, that is logged, and all routes stay as they were, with all that\n"
    "they say.\n"
    "Other settings in routes are read again on SIGHUP.\n";

static const char manual_tail[] =
    ".Sh FILES\n"
    ".Bl -tag -width Ds\n"
    ".It Pa /etc/spillway/spillway.conf\n"
    "The configuration, unless\n"
    ".Xr spillway 8\n"
    "is told of another file.\n"
    ".El\n"
    ".Sh EXAMPLES\n"
    "A gateway on the machine of its backend, which publishes over the\n"
    "loopback interface, behind a proxy that ends TLS.\n"
    "Nothing has to be set for that, but rooms keep less than other channels\n"
    "and their members may write to each other:\n"
    ".Bd -literal -offset indent\n"
    "heartbeat = 30s\n"
    "history\\-age = 30d\n"
    "\n"
    "channel \"room\\-*\" {\n"
    "        history\\-age = 1d\n"
    "        send = publish\n"
    "}\n"
    ".Ed\n"
    ".Pp\n"
    "A gateway on the open internet, for the pages of one site, whose tokens\n"
    "say who may listen to which rooms, and a channel that needs none:\n"
    ".Bd -literal -offset indent\n"
    "listen = \":8080\"\n"
    "token\\-key = { \"ES256:file:/etc/spillway/token.pem\" }\n"
    "token\\-audience = { \"spillway\" }\n"
    "allow\\-origin = { \"https://app.example.com\" }\n"
    "\n"
    "channel \"news\" {\n"
    "        subscribe = anyone\n"
    "}\n"
    ".Ed\n"
    ".Pp\n"
    "A gateway that is open to everybody, with publishers on other machines:\n"
    ".Bd -literal -offset indent\n"
    "listen = off\n"
    "listen\\-tls = \":443\"\n"
    "tls\\-certificate = \"/etc/spillway/example.org.pem\"\n"
    "tls\\-key = \"/etc/spillway/example.org.key\"\n"
    "anonymous = yes\n"
    "api\\-listen = { \"127.0.0.1:8081\", \"10.0.0.5:8081\" }\n"
    "api\\-token = { \"file:/etc/spillway/api\\-token\" }\n"
    "max\\-connections\\-per\\-address = 100\n"
    ".Ed\n"
    ".Pp\n"
    "Prices that must not be lost, and a ticker that nobody reads twice:\n"
    ".Bd -literal -offset indent\n"
    "channel \"price:*\" {\n"
    "        durability = full\n"
    "        history\\-age = 0\n"
    "}\n"
    "channel \"ticker\" {\n"
    "        durability = memory\n"
    "        history\\-events = 1\n"
    "}\n"
    ".Ed\n"
    ".Sh SEE ALSO\n"
    ".Xr spillway 8\n";

/*
 * Where the next line of a text ends: at a sentence's end if `sentences`, else
 * before the last word that does not fit.
 */
static size_t
line_length(const char *text, size_t width, bool sentences)
{
	size_t end = 0;

	for (size_t i = 0;; i++) {
		if (text[i] != ' ' && text[i] != '\0')
			continue;
		if (i > width && end > 0)
			return end;
		end = i;
		if (text[i] == '\0' ||
		    (sentences && i > 0 && text[i - 1] == '.'))
			return end;
	}
}

/* Each line of the text behind "# ". */
static void
put_comment(const char *text, struct buf *out)
{
	while (*text != '\0') {
		size_t n = line_length(text, WIDTH - 2, false);

		buf_printf(out, "# %.*s\n", (int)n, text);
		text += n;
		text += *text == ' ';
	}
}

/* The default of a directive, or one value of its list. */
static void
put_fallback(const struct directive *d, struct buf *out)
{
	const char *value = d->fallback != NULL ? d->fallback : d->example;

	if (directive_is_list(d) || directive_is_text(d))
		field_put_quoted(out, value);
	else
		buf_puts(out, value);
}

/* Does the range of what is accepted say anything? */
static bool
has_range(const struct directive *d)
{
	return !directive_is_text(d) && !directive_is_list(d);
}

static void
put_sample_directive(const struct directive *d, struct buf *out)
{
	struct buf range;

	buf_puts(out, "\n");
	put_comment(d->help, out);
	buf_init(&range, 1024);
	if (has_range(d)) {
		buf_puts(&range, "Write ");
		field_put_range(d, &range);
		buf_puts(&range, ".");
	}
	if (d->restart)
		buf_puts(&range, " A change needs a restart.");
	buf_put(&range, "", 1);
	put_comment((char *)buf_head(&range) + (*buf_head(&range) == ' '), out);
	buf_fini(&range);
	buf_puts(out, d->fallback != NULL ? "#" : "# For example: ");
	buf_printf(out, "%s = %s", d->name, directive_is_list(d) ? "{ " : "");
	put_fallback(d, out);
	buf_puts(out, directive_is_list(d) ? " }\n" : "\n");
}

int
docs_sample(struct buf *out)
{
	buf_puts(out, sample_head);
	for (size_t i = 0; i < directive_count(); i++) {
		const struct directive *d = directive_at(i);
		bool first = i == 0 || d->group != directive_at(i - 1)->group;

		if (first && i > 0 &&
		    directive_at(i - 1)->group == GROUP_CHANNELS)
			buf_puts(out, sample_channels);
		if (first && i > 0 &&
		    directive_at(i - 1)->group == GROUP_BACKEND)
			buf_puts(out, sample_routes);
		if (first)
			buf_printf(out, "\n\n# ---- %s ----\n",
			    directive_groups[d->group]);
		put_sample_directive(d, out);
	}
	return buf_error(out);
}

/* Text for roff: its minus signs are minus signs, not hyphens. */
static void
put_roff(struct str text, struct buf *out)
{
	if (text.len > 0 && (*text.p == '.' || *text.p == '\''))
		buf_puts(out, "\\&");
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] == '-')
			buf_puts(out, "\\-");
		else if (text.p[i] == '\\')
			buf_puts(out, "\\e");
		else
			buf_put(out, text.p + i, 1);
	}
}

static void
put_roff_lines(const char *text, struct buf *out)
{
	while (*text != '\0') {
		size_t n = line_length(text, WIDTH - 8, true);

		put_roff((struct str){ text, n }, out);
		buf_puts(out, "\n");
		text += n;
		text += *text == ' ';
	}
}

/* What stands behind the equals sign. */
static void
put_argument(const struct directive *d, struct buf *out)
{
	static const char *const arguments[] = {
		[KIND_FLAG] = " Cm yes | no",
		[KIND_COUNT] = " Ar number",
		[KIND_BYTES] = " Ar size",
		[KIND_MSEC] = " Ar duration",
		[KIND_PATH] = " Ar path",
		[KIND_ADDRESSES] = " { Ar address , No ... }",
		[KIND_PATHS] = " { Ar path , No ... }",
		[KIND_TOKENS] = " { Ar token , No ... }",
		[KIND_KEYS] = " { Ar key , No ... }",
		[KIND_TEXTS] = " { Ar text , No ... }",
		[KIND_ORIGINS] = " { Ar origin , No ... }",
		[KIND_BACKENDS] = " { Ar backend , No ... }",
		[KIND_NETWORKS] = " { Ar network , No ... }",
		[KIND_HEADERS] = " { Ar header , No ... }",
		[KIND_NAME] = " Ar name",
	};

	if (d->kind != KIND_WORD) {
		buf_puts(out, arguments[d->kind]);
		return;
	}
	for (size_t i = 0; d->words[i] != NULL; i++) {
		buf_puts(out, i == 0 ? " Cm " : " | ");
		put_roff(str_of(d->words[i]), out);
	}
}

static void
put_manual_directive(const struct directive *d, struct buf *out)
{
	struct buf text;

	buf_puts(out, ".It Ic ");
	put_roff(str_of(d->name), out);
	buf_puts(out, " No =");
	put_argument(d, out);
	buf_puts(out, "\n");
	put_roff_lines(d->help, out);
	buf_puts(out, ".Pp\n");
	buf_init(&text, 1024);
	buf_puts(&text, "Default: ");
	if (d->fallback == NULL)
		buf_puts(&text, "none");
	else
		put_fallback(d, &text);
	/* Words stand behind the name already. */
	if (has_range(d) && d->kind != KIND_FLAG && d->kind != KIND_WORD) {
		buf_puts(&text, ". Accepts ");
		field_put_range(d, &text);
	}
	buf_puts(&text,
	    d->restart ? ". A change needs a restart." :
			 ". Read again on SIGHUP.");
	if (d->pool)
		buf_puts(&text, " By route, beside its own backend.");
	else if (d->route)
		buf_puts(&text, " By route.");
	buf_put(&text, "", 1);
	put_roff_lines((char *)buf_head(&text), out);
	buf_fini(&text);
}

int
docs_manual(struct buf *out)
{
	buf_puts(out, manual_head);
	for (size_t i = 0; i < directive_count(); i++) {
		const struct directive *d = directive_at(i);

		if (i > 0 && d->group != directive_at(i - 1)->group)
			buf_puts(out, ".El\n");
		if (i == 0 || d->group != directive_at(i - 1)->group)
			buf_printf(out, ".Ss %s\n.Bl -tag -width Ds\n",
			    directive_groups[d->group]);
		put_manual_directive(d, out);
	}
	buf_puts(out, ".El\n");
	buf_puts(out, manual_tail);
	return buf_error(out);
}
