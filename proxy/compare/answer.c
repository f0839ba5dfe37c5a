#include "proxy/compare/answer.h"

#include "proxy/base/err.h"

void
answer_init(struct answer *a)
{
	*a = (struct answer){ .state = ANSWER_HEAD };
	buf_init(&a->head, ANSWER_HEAD_MAX);
}

void
answer_fini(struct answer *a)
{
	buf_fini(&a->head);
}

void
answer_again(struct answer *a)
{
	buf_clear(&a->head);
	a->state = ANSWER_HEAD;
	a->status = 0;
	a->closes = false;
	a->left = 0;
	a->chunks = (struct chunks){ 0 };
}

/* Cut a line with its CR LF off; false at the empty one, or a bad one. */
static bool
cut_line(struct str *rest, struct str *line)
{
	if (!str_cut(rest, '\n', line) || line->len == 0 ||
	    line->p[line->len - 1] != '\r')
		return false;
	line->len--;
	return line->len > 0;
}

static bool
cut_field(struct str *rest, struct str *name, struct str *value)
{
	struct str line;
	const char *colon;

	if (!cut_line(rest, &line))
		return false;
	colon = memchr(line.p, ':', line.len);
	*name = (struct str){ line.p,
		colon == NULL ? 0 : (size_t)(colon - line.p) };
	*value = (struct str){ NULL, 0 };
	if (colon != NULL)
		*value = str_trim((struct str){
		    colon + 1, line.len - (size_t)(colon + 1 - line.p) });
	return true;
}

static size_t
find_header(const struct answer *a, const char *wanted, struct str *out)
{
	struct str rest = buf_str(&a->head), name, value;
	size_t count = 0;

	*out = (struct str){ NULL, 0 };
	cut_line(&rest, &value); /* the status line */
	while (cut_field(&rest, &name, &value))
		if (str_is_nocase(name, wanted)) {
			*out = value;
			count++;
		}
	return count;
}

struct str
answer_header(const struct answer *a, const char *name)
{
	struct str value;

	return find_header(a, name, &value) == 1 ? value :
						   (struct str){ NULL, 0 };
}

/* "HTTP/1.1 200 ..." */
static int
read_status(struct answer *a, bool *http_1_0)
{
	struct str rest = buf_str(&a->head), line;
	unsigned status = 0;

	if (!cut_line(&rest, &line) || line.len < 12 ||
	    (!str_starts(line, "HTTP/1.1 ") && !str_starts(line, "HTTP/1.0 ")))
		return SW_EPROTO;
	for (size_t i = 9; i < 12; i++) {
		if (line.p[i] < '0' || line.p[i] > '9')
			return SW_EPROTO;
		status = status * 10 + (unsigned)(line.p[i] - '0');
	}
	if (status < 100 || (line.len > 12 && line.p[12] != ' '))
		return SW_EPROTO;
	*http_1_0 = line.p[7] == '0';
	a->status = status;
	return SW_OK;
}

/* Is every line a field, with a name that is one? */
static bool
fields_are_fine(const struct answer *a)
{
	struct str rest = buf_str(&a->head), name, value;

	cut_line(&rest, &value);
	while (cut_field(&rest, &name, &value)) {
		if (name.len == 0 || value.p == NULL)
			return false;
		for (size_t i = 0; i < name.len; i++)
			if (name.p[i] <= ' ' || name.p[i] >= 0x7f)
				return false;
	}
	/* Up to the empty line that ends the head, and no further. */
	return rest.len == 0;
}

/* RFC 9112 6.3: where the body ends. */
static int
find_end(struct answer *a)
{
	struct str coding, length;
	size_t codings = find_header(a, "Transfer-Encoding", &coding);
	size_t lengths = find_header(a, "Content-Length", &length);

	if (a->status < 200 || a->status == 204 || a->status == 304) {
		a->state = ANSWER_END;
		return SW_OK;
	}
	if (codings > 1 || lengths > 1 || (codings > 0 && lengths > 0))
		return SW_EPROTO;
	if (codings > 0) {
		a->state = ANSWER_CHUNKS;
		return str_is_nocase(coding, "chunked") ? SW_OK : SW_EPROTO;
	}
	if (lengths > 0) {
		if (str_to_u64(&a->left, length, INT64_MAX) != SW_OK)
			return SW_EPROTO;
		a->state = a->left > 0 ? ANSWER_LENGTH : ANSWER_END;
		return SW_OK;
	}
	a->state = ANSWER_REST;
	a->closes = true;
	return SW_OK;
}

static int
take_head(struct answer *a)
{
	struct str connection;
	bool http_1_0;
	int err = read_status(a, &http_1_0);

	if (err != SW_OK)
		return err;
	if (!fields_are_fine(a))
		return SW_EPROTO;
	/* What was only announced: 100, 103. */
	if (a->status < 200 && a->status != 101) {
		answer_again(a);
		return SW_OK;
	}
	find_header(a, "Connection", &connection);
	a->closes = http_1_0 || str_has_token(connection, "close");
	return find_end(a);
}

/* As much as belongs to the head; it ends with an empty line. */
static int
read_head(struct answer *a, const uint8_t *p, size_t n, size_t *used)
{
	size_t had = buf_len(&a->head), end = 0;

	for (size_t i = 0; i < n && end == 0; i++) {
		size_t len = had + i + 1;

		if (p[i] != '\n')
			continue;
		if (buf_put(&a->head, p + (buf_len(&a->head) - had),
			len - buf_len(&a->head)) != SW_OK)
			return buf_error(&a->head);
		if (len >= 4 &&
		    memcmp(buf_head(&a->head) + len - 4, "\r\n\r\n", 4) == 0)
			end = i + 1;
	}
	if (end == 0) {
		size_t copied = buf_len(&a->head) - had;

		*used = n;
		return buf_put(&a->head, p + copied, n - copied);
	}
	*used = end;
	return take_head(a);
}

int
answer_read(
    struct answer *a, const uint8_t *p, size_t n, size_t *used, size_t *data)
{
	int err;

	*used = *data = 0;
	switch (a->state) {
	case ANSWER_HEAD:
		return read_head(a, p, n, used);
	case ANSWER_LENGTH:
		*used = *data = n < a->left ? n : (size_t)a->left;
		a->left -= *used;
		if (a->left == 0)
			a->state = ANSWER_END;
		return SW_OK;
	case ANSWER_CHUNKS:
		err = chunks_read(&a->chunks, p, n, n, used, data);
		if (a->chunks.state == CHUNKS_END)
			a->state = ANSWER_END;
		return err;
	case ANSWER_REST:
		*used = *data = n;
		return SW_OK;
	case ANSWER_END:
		break;
	}
	return SW_OK;
}

int
answer_closed(struct answer *a)
{
	if (a->state == ANSWER_REST)
		a->state = ANSWER_END;
	return a->state == ANSWER_END ? SW_OK : SW_EPROTO;
}
