#include "proxy/base/json.h"

#include "proxy/base/err.h"
#include "proxy/base/utf8.h"
#include "proxy/base/vector.h"

/* Each of eight bytes. */
#define BYTES(b) (0x0101010101010101U * (b))

/* The top bit of each byte that is 0. */
static uint64_t
zero_bytes(uint64_t word)
{
	return ~(((word & BYTES(0x7f)) + BYTES(0x7f)) | word | BYTES(0x7f));
}

static uint64_t
short_escapes(uint64_t word)
{
	return zero_bytes(word ^ BYTES('"')) | zero_bytes(word ^ BYTES('\\'));
}

static uint64_t
control_characters(uint64_t word)
{
	return zero_bytes(word & BYTES(0xe0));
}

/* Which of eight bytes, as they are in memory, is the first with a mark. */
static size_t
first_marked(uint64_t marks)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return (size_t)__builtin_clzll(marks) / 8;
#else
	return (size_t)__builtin_ctzll(marks) / 8;
#endif
}

static bool
is_plain(unsigned char c)
{
	return c >= 0x20 && c != '"' && c != '\\';
}

enum { VECTORS = 4, BLOCK = VECTORS * sizeof(vector) };

static bool
is_plain_block(const char *p)
{
	vector v, marks = { 0 };

	for (size_t i = 0; i < VECTORS; i++) {
		v = vector_load(p + i * sizeof(v));
		marks |= (vector)((v < 0x20) | (v == '"') | (v == '\\'));
	}
	return vector_is_zero(marks);
}

/* How many bytes need no escape before the first that does, or the end. */
static size_t
plain_run(const char *p, size_t n)
{
	size_t i = 0;
	uint64_t word;

	while (n - i >= BLOCK && is_plain_block(p + i))
		i += BLOCK;
	for (; n - i >= sizeof(word); i += sizeof(word)) {
		memcpy(&word, p + i, sizeof(word));
		word = short_escapes(word) | control_characters(word);
		if (word != 0)
			return i + first_marked(word);
	}
	while (i < n && is_plain((unsigned char)p[i]))
		i++;
	return i;
}

bool
json_is_plain(struct str text)
{
	return plain_run(text.p, text.len) == text.len;
}

/* Where the reader stands; every step returns false on a syntax error. */
struct scan {
	const char *p;
	const char *end;
};

