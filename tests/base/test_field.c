#include "proxy/base/field.h"

#include <check.h>

#include "tests/suite.h"

static bool
is_token_byte(int c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	    (c >= 'a' && c <= 'z') ||
	    (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

START_TEST(a_token_has_the_bytes_of_the_rfc_and_no_others)
{
	for (int c = 0; c < 256; c++) {
		char alone = (char)c, text[] = { 'a', (char)c, 'b' };

		ck_assert_int_eq(field_is_token((struct str){ &alone, 1 }),
		    is_token_byte(c));
		ck_assert_int_eq(
		    field_is_token((struct str){ text, 3 }), is_token_byte(c));
	}
	ck_assert(!field_is_token(STR("")));
	ck_assert(!field_is_token((struct str){ NULL, 0 }));
}
END_TEST

START_TEST(a_value_has_no_control_characters_but_tabs)
{
	for (int c = 0; c < 256; c++) {
		char text[] = { 'a', (char)c, 'b' };

		ck_assert_int_eq(field_is_value((struct str){ text, 3 }),
		    c == '\t' || (c >= 0x20 && c != 0x7f));
	}
	ck_assert(field_is_value(STR("")));
	ck_assert(field_is_value((struct str){ NULL, 0 }));
}
END_TEST

SUITE("field", TEST(a_token_has_the_bytes_of_the_rfc_and_no_others),
    TEST(a_value_has_no_control_characters_but_tabs))
