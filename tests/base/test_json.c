#include "proxy/base/json.h"

#include "proxy/base/err.h"
#include "tests/bytes.h"
#include "tests/suite.h"

/* After RFC 8259, and the cases of the usual conformance suites. */
static const struct str valid[] = {
	/* Any value is a text. */
	BYTES("null"),
	BYTES("true"),
	BYTES("false"),
	BYTES("0"),
	BYTES("\"\""),
	BYTES("[]"),
	BYTES("{}"),
	/* Blanks around and between. */
	BYTES(" null"),
	BYTES("null "),
	BYTES("\t\n\r {\t\n\r \"a\"\t\n\r :\t\n\r 1\t\n\r ,\t\n\r \"b\" : [ "
	      "1 , 2 ] } \t\n\r"),
	BYTES("[ ]"),
	BYTES("{ }"),
	BYTES("[\n]"),
	/* Numbers. */
	BYTES("-0"),
	BYTES("-1"),
	BYTES("10"),
	BYTES("0.0"),
	BYTES("-0.5"),
	BYTES("1.000"),
	BYTES("1e5"),
	BYTES("1E5"),
	BYTES("1e+5"),
	BYTES("1e-5"),
	BYTES("0e0"),
	BYTES("0.1e007"),
	BYTES("-123.456E-789"),
	BYTES("1e99999"),
	BYTES("123456789012345678901234567890.123456789012345678901234567890"),
	/* Strings. */
	BYTES("\"a b\""),
	BYTES("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
	BYTES("\"\\u0000\""),
	BYTES("\"\\uABCD\\uabcd\""),
	BYTES("\"\\ud83d\\ude00\""),
	/* RFC 8259 8.2: the grammar allows lone surrogates. */
	BYTES("\"\\ud800\""),
	BYTES("\"\\udc00\\ud800\""),
	BYTES("\"\x7f\""),
	BYTES("\"h\xc3\xa9llo \xe2\x82\xac \xf0\x9f\x98\x80\""),
	BYTES("\"\xe2\x80\xa8\xe2\x80\xa9\""), /* JavaScript's line ends */
	BYTES("\"\xef\xbb\xbf\""),
	BYTES("\"\xf4\x8f\xbf\xbf\""),
	BYTES("\"/\""),
	BYTES("\"{[,:]}\""),
	/* Arrays and objects. */
	BYTES("[1]"),
	BYTES("[1,2,3]"),
	BYTES("[[],[[]],{}]"),
	BYTES("[null,true,false,\"\",0,[],{}]"),
	BYTES("{\"a\":1}"),
	BYTES("{\"\":0}"),
	BYTES("{\"a\":1,\"a\":2}"), /* twice: allowed, if unwise */
	BYTES("{\"a\":{\"b\":{\"c\":[{}]}}}"),
	BYTES("{\"\\u0061\":1}"),
	BYTES("[{\"a\":[1,{\"b\":2}]},3]"),
};

static const struct str invalid[] = {
	/* Nothing, or more than one value. */
	BYTES(""),
	BYTES(" "),
	BYTES("\n\t"),
	BYTES("1 2"),
	BYTES("nullnull"),
	BYTES("{}{}"),
	BYTES("[][]"),
	BYTES("{}]"),
	BYTES("1,"),
	BYTES(","),
	BYTES("null\0"),
	BYTES("\0null"),
	BYTES("\xef\xbb\xbf{}"), /* a byte order mark */
	/* Blanks that are none. */
	BYTES("\vnull"),
	BYTES("[\f]"),
	BYTES("[\xc2\xa0]"),
	BYTES("[1\0]"),
	/* Words. */
	BYTES("nul"),
	BYTES("tru"),
	BYTES("True"),
	BYTES("NULL"),
	BYTES("nulll"),
	BYTES("fals3"),
	BYTES("undefined"),
	BYTES("NaN"),
	BYTES("Infinity"),
	BYTES("-Infinity"),
	/* Numbers. */
	BYTES("-"),
	BYTES("+1"),
	BYTES("--1"),
	BYTES("01"),
	BYTES("-01"),
	BYTES("00"),
	BYTES("1."),
	BYTES("-1."),
	BYTES(".5"),
	BYTES("-.5"),
	BYTES("1.e1"),
	BYTES("1e"),
	BYTES("1e+"),
	BYTES("1e-"),
	BYTES("1e1.0"),
	BYTES("1ee1"),
	BYTES("1e+-1"),
	BYTES("1.2.3"),
	BYTES("0x10"),
	BYTES("1_000"),
	BYTES("1a"),
	BYTES("[1.]"),
	BYTES("[01]"),
	BYTES("[- 1]"),
	BYTES("\xef\xbc\x91"), /* a wide digit */
	/* Strings. */
	BYTES("\""),
	BYTES("\"abc"),
	BYTES("abc\""),
	BYTES("'abc'"),
	BYTES("\"\\\""),
	BYTES("\"\\"),
	BYTES("\"\\a\""),
	BYTES("\"\\x41\""),
	BYTES("\"\\'\""),
	BYTES("\"\\0\""),
	BYTES("\"\\\0\""),
	BYTES("\"\\U0041\""),
	BYTES("\"\\u\""),
	BYTES("\"\\u1\""),
	BYTES("\"\\u12\""),
	BYTES("\"\\u123\""),
	BYTES("\"\\u123"),
	BYTES("\"\\u123g\""),
	BYTES("\"\\u-123\""),
	BYTES("\"\\u 123\""),
	BYTES("\"\\\xc3\xa9\""),
	BYTES("\"a\nb\""),
	BYTES("\"a\tb\""),
	BYTES("\"a\0b\""),
	BYTES("\"\x1f\""),
	/* Not UTF-8. */
	BYTES("\"\x80\""),
	BYTES("\"\xc3\""),
	BYTES("\"\xc3(\""),
	BYTES("\"\xc0\xaf\""),
	BYTES("\"\xe2\x82\""),
	BYTES("\"\xed\xa0\x80\""),
	BYTES("\"\xf4\x90\x80\x80\""),
	BYTES("\"\xff\""),
	/* Arrays. */
	BYTES("["),
	BYTES("]"),
	BYTES("[1"),
	BYTES("[1,"),
	BYTES("[1,]"),
	BYTES("[,1]"),
	BYTES("[,]"),
	BYTES("[1,,2]"),
	BYTES("[1 2]"),
	BYTES("[1:2]"),
	BYTES("[1}"),
	BYTES("[}"),
	BYTES("[\"a\":1]"),
	BYTES("[1,\n"),
	BYTES("[[]"),
	/* Objects. */
	BYTES("{"),
	BYTES("}"),
	BYTES("{]"),
	BYTES("{1}"),
	BYTES("{\"a\"}"),
	BYTES("{\"a\":}"),
	BYTES("{\"a\" 1}"),
	BYTES("{\"a\",1}"),
	BYTES("{\"a\":1"),
	BYTES("{\"a\":1,"),
	BYTES("{\"a\":1,}"),
	BYTES("{,\"a\":1}"),
	BYTES("{\"a\":1,,\"b\":2}"),
	BYTES("{\"a\":1 \"b\":2}"),
	BYTES("{\"a\":1:2}"),
	BYTES("{\"a\"::1}"),
	BYTES("{a:1}"),
	BYTES("{'a':1}"),
	BYTES("{1:1}"),
	BYTES("{null:1}"),
	BYTES("{[]:1}"),
	BYTES("{\"a\":1]"),
	BYTES("[{\"a\":1]}"),
	/* What others allow. */
	BYTES("[1] // a comment"),
	BYTES("[1] # a comment"),
	BYTES("/* a comment */ 1"),
	BYTES("{\"a\":1;}"),
};

/* In memory of just its size, so that reading on is seen. */
static bool
is_valid(struct str text)
{
	char *copy = bytes_copy(text);
	bool result = json_valid(bytes_of(copy, text.len));

	free(copy);
	return result;
}

START_TEST(valid_json_is_accepted)
{
	ck_assert_msg(is_valid(valid[_i]), "%s", bytes_show(valid[_i]));
}
END_TEST

START_TEST(invalid_json_is_refused)
{
	ck_assert_msg(!is_valid(invalid[_i]), "%s", bytes_show(invalid[_i]));
}
END_TEST

START_TEST(no_text_is_no_json)
{
	ck_assert(!json_valid((struct str){ NULL, 0 }));
}
END_TEST

/* What stands behind a text is nobody's, and may be a quote. */
START_TEST(a_text_ends_where_it_ends)
{
	ck_assert(!json_valid((struct str){ "\"ab\"", 3 }));
	ck_assert(!json_valid((struct str){ "[1]", 2 }));
	ck_assert(!json_valid((struct str){ "true", 3 }));
	ck_assert(json_valid((struct str){ "12", 1 }));
	ck_assert(json_valid((struct str){ "1 x", 2 }));
}
END_TEST

/* Values that end only at their last byte, cut before it. */
START_TEST(no_part_of_a_value_is_one)
{
	static const char *const wholes[] = {
		("{\"a\":[1,-2.5e+3,\"x\\n\\u00e9\\\"\",null,true,false,{}],"
		 "\"b\":{\"c\":[]},\"h\xc3\xa9\":\"\xe2\x82\xac\"}"),
		"[[[\"a\"],{\"b\":[{}]}]]",
		"\"text\\\\\"",
		"true",
		"false",
		"null",
	};
	const char *whole = wholes[_i];

	ck_assert(is_valid(str_of(whole)));
	for (size_t n = 0; n < strlen(whole); n++)
		ck_assert_msg(!is_valid(bytes_of(whole, n)), "%zu bytes", n);
}
END_TEST

/* `depth` arrays or objects inside each other; the caller's. */
static struct str
nested(size_t depth, unsigned mix)
{
	char *text = malloc(depth * 6 + 2), *p = text;
	uint8_t kinds[1024];

	ck_assert_ptr_nonnull(text);
	for (size_t i = 0; i < depth; i++) {
		/* All arrays, all objects, in turn, and by chance. */
		kinds[i] = mix == 0 ? 0 :
		    mix == 1        ? 1 :
		    mix == 2        ? i & 1 :
				      (i * i + i / 7) & 1;
		memcpy(p, kinds[i] ? "{\"k\":" : "[", kinds[i] ? 5 : 1);
		p += kinds[i] ? 5 : 1;
	}
	*p++ = '7';
	for (size_t i = depth; i > 0; i--)
		*p++ = kinds[i - 1] ? '}' : ']';
	return bytes_of(text, (size_t)(p - text));
}

START_TEST(nesting_ends_at_its_limit)
{
	for (size_t depth = 0; depth < 300; depth++) {
		struct str text = nested(depth, (unsigned)_i);

		ck_assert_msg(json_valid(text) == (depth <= JSON_DEPTH_MAX),
		    "depth %zu", depth);
		free((char *)(uintptr_t)text.p);
	}
}
END_TEST

/* What opened as an array must not close as an object, at any depth. */
START_TEST(brackets_close_what_they_opened)
{
	struct str text = nested(JSON_DEPTH_MAX, (unsigned)_i);
	char *p = (char *)(uintptr_t)text.p;

	ck_assert(json_valid(text));
	for (size_t i = text.len - JSON_DEPTH_MAX; i < text.len; i++) {
		p[i] ^= ']' ^ '}';
		ck_assert(!json_valid(text));
		p[i] ^= ']' ^ '}';
	}
	free(p);
}
END_TEST

START_TEST(a_million_brackets_cost_no_stack)
{
	size_t n = 1000000;
	char *text = malloc(n);

	ck_assert_ptr_nonnull(text);
	memset(text, '[', n);
	ck_assert(!json_valid(bytes_of(text, n)));
	for (size_t i = 0; i + 5 <= n; i += 5)
		memcpy(text + i, "{\"\":[", 5);
	ck_assert(!json_valid(bytes_of(text, n)));
	free(text);
}
END_TEST

START_TEST(members_come_in_their_order_as_they_stand)
{
	struct str text = STR(" { \"one\" : 1.50 ,\"t\\u0077o\":\"x,}\\\"\" "
			      ",\n\"three\":[1,{\"a\":2}] , \"\" : "
			      "{\"}\":\"{\"},\"five\":null } ");
	static const struct {
		const char *key, *value;
		enum json_type type;
	} want[] = {
		{ "\"one\"", "1.50", JSON_NUMBER },
		{ "\"t\\u0077o\"", "\"x,}\\\"\"", JSON_STRING },
		{ "\"three\"", "[1,{\"a\":2}]", JSON_ARRAY },
		{ "\"\"", "{\"}\":\"{\"}", JSON_OBJECT },
		{ "\"five\"", "null", JSON_NULL },
	};
	struct json_iter it;
	struct str key, value;

	ck_assert(json_valid(text));
	ck_assert(!json_array(&it, text));
	ck_assert(json_object(&it, text));
	for (size_t i = 0; i < COUNT(want); i++) {
		ck_assert(json_member(&it, &key, &value));
		assert_text(key, want[i].key);
		assert_text(value, want[i].value);
		ck_assert_int_eq(json_type(value), want[i].type);
	}
	ck_assert(!json_member(&it, &key, &value));
	ck_assert(!json_member(&it, &key, &value));
}
END_TEST

START_TEST(elements_come_in_their_order_as_they_stand)
{
	struct str text = STR("[true, false ,null,-1e5\n,\"a]\",[],[[ ]],{}]");
	static const struct {
		const char *value;
		enum json_type type;
	} want[] = {
		{ "true", JSON_BOOL },
		{ "false", JSON_BOOL },
		{ "null", JSON_NULL },
		{ "-1e5", JSON_NUMBER },
		{ "\"a]\"", JSON_STRING },
		{ "[]", JSON_ARRAY },
		{ "[[ ]]", JSON_ARRAY },
		{ "{}", JSON_OBJECT },
	};
	struct json_iter it;
	struct str value;

	ck_assert(json_valid(text));
	ck_assert(!json_object(&it, text));
	ck_assert(json_array(&it, text));
	for (size_t i = 0; i < COUNT(want); i++) {
		ck_assert(json_element(&it, &value));
		assert_text(value, want[i].value);
		ck_assert_int_eq(json_type(value), want[i].type);
	}
	ck_assert(!json_element(&it, &value));
	ck_assert(!json_element(&it, &value));
}
END_TEST

START_TEST(nothing_comes_out_of_what_is_empty)
{
	struct json_iter it;
	struct str key, value;

	ck_assert(json_object(&it, STR("{}")));
	ck_assert(!json_member(&it, &key, &value));
	ck_assert(json_object(&it, STR("\t{\n } ")));
	ck_assert(!json_member(&it, &key, &value));
	ck_assert(json_array(&it, STR("[ ]")));
	ck_assert(!json_element(&it, &value));
	for (size_t i = 0; i < 7; i++) {
		static const char *const others[] = { "1", "\"{}\"", "null",
			"true", "\"[]\"", "-1", " 0 " };

		ck_assert(!json_object(&it, str_of(others[i])));
		ck_assert(!json_array(&it, str_of(others[i])));
	}
}
END_TEST

static const struct {
	const char *raw;
	struct str text;
} escapes[] = {
	{ "\"\"", BYTES("") },
	{ "\"plain\"", BYTES("plain") },
	{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", BYTES("\"\\/\b\f\n\r\t") },
	{ "\"a\\nb\\nc\"", BYTES("a\nb\nc") },
	{ "\"\\u0041\\u00e9\\u00E9\"", BYTES("A\xc3\xa9\xc3\xa9") },
	{ "\"\\u0000\"", BYTES("\0") },
	{ "\"a\\u0000b\"", BYTES("a\0b") },
	{ "\"\\u007f\\u0080\"", BYTES("\x7f\xc2\x80") },
	{ "\"\\u07ff\\u0800\"", BYTES("\xdf\xbf\xe0\xa0\x80") },
	{ "\"\\ud7ff\\ue000\\uffff\"",
	    BYTES("\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf") },
	{ "\"\\ud800\\udc00\"", BYTES("\xf0\x90\x80\x80") },
	{ "\"\\ud83d\\ude00\"", BYTES("\xf0\x9f\x98\x80") },
	{ "\"\\uDBFF\\uDFFF\"", BYTES("\xf4\x8f\xbf\xbf") },
	{ "\"<\\ud83d\\ude00>\"", BYTES("<\xf0\x9f\x98\x80>") },
	/* Half a pair has no form in UTF-8: U+FFFD takes its place. */
	{ "\"\\ud800\"", BYTES("\xef\xbf\xbd") },
	{ "\"\\udc00\"", BYTES("\xef\xbf\xbd") },
	{ "\"\\ud800x\"", BYTES("\xef\xbf\xbdx") },
	{ "\"\\ud800\\n\"", BYTES("\xef\xbf\xbd\n") },
	{ "\"\\ud800\\u0041\"",
	    BYTES("\xef\xbf\xbd"
		  "A") },
	{ "\"\\udc00\\ud800\"", BYTES("\xef\xbf\xbd\xef\xbf\xbd") },
	{ "\"\\ud800\\ud800\\udc00\"", BYTES("\xef\xbf\xbd\xf0\x90\x80\x80") },
	{ "\"\\udbff\\ue000\"", BYTES("\xef\xbf\xbd\xee\x80\x80") },
	{ "\"\\\\u0041\"", BYTES("\\u0041") },
	{ "\"h\xc3\xa9llo\\t\xe2\x82\xac\"",
	    BYTES("h\xc3\xa9llo\t\xe2\x82"
		  "\xac") },
};

