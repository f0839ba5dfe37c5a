#include "proxy/base/log.h"

#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/utf8.h"

static _Atomic enum log_level threshold = LOG_INFO;
static _Atomic bool as_json;

static const char *const level_names[] = {
	[LOG_ERROR] = "error",
	[LOG_WARN] = "warn",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

/*
 * A message is cut at its end; as JSON it may grow. A pipe that takes anything
 * takes a line as a whole.
 */
enum { MESSAGE_MAX = 1024, LINE_MAX_BYTES = PIPE_BUF };

/* How long whoever reads the log may have us wait, once. */
enum { PATIENCE_MS = 1000 };

/* One line after the other; and lines lost since one was written. */
static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER;
static unsigned long lost;

/* A line under construction; what does not fit is cut off. */
struct line {
	char bytes[LINE_MAX_BYTES];
	size_t len;
};

static void
line_put(struct line *l, const char *p, size_t n)
{
	size_t room = sizeof(l->bytes) - 1 - l->len;

	if (n > room)
		n = room;
	memcpy(l->bytes + l->len, p, n);
	l->len += n;
}

static void
line_puts(struct line *l, const char *text)
{
	line_put(l, text, strlen(text));
}

void
log_set(enum log_level level, bool json)
{
	atomic_store(&threshold, level);
	atomic_store(&as_json, json);
}

bool
log_enabled(enum log_level level)
{
	return level <= atomic_load_explicit(&threshold, memory_order_relaxed);
}

/* Behind the quoted text at `p`; NULL if the message was cut inside it. */
static const char *
quoted_end(const char *p)
{
	for (p++; *p != '"'; p++) {
		if (*p == '\\')
			p++;
		if (*p == '\0')
			return NULL;
	}
	return p + 1;
}

/* Length of the field `key=value` at `p`, 0 if there is none. */
static size_t
field_length(const char *p, size_t *key_len)
{
	const char *q = p;

	while ((*q >= 'a' && *q <= 'z') || *q == '_' || *q == '-' ||
	    (q > p && *q >= '0' && *q <= '9'))
		q++;
	if (q == p || *q != '=')
		return 0;
	*key_len = (size_t)(q - p);
	q++;
	if (*q == '"') {
		q = quoted_end(q);
		return q == NULL ? strlen(p) : (size_t)(q - p);
	}
	while (*q != '\0' && *q != ' ')
		q++;
	return (size_t)(q - p);
}

static void
put_json_text(struct line *l, const char *p, size_t n)
{
	char hex[8];

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];

		if (c == '"' || c == '\\')
			line_puts(l, "\\");
		if (c < 0x20) {
			snprintf(hex, sizeof(hex), "\\u%04x", c);
			line_puts(l, hex);
		} else {
			line_put(l, p + i, 1);
		}
	}
}

/* Where the fields begin that the message ends with, or its end. */
static const char *
fields_at_end(const char *message)
{
	const char *p = message, *fields = NULL;

	while (*p != '\0') {
		size_t key_len, n = field_length(p, &key_len);

		if (n == 0)
			fields = NULL; /* a sentence goes on behind them */
		else if (fields == NULL)
			fields = p;
		p += n > 0 ? n : strcspn(p, " ");
		p += strspn(p, " ");
	}
	return fields == NULL ? p : fields;
}

/* "words key=value ..." as members of a JSON object. */
static void
put_json(struct line *l, const char *message)
{
	const char *p = fields_at_end(message);
	size_t words = (size_t)(p - message);

	line_puts(l, ",\"message\":\"");
	put_json_text(l, message,
	    words > 0 && message[words - 1] == ' ' ? words - 1 : words);
	line_puts(l, "\"");
	while (*p != '\0') {
		size_t key_len = 0;
		size_t n = field_length(p, &key_len);
		const char *value = p + key_len + 1;

		line_puts(l, ",\"");
		line_put(l, p, key_len);
		line_puts(l, "\":");
		if (*value == '"' && quoted_end(value) != NULL) {
			/* Quoted by log_quote: already escaped for JSON. */
			line_put(l, value, n - key_len - 1);
		} else {
			line_puts(l, "\"");
			put_json_text(l, value, n - key_len - 1);
			line_puts(l, "\"");
		}
		p += n;
		while (*p == ' ')
			p++;
	}
}

