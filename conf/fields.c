#include "conf/fields.h"

#include <stdlib.h>

#include "conf/backend.h"
#include "conf/route.h"
#include "conf/values.h"
#include "proxy/base/err.h"

/* Where the field is; those who only read leave it as it is. */
static void *
field_of(const struct directive *d, const void *base)
{
	return (char *)base + d->offset;
}

/* A list's items and their number: two fields. */
struct list_field {
	char ***items;
	size_t *count;
};

static struct list_field
list_of(const struct directive *d, const void *base)
{
	return (struct list_field){ field_of(d, base),
		(void *)((char *)base + d->count_offset) };
}

static bool
is_word(const struct directive *d, struct str text)
{
	for (size_t i = 0; d->words != NULL && d->words[i] != NULL; i++)
		if (str_is(text, d->words[i]))
			return true;
	return false;
}

uint64_t
field_number(const struct directive *d, const void *base)
{
	const void *field = field_of(d, base);

	if (d->size == sizeof(uint64_t))
		return *(const uint64_t *)field;
	if (d->size == sizeof(unsigned))
		return *(const unsigned *)field;
	return *(const bool *)field;
}

static void
set_number(const struct directive *d, void *base, uint64_t value)
{
	void *field = field_of(d, base);

	if (d->size == sizeof(uint64_t))
		*(uint64_t *)field = value;
	else if (d->size == sizeof(unsigned))
		*(unsigned *)field = (unsigned)value;
	else
		*(bool *)field = value != 0;
}

int
field_put_number(const struct directive *d, uint64_t value, struct buf *out)
{
	switch (d->kind) {
	case KIND_FLAG:
		return buf_puts(out, value != 0 ? "yes" : "no");
	case KIND_WORD:
		return buf_puts(out, d->words[value]);
	case KIND_BYTES:
		return value_put_bytes(out, value);
	case KIND_MSEC:
		return value_put_msec(out, value);
	default:
		return buf_put_u64(out, value);
	}
}

int
field_put_range(const struct directive *d, struct buf *out)
{
	if (d->kind == KIND_FLAG)
		return buf_puts(out, "yes or no");
	if (d->kind == KIND_WORD)
		return value_put_words(out, d->words);
	field_put_number(d, d->min, out);
	buf_puts(out, " to ");
	field_put_number(d, d->max, out);
	if (d->zero != NULL)
		buf_printf(out, ", or 0 (%s)", d->zero);
	return buf_error(out);
}

int
field_put_quoted(struct buf *out, const char *text)
{
	buf_puts(out, "\"");
	for (const char *p = text; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		/* ${NAME} would be looked up in the environment. */
		if (c == '"' || c == '\\' || c == '$')
			buf_puts(out, "\\");
		if (c < 0x20 || c == 0x7f)
			buf_printf(out, "\\x%02x", c);
		else
			buf_put(out, p, 1);
	}
	return buf_puts(out, "\"");
}

static int
put_list(const struct directive *d, struct list_field list, struct buf *out)
{
	if (*list.count == 0 && d->words != NULL)
		return field_put_quoted(out, d->words[0]);
	buf_puts(out, "{");
	for (size_t i = 0; i < *list.count; i++) {
		buf_puts(out, i == 0 ? " " : ", ");
		field_put_quoted(out, (*list.items)[i]);
	}
	return buf_puts(out, *list.count == 0 ? "}" : " }");
}

int
field_put(const struct directive *d, const void *base, struct buf *out)
{
	if (directive_is_text(d))
		return field_put_quoted(out, *(char **)field_of(d, base));
	if (directive_is_list(d))
		return put_list(d, list_of(d, base), out);
	return field_put_number(d, field_number(d, base), out);
}

static bool
same_list(struct list_field a, struct list_field b)
{
	if (*a.count != *b.count)
		return false;
	for (size_t i = 0; i < *a.count; i++)
		if (strcmp((*a.items)[i], (*b.items)[i]) != 0)
			return false;
	return true;
}

bool
field_same(const struct directive *d, const void *a, const void *b)
{
	if (directive_is_text(d))
		return strcmp(*(char **)field_of(d, a),
			   *(char **)field_of(d, b)) == 0;
	if (directive_is_list(d))
		return same_list(list_of(d, a), list_of(d, b));
	return field_number(d, a) == field_number(d, b);
}

static int
parse_number(const struct directive *d, uint64_t *out, struct str text,
    struct buf *advice)
{
	unsigned word = 0;
	bool flag = false;
	int err;