START_TEST(escapes_stand_for_characters)
{
	struct str raw = str_of(escapes[_i].raw);
	char *copy = bytes_copy(raw);
	struct buf out;

	ck_assert(json_valid(raw));
	buf_init(&out, 64);
	ck_assert_int_eq(json_unescape(&out, bytes_of(copy, raw.len)), SW_OK);
	assert_bytes(buf_str(&out), escapes[_i].text);
	buf_fini(&out);
	free(copy);
}
END_TEST

static const struct {
	const char *raw, *text;
	bool is;
} keys[] = {
	{ "\"channel\"", "channel", true },
	{ "\"channels\"", "channel", false },
	{ "\"channe\"", "channel", false },
	{ "\"Channel\"", "channel", false },
	{ "\"\"", "channel", false },
	{ "\"\"", "", true },
	{ "\"a\"", "", false },
	{ "\"\\u0063hannel\"", "channel", true },
	{ "\"\\u0063\\u0068\\u0061\\u006e\\u006e\\u0065\\u006c\"", "channel",
	    true },
	{ "\"channe\\u006d\"", "channel", false },
	{ "\"channel\\u0000\"", "channel", false },
	{ "\"\\u0000\"", "", false },
	{ "\"\\u00e9\"", "\xc3\xa9", true },
	{ "\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80", true },
	{ "\"\\ud83d\\ude00\"", "\xf0\x9f", false },
	{ "\"a\\/b\"", "a/b", true },
};

