/*
 * JSON texts: what json_valid accepts can be walked to its end, written down
 * again from its pieces, and is then still the same.
 */
#include "proxy/base/json.h"
#include "proxy/base/utf8.h"
#include "tests/fuzz/fuzz.h"

/* A string with its escapes undone and done again stands for the same. */
static void
put_string(struct buf *out, struct str raw)
{
	struct buf plain, again;
	char *copy;
	size_t start = buf_len(out);

	must(raw.len >= 2 && raw.p[0] == '"' && raw.p[raw.len - 1] == '"');
	buf_init(&plain, raw.len);
	buf_init(&again, SIZE_MAX / 2);
	must(json_unescape(&plain, raw) == SW_OK);
	must(utf8_valid(buf_head(&plain), buf_len(&plain)));
	must(json_put_string(out, buf_str(&plain)) == SW_OK);
	must(json_unescape(&again,
		 (struct str){ (char *)buf_head(out) + start,
		     buf_len(out) - start }) == SW_OK);
	must(fuzz_same(buf_str(&again), buf_str(&plain)));
	/* json_is compares with a C string. */
	if (buf_len(&plain) == 0 ||
	    memchr(buf_head(&plain), '\0', buf_len(&plain)) == NULL) {
		must(buf_put(&plain, "", 1) == SW_OK);
		copy = (char *)buf_head(&plain);
		must(json_is(raw, copy));
		if (copy[0] != '\0') {
			copy[0] = (char)(copy[0] ^ 1);
			must(!json_is(raw, copy));
		}
	}
	buf_fini(&plain);
	buf_fini(&again);
}

static void put_value(struct buf *out, struct str value);

static void
put_container(struct buf *out, struct str value, bool object)
{
	struct json_iter it;
	struct str key, inner;
	bool first = true;

	must(object ? json_object(&it, value) : json_array(&it, value));
	buf_puts(out, object ? "{" : "[");
	while (object ? json_member(&it, &key, &inner) :
			json_element(&it, &inner)) {
		buf_puts(out, first ? "" : ",");
		first = false;
		if (object) {
			put_string(out, key);
			buf_puts(out, ":");
		}
		must(json_valid(inner));
		put_value(out, inner);
	}
	must(buf_puts(out, object ? "}" : "]") == SW_OK);
}

/* Without blanks, and with strings in our own spelling. */
static void
put_value(struct buf *out, struct str value)
{
	switch (json_type(value)) {
	case JSON_OBJECT:
		put_container(out, value, true);
		break;
	case JSON_ARRAY:
		put_container(out, value, false);
		break;
	case JSON_STRING:
		put_string(out, value);
		break;
	default:
		must(buf_put_str(out, value) == SW_OK);
	}
}

static struct str
trim(struct str s)
{
	static const char blanks[] = " \t\r\n";

	while (s.len > 0 && memchr(blanks, s.p[0], 4) != NULL) {
		s.p++;
		s.len--;
	}
	while (s.len > 0 && memchr(blanks, s.p[s.len - 1], 4) != NULL)
		s.len--;
	return s;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = fuzz_copy((struct str){ (const char *)data, size });
	struct str text = { copy, size };
	struct buf once, twice;

	/* Each level of nesting is checked again on the way down. */
	if (size <= 4096 && json_valid(text)) {
		must(utf8_valid(data, size));
		buf_init(&once, SIZE_MAX / 2);
		buf_init(&twice, SIZE_MAX / 2);
		put_value(&once, trim(text));
		must(json_valid(buf_str(&once)));
		put_value(&twice, buf_str(&once));
		must(fuzz_same(buf_str(&once), buf_str(&twice)));
		buf_fini(&once);
		buf_fini(&twice);
	}
	/* Any text becomes a string, and comes back from it. */
	if (utf8_valid(data, size)) {
		buf_init(&once, SIZE_MAX / 2);
		buf_init(&twice, SIZE_MAX / 2);
		must(json_put_string(&once, text) == SW_OK);
		must(json_valid(buf_str(&once)));
		must(json_unescape(&twice, buf_str(&once)) == SW_OK);
		must(fuzz_same(buf_str(&twice), text));
		buf_fini(&once);
		buf_fini(&twice);
	}
	free(copy);
	return 0;
}
