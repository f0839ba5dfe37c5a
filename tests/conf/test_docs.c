#include "conf/conf.h"
#include "conf/directives.h"
#include "conf/docs.h"
#include "conf/fields.h"
#include "tests/conf/files.h"

/* Terminated; the caller's. */
static char *
document(int (*print)(struct buf *out))
{
	struct buf out;
	size_t len;

	buf_init(&out, 1024 * 1024);
	ck_assert_int_eq(print(&out), SW_OK);
	ck_assert_int_eq(buf_put(&out, "", 1), SW_OK);
	return (char *)buf_take(&out, &len);
}

/* The text with all of `from` replaced; the caller's. */
static char *
replace(char *text, const char *from, const char *to)
{
	struct buf out;
	size_t len;
	char *p = text, *hit;

	buf_init(&out, 1024 * 1024);
	while ((hit = strstr(p, from)) != NULL) {
		buf_put(&out, p, (size_t)(hit - p));
		buf_puts(&out, to);
		p = hit + strlen(from);
	}
	buf_put(&out, p, strlen(p) + 1);
	free(text);
	return (char *)buf_take(&out, &len);
}

/* A directory of this build, as the sample or the manual writes it. */
static char *
replace_directory(char *text, const char *from, const char *to)
{
	char *manual = replace(strdup(from), "-", "\\-");

	text = replace(text, from, to);
	text = replace(text, manual, to);
	free(manual);
	return text;
}

/* Lines break elsewhere where a directory has a longer name. */
static void
join_lines(char *text)
{
	for (; *text != '\0'; text++)
		if (*text == '\n')
			*text = ' ';
}

/* What is kept in the tree has the directories of a package. */
static void
check_kept(const char *path, int (*print)(struct buf *out))
{
	char *kept = file_of_tree(path), *printed = document(print);

	printed =
	    replace_directory(printed, SPILLWAY_STATEDIR, "/var/lib/spillway");
	printed =
	    replace_directory(printed, SPILLWAY_DATADIR, "/usr/share/spillway");
	join_lines(kept);
	join_lines(printed);
	ck_assert_msg(
	    strcmp(kept, printed) == 0, "make %s again with conf/gendoc", path);
	free(kept);
	free(printed);
}

START_TEST(the_sample_is_what_the_table_says)
{
	check_kept("conf/spillway.conf", docs_sample);
}
END_TEST

START_TEST(the_manual_is_what_the_table_says)
{
	check_kept("conf/spillway.conf.5", docs_manual);
}
END_TEST

static void
check_defaults(const struct conf *c)
{
	struct conf *defaults = load(NULL);

	ck_assert_uint_eq(c->policy_count, 1);
	ck_assert_uint_eq(c->route_count, 1);
	for (size_t i = 0; i < directive_count(); i++) {
		const struct directive *d = directive_at(i);

		ck_assert_msg(
		    field_same(d, conf_base(c, d), conf_base(defaults, d)),
		    "%s", d->name);
	}
	conf_free(defaults);
}

START_TEST(the_sample_loads_to_the_defaults)
{
	char *text = document(docs_sample);
	struct conf *c = load_text(text);

	check_defaults(c);
	conf_free(c);
	free(text);
}
END_TEST

/* "#name = value" is a setting, "# words" is not. */
START_TEST(the_sample_loads_to_the_defaults_without_its_comment_signs)
{
	char *text = document(docs_sample);
	size_t settings = 0, defaults = 0;
	struct conf *c;

	for (char *p = text; p != NULL && *p != '\0'; p = strchr(p, '\n') + 1) {
		if (p[0] == '#' && p[1] >= 'a' && p[1] <= 'z') {
			*p = ' ';
			settings++;
		}
	}
	for (size_t i = 0; i < directive_count(); i++)
		defaults += directive_at(i)->fallback != NULL;
	ck_assert_uint_eq(settings, defaults);
	c = load_text(text);
	check_defaults(c);
	conf_free(c);
	free(text);
}
END_TEST

START_TEST(each_directive_is_in_the_documents)
{
	const struct directive *d = directive_at((size_t)_i);
	char *sample = document(docs_sample);
	char *manual = replace(document(docs_manual), "\\-", "-");
	char text[256];

	snprintf(text, sizeof(text),
	    "%s%s = ", d->fallback == NULL ? "# For example: " : "\n#",
	    d->name);
	ck_assert_msg(strstr(sample, text) != NULL, "%s", d->name);
	snprintf(text, sizeof(text), "\n.It Ic %s No = ", d->name);
	ck_assert_msg(strstr(manual, text) != NULL, "%s", d->name);
	free(sample);
	free(manual);
}
END_TEST

/* One after the other, so that each group has one heading. */
START_TEST(the_table_is_in_the_order_of_its_groups)
{
	for (size_t i = 1; i < directive_count(); i++)
		ck_assert_int_le(
		    directive_at(i - 1)->group, directive_at(i)->group);
	ck_assert_int_eq(directive_at(0)->group, GROUP_EVERYDAY);
	ck_assert_int_eq(
	    directive_at(directive_count() - 1)->group, GROUP_COUNT - 1);
}
END_TEST

START_TEST(each_directive_has_its_own_name_and_a_sentence)
{
	const struct directive *d = directive_at((size_t)_i);

	ck_assert_ptr_eq(directive_find(str_of(d->name)), d);
	ck_assert_ptr_nonnull(d->help);
	ck_assert_int_eq(d->help[strlen(d->help) - 1], '.');
	ck_assert((d->fallback == NULL) != (d->example == NULL));
}
END_TEST

START_TEST(no_line_of_the_sample_is_too_long)
{
	char *text = file_of_tree("conf/spillway.conf");

	for (char *p = text; *p != '\0'; p += strcspn(p, "\n") + 1)
		ck_assert_msg(strcspn(p, "\n") <= 79, "%.80s", p);
	free(text);
}
END_TEST

/* The tool is not everywhere: without it, nothing is checked. */
START_TEST(the_manuals_are_good_mdoc)
{
	static const char *const manuals[] = { "conf/spillway.conf.5",
		"conf/spillway.8" };
	const char *srcdir = getenv("srcdir");
	char command[512];

	if (system("command -v mandoc >/dev/null 2>&1") != 0)
		return;
	for (size_t i = 0; i < 2; i++) {
		snprintf(command, sizeof(command),
		    "mandoc -T lint -W warning '%s/%s'",
		    srcdir == NULL ? "." : srcdir, manuals[i]);
		ck_assert_int_eq(system(command), 0);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("conf/docs");
	TCase *tc = tcase_create("docs");
	int n = (int)directive_count();

	tcase_add_checked_fixture(tc, scratch_make, scratch_remove);
	tcase_add_test(tc, the_sample_is_what_the_table_says);
	tcase_add_test(tc, the_manual_is_what_the_table_says);
	tcase_add_test(tc, the_sample_loads_to_the_defaults);
	tcase_add_test(
	    tc, the_sample_loads_to_the_defaults_without_its_comment_signs);
	tcase_add_loop_test(tc, each_directive_is_in_the_documents, 0, n);
	tcase_add_test(tc, the_table_is_in_the_order_of_its_groups);
	tcase_add_loop_test(
	    tc, each_directive_has_its_own_name_and_a_sentence, 0, n);
	tcase_add_test(tc, no_line_of_the_sample_is_too_long);
	tcase_add_test(tc, the_manuals_are_good_mdoc);
	suite_add_tcase(suite, tc);
	return run_cases(suite);
}