START_TEST(a_key_is_compared_by_what_it_stands_for)
{
	ck_assert(json_is(str_of(keys[_i].raw), keys[_i].text) == keys[_i].is);
}
END_TEST

static const struct {
	struct str text;
	const char *raw;
} strings[] = {
	{ BYTES(""), "\"\"" },
	{ BYTES("plain"), "\"plain\"" },
	{ BYTES("\"\\/"), "\"\\\"\\\\/\"" },
	{ BYTES("\n\r\t"), "\"\\n\\r\\t\"" },
	{ BYTES("\0\x01\b\f\x1f\x20\x7f"),
	    "\"\\u0000\\u0001\\u0008\\u000c\\u001f \x7f\"" },
	{ BYTES("h\xc3\xa9\xf0\x9f\x98\x80"), "\"h\xc3\xa9\xf0\x9f\x98\x80\"" },
	{ BYTES("</script>"), "\"</script>\"" },
};

START_TEST(a_text_is_written_with_the_escapes_it_needs)
{
	char *copy = bytes_copy(strings[_i].text);
	struct buf out;

	buf_init(&out, 64);
	ck_assert_int_eq(
	    json_put_string(&out, bytes_of(copy, strings[_i].text.len)), SW_OK);
	assert_text(buf_str(&out), strings[_i].raw);
	buf_fini(&out);
	free(copy);
}
END_TEST