static void
skip_blanks(struct scan *s)
{
	while (s->p < s->end &&
	    (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
		s->p++;
}

static bool
scan_char(struct scan *s, char c)
{
	if (s->p == s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

static bool
scan_word(struct scan *s, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
		return false;
	s->p += n;
	return true;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Behind "\u": four digits. */
static bool
scan_hex(struct scan *s)
{
	if (s->end - s->p < 4)
		return false;
	for (int i = 0; i < 4; i++)
		if (hex_digit(s->p[i]) < 0)
			return false;
	s->p += 4;
	return true;
}

/* Behind a backslash. */
static bool
scan_escaped(struct scan *s)
{
	char c;

	if (s->p == s->end)
		return false;
	c = *s->p++;
	return c == 'u' ? scan_hex(s) :
			  c != '\0' && strchr("\"\\/bfnrt", c) != NULL;
}

static bool
scan_string(struct scan *s)
{
	if (!scan_char(s, '"'))
		return false;
	for (;;) {
		s->p += plain_run(s->p, (size_t)(s->end - s->p));
		if (scan_char(s, '"'))
			return true;
		if (!scan_char(s, '\\') || !scan_escaped(s))
			return false;
	}
}

static bool
scan_digits(struct scan *s)
{
	const char *start = s->p;

	while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
		s->p++;
	return s->p > start;
}

static bool
scan_number(struct scan *s)
{
	scan_char(s, '-');
	if (!scan_char(s, '0') && !scan_digits(s))
		return false;
	if (scan_char(s, '.') && !scan_digits(s))
		return false;
	if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
		s->p++;
		if (!scan_char(s, '+'))
			scan_char(s, '-');
		return scan_digits(s);
	}
	return true;
}

static bool
scan_scalar(struct scan *s)
{
	switch (*s->p) {
	case '"':
		return scan_string(s);
	case 't':
		return scan_word(s, "true");
	case 'f':
		return scan_word(s, "false");
	case 'n':
		return scan_word(s, "null");
	default:
		return scan_number(s);
	}
}

static bool
scan_key(struct scan *s)
{
	skip_blanks(s);
	if (!scan_string(s))
		return false;
	skip_blanks(s);
	return scan_char(s, ':');
}

/*
 * Arrays and objects that are open, as a stack of one bit each, so that a
 * stranger's nesting costs no stack of ours.
 */
struct nesting {
	uint64_t objects[JSON_DEPTH_MAX / 64];
	unsigned depth;
};

static bool
nesting_push(struct nesting *n, bool object)
{
	uint64_t bit = 1ULL << (n->depth % 64);
	uint64_t *word = &n->objects[n->depth / 64];

	if (n->depth == JSON_DEPTH_MAX)
		return false;
	*word = object ? *word | bit : *word & ~bit;
	n->depth++;
	return true;
}

static bool
nesting_in_object(const struct nesting *n)
{
	unsigned top = n->depth - 1;

	return (n->objects[top / 64] >> (top % 64) & 1) != 0;
}

/* Behind a value: close what ends here, or step to the next value. */
static bool
scan_after_value(struct scan *s, struct nesting *n)
{
	while (n->depth > 0) {
		bool object = nesting_in_object(n);

		skip_blanks(s);
		if (scan_char(s, ','))
			return !object || scan_key(s);
		if (!scan_char(s, object ? '}' : ']'))
			return false;
		n->depth--;
	}
	return true;
}

/* One value, without the blanks behind it. */
static bool
scan_value(struct scan *s)
{
	struct nesting n = { .depth = 0 };

	do {
		bool object;

		skip_blanks(s);
		if (s->p == s->end)
			return false;
		object = *s->p == '{';
		if (object || *s->p == '[') {
			s->p++;
			if (!nesting_push(&n, object))
				return false;
			skip_blanks(s);
			if (scan_char(s, object ? '}' : ']'))
				n.depth--;
			else if (object && !scan_key(s))
				return false;
			else
				continue;
		} else if (!scan_scalar(s)) {
			return false;
		}
		if (!scan_after_value(s, &n))
			return false;
	} while (n.depth > 0);
	return true;
}

bool
json_valid(struct str text)
{
	struct scan s;

	if (text.len == 0)
		return false;
	s = (struct scan){ text.p, text.p + text.len };
	if (!scan_value(&s))
		return false;
	skip_blanks(&s);
	return s.p == s.end && utf8_valid(text.p, text.len);
}

enum json_type
json_type(struct str value)
{
	switch (value.len > 0 ? value.p[0] : 'n') {
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_ARRAY;
	case '"':
		return JSON_STRING;
	case 't':
	case 'f':
		return JSON_BOOL;
	case 'n':
		return JSON_NULL;
	default:
		return JSON_NUMBER;
	}
}

static bool
open_container(struct json_iter *it, struct str text, char opening)
{
	struct scan s = { text.p, text.p + text.len };

	skip_blanks(&s);
	if (!scan_char(&s, opening))
		return false;
	it->rest = (struct str){ s.p, (size_t)(s.end - s.p) };
	return true;
}

bool
json_object(struct json_iter *it, struct str text)
{
	return open_container(it, text, '{');
}

bool
json_array(struct json_iter *it, struct str text)
{
	return open_container(it, text, '[');
}

/* Past the comma and blanks before the next one; false at the end. */
static bool
iter_begin(struct json_iter *it, struct scan *s)
{
	*s = (struct scan){ it->rest.p, it->rest.p + it->rest.len };
	skip_blanks(s);
	scan_char(s, ',');
	skip_blanks(s);
	return s->p < s->end && *s->p != '}' && *s->p != ']';
}

static bool
iter_end(struct json_iter *it, struct scan *s, struct str *value)
{
	const char *start;

	skip_blanks(s);
	start = s->p;
	if (!scan_value(s))
		return false;
	*value = (struct str){ start, (size_t)(s->p - start) };
	it->rest = (struct str){ s->p, (size_t)(s->end - s->p) };
	return true;
}

bool
json_member(struct json_iter *it, struct str *key, struct str *value)
{
	struct scan s;
	const char *start;

	if (!iter_begin(it, &s))
		return false;
	start = s.p;
	if (!scan_string(&s))
		return false;
	*key = (struct str){ start, (size_t)(s.p - start) };
	skip_blanks(&s);
	return scan_char(&s, ':') && iter_end(it, &s, value);
}

bool
json_element(struct json_iter *it, struct str *value)
{
	struct scan s;

	return iter_begin(it, &s) && iter_end(it, &s, value);
}

static uint32_t
read_hex(const char *p)
{
	uint32_t value = 0;

	for (int i = 0; i < 4; i++)
		value = value << 4 | (uint32_t)hex_digit(p[i]);
	return value;
}

/*
 * One character of a raw string as UTF-8; returns its length and moves `*p`
 * behind it. A lone surrogate becomes U+FFFD: it has no other form in UTF-8.
 */
static size_t
unescape_one(const char **p, const char *end, char out[4])
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *q = *p;
	uint32_t c;

	if (*q != '\\') {
		out[0] = *q;
		*p = q + 1;
		return 1;
	}
	if (q[1] != 'u') {
		out[0] = to[strchr(from, q[1]) - from];
		*p = q + 2;
		return 1;
	}
	c = read_hex(q + 2);
	q += 6;
	if (c >= 0xd800 && c < 0xdc00 && end - q >= 6 && q[0] == '\\' &&
	    q[1] == 'u') {
		uint32_t low = read_hex(q + 2);

		if (low >= 0xdc00 && low < 0xe000) {
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			q += 6;
		}
	}
	*p = q;
	if (c >= 0xd800 && c < 0xe000)
		c = 0xfffd;
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

bool
json_is(struct str raw, const char *text)
{
	const char *p = raw.p + 1, *end = raw.p + raw.len - 1;
	size_t left = strlen(text);
	char c[4];

	while (p < end) {
		size_t n = unescape_one(&p, end, c);

		if (n > left || memcmp(c, text, n) != 0)
			return false;
		text += n;
		left -= n;
	}
	return left == 0;
}

int
json_unescape(struct buf *out, struct str raw)
{
	const char *p = raw.p + 1, *end = raw.p + raw.len - 1;
	char c[4];
	int err = SW_OK;

	while (p < end && err == SW_OK) {
		const char *run = p;

		while (p < end && *p != '\\')
			p++;
		if (p > run)
			err = buf_put(out, run, (size_t)(p - run));
		if (p < end && err == SW_OK) {
			size_t n = unescape_one(&p, end, c);

			err = buf_put(out, c, n);
		}
	}
	return err;
}

/* Bytes that escaping adds to a text, at most. */
static size_t
escapes(const char *p, size_t n)
{
	size_t extra = 0;
	uint64_t word;

	for (; n >= sizeof(word); p += sizeof(word), n -= sizeof(word)) {
		uint64_t control;

		memcpy(&word, p, sizeof(word));
		control = control_characters(word);
		extra += (size_t)__builtin_popcountll(
			     short_escapes(word) | control) +
		    4u * (size_t)__builtin_popcountll(control);
	}
	for (; n > 0; p++, n--) {
		unsigned char c = (unsigned char)*p;

		extra += !is_plain(c) + 4u * (c < 0x20);
	}
	return extra;
}

static uint8_t *
escape_one(uint8_t *o, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";

	*o++ = '\\';
	switch (c) {
	case '"':
	case '\\':
		*o++ = c;
		break;
	case '\n':
		*o++ = 'n';
		break;
	case '\r':
		*o++ = 'r';
		break;
	case '\t':
		*o++ = 't';
		break;
	default:
		memcpy(o, "u00", 3);
		o[3] = (uint8_t)hex[c >> 4];
		o[4] = (uint8_t)hex[c & 15];
		o += 5;
	}
	return o;
}

int
json_put_string(struct buf *out, struct str text)
{
	size_t run, extra;
	uint8_t *o;
	int err;

	if (text.len == 0)
		text = STR("");
	run = plain_run(text.p, text.len);
	extra = escapes(text.p + run, text.len - run);
	if ((err = buf_reserve(out, text.len + extra + 2)) != SW_OK)
		return err;
	o = buf_tail(out);
	*o++ = '"';
	for (;;) {
		if (run > 0)
			memcpy(o, text.p, run);
		o += run;
		text.p += run;
		text.len -= run;
		if (text.len == 0)
			break;
		o = escape_one(o, (unsigned char)*text.p);
		text.p++;
		text.len--;
		run = plain_run(text.p, text.len);
	}
	*o++ = '"';
	buf_commit(out, (size_t)(o - buf_tail(out)));
	return SW_OK;
}