static void
compose(struct line *l, enum log_level level, const char *message)
{
	char stamp[40];
	struct timespec now;
	struct tm tm;
	size_t n;

	l->len = 0;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(
	    stamp + n, sizeof(stamp) - n, ".%03ldZ", now.tv_nsec / 1000000);

	if (atomic_load(&as_json)) {
		line_puts(l, "{\"time\":\"");
		line_puts(l, stamp);
		line_puts(l, "\",\"level\":\"");
		line_puts(l, level_names[level]);
		line_puts(l, "\"");
		put_json(l, message);
		line_puts(l, "}");
	} else {
		line_puts(l, stamp);
		line_puts(l, " ");
		line_puts(l, level_names[level]);
		line_puts(l, " ");
		line_puts(l, message);
	}
	l->bytes[l->len++] = '\n';
}

/*
 * A pipe, or the journal, that nobody reads is full some time, and would hold
 * up whoever writes: all clients. A reader that is busy is waited for, one that
 * is away is not waited for again.
 */
static bool
takes_more(void)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

	return poll(&p, 1, lost > 0 ? 0 : PATIENCE_MS) != 0;
}

/* Nothing can be done about a log that cannot be written. */
static void
put_line(const struct line *l)
{
	if (write(STDERR_FILENO, l->bytes, l->len) < 0)
		return;
}

static void
tell_lost(void)
{
	char message[80];
	struct line line;

	snprintf(message, sizeof(message),
	    "log: %lu lines are lost: nobody has taken them", lost);
	compose(&line, LOG_WARN, message);
	put_line(&line);
	lost = 0;
}

void
log_write(enum log_level level, const char *format, ...)
{
	char message[MESSAGE_MAX];
	struct line line;
	va_list args;

	if (!log_enabled(level))
		return;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	compose(&line, level, message);
	pthread_mutex_lock(&writing);
	if (lost > 0 && takes_more())
		tell_lost();
	if (lost == 0 && takes_more())
		put_line(&line);
	else
		lost++;
	pthread_mutex_unlock(&writing);
}

/*
 * The character at the beginning of a text, and how many bytes it has; a byte
 * that is none stands for itself, as in Latin-1.
 */
static size_t
first_character(uint32_t *out, struct str text)
{
	unsigned char lead = (unsigned char)text.p[0];
	size_t n = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;

	*out = lead;
	if (n == 1 || n > text.len || !utf8_valid(text.p, n))
		return 1;
	*out = lead & (0x7fU >> n);
	for (size_t i = 1; i < n; i++)
		*out = *out << 6 | ((unsigned char)text.p[i] & 0x3f);
	return n;
}

/* As in JSON: above 16 bits in two halves. */
static size_t
put_escape(char *out, uint32_t c)
{
	if (c < 0x10000)
		return (size_t)sprintf(out, "\\u%04x", c);
	c -= 0x10000;
	return (size_t)sprintf(
	    out, "\\u%04x\\u%04x", 0xd800 | c >> 10, 0xdc00 | (c & 0x3ff));
}

const char *
log_quote(char out[LOG_QUOTED], struct str text)
{
	size_t n = 0, used;
	uint32_t c;

	out[n++] = '"';
	for (size_t i = 0; i < text.len; i += used) {
		used = first_character(
		    &c, (struct str){ text.p + i, text.len - i });
		/* An escape, three dots, a quote and the end. */
		if (n > LOG_QUOTED - 17) {
			memcpy(out + n, "...", 3);
			n += 3;
			break;
		}
		if (c == '"' || c == '\\') {
			out[n++] = '\\';
			out[n++] = (char)c;
		} else if (c < 0x20 || c > 0x7e) {
			n += put_escape(out + n, c);
		} else {
			out[n++] = (char)c;
		}
	}
	out[n++] = '"';
	out[n] = '\0';
	return out;
}