START_TEST(no_text_is_written_as_an_empty_string)
{
	struct buf out;

	buf_init(&out, 64);
	ck_assert_int_eq(json_put_string(&out, (struct str){ NULL, 0 }), SW_OK);
	assert_text(buf_str(&out), "\"\"");
	buf_fini(&out);
}
END_TEST

START_TEST(a_string_fits_exactly_or_not_at_all)
{
	struct buf out;

	buf_init(&out, 10);
	ck_assert_int_eq(json_put_string(&out, STR("a\"\x01")), SW_ELIMIT);
	ck_assert_uint_eq(buf_len(&out), 0);
	buf_clear(&out);
	ck_assert_int_eq(json_put_string(&out, STR("\"\x01")), SW_OK);
	ck_assert_uint_eq(buf_len(&out), 10);
	buf_fini(&out);
	buf_init(&out, 3);
	ck_assert_int_eq(json_unescape(&out, STR("\"a\\u20ac\"")), SW_ELIMIT);
	buf_fini(&out);
}
END_TEST

static void
round_trip(const uint8_t *text, size_t len)
{
	struct str want = bytes_of(text, len);
	struct buf raw, back;

	buf_init(&raw, 1 << 20);
	buf_init(&back, 1 << 20);
	ck_assert_int_eq(json_put_string(&raw, want), SW_OK);
	ck_assert(json_valid(buf_str(&raw)));
	ck_assert_int_eq(json_type(buf_str(&raw)), JSON_STRING);
	ck_assert_int_eq(json_unescape(&back, buf_str(&raw)), SW_OK);
	assert_bytes(buf_str(&back), want);
	buf_fini(&raw);
	buf_fini(&back);
}