	switch (d->kind) {
	case KIND_FLAG:
		err = value_flag(&flag, text, advice);
		*out = flag;
		return err;
	case KIND_WORD:
		err = value_word(&word, text, d->words, advice);
		*out = word;
		return err;
	case KIND_BYTES:
		return value_bytes(out, text, advice);
	case KIND_MSEC:
		return value_msec(out, text, advice);
	default:
		return value_count(out, text, advice);
	}
}

static bool
in_range(const struct directive *d, uint64_t value)
{
	if (d->kind == KIND_FLAG || d->kind == KIND_WORD)
		return true;
	return (value >= d->min && value <= d->max) ||
	    (value == 0 && d->zero != NULL);
}

static int
number_set(
    const struct directive *d, void *base, struct str text, struct buf *advice)
{
	uint64_t value;
	int err = parse_number(d, &value, text, advice);

	if (err != SW_OK)
		return err;
	if (!in_range(d, value)) {
		buf_puts(advice, "write ");
		field_put_range(d, advice);
		return SW_EINVAL;
	}
	set_number(d, base, value);
	return SW_OK;
}

static int
text_set(
    const struct directive *d, void *base, struct str text, struct buf *advice)
{
	char **field = field_of(d, base);
	char *copy;
	int err;

	if (d->kind == KIND_NAME && (err = value_name(text, advice)) != SW_OK)
		return err;
	if (text.len == 0) {
		buf_puts(advice, "write a path");
		return SW_EINVAL;
	}
	copy = strndup(text.p, text.len);
	if (copy == NULL)
		return SW_ENOMEM;
	free(*field);
	*field = copy;
	return SW_OK;
}

/* Is it what the list takes? */
static int
list_check(const struct directive *d, struct str text, struct buf *advice)
{
	struct listen_address address;
	struct backend_origin backend;

	switch (d->kind) {
	case KIND_ADDRESSES:
		return value_address(&address, text, advice);
	case KIND_ORIGINS:
		return value_origin(text, advice);
	case KIND_BACKENDS:
		return value_backend(&backend, text, advice);
	case KIND_PATHS:
		if (text.len > 0)
			return SW_OK;
		buf_puts(advice, "write a path");
		return SW_EINVAL;
	case KIND_TEXTS:
		if (text.len > 0)
			return SW_OK;
		buf_puts(advice, "write some text");
		return SW_EINVAL;
	case KIND_HEADERS:
		return value_header(text, advice);
	default:
		return SW_OK; /* secrets were looked at already */
	}
}

static int
list_add(const struct directive *d, void *base, struct str text)
{
	struct list_field list = list_of(d, base);
	char **items = realloc(*list.items, (*list.count + 1) * sizeof(*items));

	if (items == NULL)
		return SW_ENOMEM;
	*list.items = items;
	items[*list.count] = strndup(text.p, text.len);
	if (items[*list.count] == NULL)
		return SW_ENOMEM;
	++*list.count;
	return SW_OK;
}

int
field_set(
    const struct directive *d, void *base, struct str text, struct buf *advice)
{
	int err;

	if (directive_is_text(d))
		return text_set(d, base, text, advice);
	if (!directive_is_list(d))
		return number_set(d, base, text, advice);
	if (is_word(d, text))
		return SW_OK; /* stands for the empty list */
	if ((err = list_check(d, text, advice)) != SW_OK)
		return err;
	return list_add(d, base, text);
}

void
field_clear(const struct directive *d, void *base)
{
	if (directive_is_list(d)) {
		struct list_field list = list_of(d, base);

		while (*list.count > 0)
			free((*list.items)[--*list.count]);
		free(*list.items);
		*list.items = NULL;
	} else if (directive_is_text(d)) {
		char **path = field_of(d, base);

		free(*path);
		*path = NULL;
	} else {
		set_number(d, base, 0);
	}
}

int
field_copy(const struct directive *d, void *to, const void *from)
{
	struct list_field list;
	const char *text;
	int err = SW_OK;

	if (!directive_is_list(d) && !directive_is_text(d)) {
		set_number(d, to, field_number(d, from));
		return SW_OK;
	}
	field_clear(d, to);
	if (directive_is_text(d)) {
		text = *(char **)field_of(d, from);
		*(char **)field_of(d, to) = strdup(text);
		return *(char **)field_of(d, to) == NULL ? SW_ENOMEM : SW_OK;
	}
	list = list_of(d, from);
	for (size_t i = 0; i < *list.count && err == SW_OK; i++)
		err = list_add(d, to, str_of((*list.items)[i]));
	return err;
}