enum { LONG = 150 };

/* _i: where in words of eight bytes it stands. */
START_TEST(every_byte_is_written_wherever_it_stands)
{
	uint8_t text[24];

	for (unsigned value = 0; value < 0x80; value++) {
		memset(text, 'a', sizeof(text));
		text[_i] = (uint8_t)value;
		round_trip(text, sizeof(text));
		/* Another one, right behind it. */
		text[(_i + 1) % (int)sizeof(text)] = '"';
		round_trip(text, sizeof(text));
	}
}
END_TEST

/* _i: where in a text that is looked at many bytes at a time it stands. */
START_TEST(no_byte_of_a_long_string_is_passed_over)
{
	uint8_t raw[1 + LONG + 1];
	struct str text = bytes_of(raw + 1, LONG);

	memset(raw, 'a', sizeof(raw));
	raw[0] = raw[LONG + 1] = '"';
	for (unsigned value = 0; value < 0x80; value++) {
		bool plain = value >= 0x20 && value != '"' && value != '\\';

		raw[1 + _i] = (uint8_t)value;
		ck_assert(json_is_plain(text) == plain);
		ck_assert(json_valid(bytes_of(raw, sizeof(raw))) == plain);
	}
}
END_TEST

/* The ends of every range of UTF-8 and JSON, and what lies around them. */
START_TEST(interesting_characters_survive_both_ways)
{
	static const uint32_t points[] = { 0x00, 0x08, 0x0a, 0x0c, 0x0d, 0x1f,
		0x20, 0x22, 0x2f, 0x5c, 0x7f, 0x80, 0xa0, 0xff, 0x7ff, 0x800,
		0x2028, 0x2029, 0xd7ff, 0xe000, 0xfdd0, 0xfeff, 0xfffd, 0xfffe,
		0xffff, 0x10000, 0x1f600, 0x1ffff, 0xfffff, 0x10ffff };
	uint8_t text[4 * 64];
	size_t len = 0;

	for (size_t i = 0; i < COUNT(points); i++)
		for (uint32_t c = points[i] < 1 ? 0 : points[i] - 1;
		     c <= points[i] + 1 && c <= 0x10ffff; c++) {
			uint8_t one[4];
			size_t n = 0;

			if (c >= 0xd800 && c < 0xe000)
				continue;
			if (c < 0x80) {
				one[n++] = (uint8_t)c;
			} else if (c < 0x800) {
				one[n++] = (uint8_t)(0xc0 | c >> 6);
			} else if (c < 0x10000) {
				one[n++] = (uint8_t)(0xe0 | c >> 12);
				one[n++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
			} else {
				one[n++] = (uint8_t)(0xf0 | c >> 18);
				one[n++] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
				one[n++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
			}
			if (c >= 0x80)
				one[n++] = (uint8_t)(0x80 | (c & 0x3f));
			round_trip(one, n);
			if (len + n <= sizeof(text)) {
				memcpy(text + len, one, n);
				len += n;
			}
		}
	round_trip(text, len);
}
END_TEST

/* And as escapes: all of the plane, by their four digits. */
START_TEST(every_escape_of_four_digits_is_understood)
{
	for (unsigned c = 0; c < 0x10000; c += (unsigned)usually(1, 11)) {
		char raw[9], digits[16];
		struct buf out, again;

		snprintf(digits, sizeof(digits), c & 1 ? "%04x" : "%04X", c);
		snprintf(raw, sizeof(raw), "\"\\u%.4s\"", digits);
		ck_assert(json_valid(str_of(raw)));
		buf_init(&out, 8);
		buf_init(&again, 8);
		ck_assert_int_eq(json_unescape(&out, str_of(raw)), SW_OK);
		if (c >= 0xd800 && c < 0xe000)
			assert_text(buf_str(&out), "\xef\xbf\xbd");
		else
			ck_assert_uint_eq(buf_len(&out),
			    c < 0x80      ? 1u :
				c < 0x800 ? 2u :
					    3u);
		ck_assert_int_eq(json_put_string(&again, buf_str(&out)), SW_OK);
		ck_assert(json_valid(buf_str(&again)));
		buf_fini(&out);
		buf_fini(&again);
	}
}
END_TEST

SUITE("json", LOOP(valid_json_is_accepted, COUNT(valid)),
    LOOP(invalid_json_is_refused, COUNT(invalid)), TEST(no_text_is_no_json),
    TEST(a_text_ends_where_it_ends), LOOP(no_part_of_a_value_is_one, 6),
    LOOP(nesting_ends_at_its_limit, 4),
    LOOP(brackets_close_what_they_opened, 4),
    TEST(a_million_brackets_cost_no_stack),
    TEST(members_come_in_their_order_as_they_stand),
    TEST(elements_come_in_their_order_as_they_stand),
    TEST(nothing_comes_out_of_what_is_empty),
    LOOP(escapes_stand_for_characters, COUNT(escapes)),
    LOOP(a_key_is_compared_by_what_it_stands_for, COUNT(keys)),
    LOOP(a_text_is_written_with_the_escapes_it_needs, COUNT(strings)),
    TEST(no_text_is_written_as_an_empty_string),
    TEST(a_string_fits_exactly_or_not_at_all),
    LOOP(every_byte_is_written_wherever_it_stands, 24),
    LOOP(no_byte_of_a_long_string_is_passed_over, LONG),
    TEST(interesting_characters_survive_both_ways),
    TEST(every_escape_of_four_digits_is_understood))
