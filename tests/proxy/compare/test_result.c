/* What is asked for, and what is made of what came of it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/err.h"
#include "proxy/base/json.h"
#include "proxy/compare/result.h"
#include "tests/suite.h"

static struct compare_options o;

static bool
read_options(int *status, const char *const *words, size_t count)
{
	char *argv[20];

	argv[0] = (char *)"compare";
	for (size_t i = 0; i < count; i++)
		argv[i + 1] = (char *)words[i];
	argv[count + 1] = NULL;
	optind = 0; /* begin anew */
	return compare_options_read(&o, (int)count + 1, argv, status);
}

#define READ(status, ...)                                          \
	read_options(status, (const char *const[]){ __VA_ARGS__ }, \
	    COUNT(((const char *const[]){ __VA_ARGS__ })))

START_TEST(defaults_are_small)
{
	int status;

	ck_assert(read_options(&status, NULL, 0));
	ck_assert_str_eq(o.url.authority, "127.0.0.1:8080");
	ck_assert_str_eq(o.api.port, "8081");
	ck_assert_uint_eq(o.transport_count, TRANSPORT_COUNT);
	ck_assert_uint_eq(o.subscribers, 10);
	ck_assert_uint_eq(compare_options_events(&o), 50);
	ck_assert(strncmp(o.channel, "compare-", 8) == 0);
	ck_assert_uint_eq(strlen(o.channel), 16);
}
END_TEST

START_TEST(every_option_is_taken)
{
	int status;

	ck_assert(READ(&status, "--url", "https://[::1]:444/base/", "--api",
	    "http://example.org", "--token", "abc", "--channel", "room-7",
	    "--subscribers=3", "--rate=7", "--size=200", "--duration=1m",
	    "--poll-interval=50ms"));
	ck_assert(o.url.secure);
	ck_assert_str_eq(o.url.host, "::1");
	ck_assert_str_eq(o.url.port, "444");
	ck_assert_str_eq(o.url.authority, "[::1]:444");
	ck_assert_str_eq(o.url.base, "/base");
	ck_assert_str_eq(o.api.host, "example.org");
	ck_assert_str_eq(o.api.port, "80");
	ck_assert_str_eq(o.token, "abc");
	ck_assert_str_eq(o.channel, "room-7");
	ck_assert_uint_eq(compare_options_events(&o), 420);
	ck_assert_uint_eq(o.poll_interval_ms, 50);
	ck_assert(READ(&status, "--transports", "short,ws", "--publisher",
	    "demo", "--grace=2s", "--insecure", "--quiet", "--together",
	    "--ca-file", "x", "--json", "a", "--csv", "-", "--html", "c"));
	ck_assert_uint_eq(o.transport_count, 2);
	ck_assert_int_eq(o.transports[0], TRANSPORT_SHORT);
	ck_assert_int_eq(o.transports[1], TRANSPORT_WS);
	ck_assert_int_eq(o.publisher, PUBLISHER_DEMO);
	ck_assert_uint_eq(o.grace_ms, 2000);
	ck_assert(o.tls.trusting && o.quiet && o.together);
	ck_assert_str_eq(o.tls.authorities, "x");
	ck_assert_str_eq(o.json, "a");
	ck_assert_str_eq(o.csv, "-");
	ck_assert_str_eq(o.html, "c");
}
END_TEST

static const char *const faults[][2] = { { "--rate", "0" },
	{ "--rate", "10001" }, { "--rate", "x" }, { "--subscribers", "0" },
	{ "--size", "10" }, { "--duration", "5" }, { "--duration", "2h" },
	{ "--poll-interval", "1ms" }, { "--transports", "ws,udp" },
	{ "--transports", "ws,ws" }, { "--transports", "" },
	{ "--publisher", "me" }, { "--channel", "a b" },
	{ "--channel", "a/../b" }, { "--token", "a b" }, { "--token", "" },
	{ "--token-file", "/does/not/exist" }, { "--url", "127.0.0.1" },
	{ "--url", "ftp://a" }, { "--url", "http://" },
	{ "--url", "http://a:0" }, { "--url", "http://a:70000" },
	{ "--url", "http://[::1" }, { "--url", "http://[::1]x" },
	{ "--url", "http://a b" }, { "--url", "http://a\r\nX:" },
	{ "--url", "http://u@a" }, { "--url", "http://a/?q" },
	{ "--nothing", "x" }, { "word", "word" } };

START_TEST(a_fault_is_told_and_nothing_is_done)
{
	int status = -1;

	ck_assert(!READ(&status, faults[_i][0], faults[_i][1]));
	ck_assert_int_eq(status, 2);
}
END_TEST

START_TEST(values_that_do_not_go_together_are_faults)
{
	int status;

	ck_assert(!READ(&status, "--json", "-", "--html", "-"));
	ck_assert(!READ(&status, "--html", "a", "--json", "b", "--csv", "b"));
	ck_assert(!READ(&status, "--publisher", "demo", "--rate", "2000"));
	ck_assert(!READ(&status, "--subscribers", "20000", "--rate", "10000",
	    "--duration", "1h"));
	ck_assert_int_eq(status, 2);
}
END_TEST

START_TEST(a_token_comes_from_a_file_without_its_line_end)
{
	char path[] = "/tmp/spillway-token-XXXXXX";
	int fd = mkstemp(path), status;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "secret\r\n", 8), 8);
	close(fd);
	ck_assert(READ(&status, "--api-token-file", path));
	ck_assert_str_eq(o.api_token, "secret");
	unlink(path);
}
END_TEST

/* Exports. */

static struct result r;

/* Two subscribers, ten events: one of them is missing once, one came twice. */
static void
make_result(void)
{
	struct phase *p = &r.phases[0];
	int status;

	ck_assert(READ(&status, "--subscribers", "2", "--url",
	    "http://127.0.0.1:8080/a&b='x'", "--channel", "room~7"));
	memset(&r, 0, sizeof(r));
	r.options = &o;
	r.began_unix_ms = UINT64_C(1763634245000);
	r.no_gauge = "<script>\"'&";
	r.count = 2;
	p->transport = TRANSPORT_LONG;
	p->published = 10;
	p->tally.received = 19;
	p->tally.duplicates = 1;
	p->tally.requests = 22;
	for (size_t b = 0; b < BUCKET_COUNT; b++)
		p->tally.bytes[b] = 19 * (b + 1);
	for (uint64_t i = 1; i <= 19; i++)
		latencies_add(&p->tally.latency, i * 1000000);
	r.phases[1].transport = TRANSPORT_WS;
	r.phases[1].published = 10;
	r.phases[1].tally.received = 20;
	r.phases[1].has_process = true;
	r.phases[1].cpu_seconds = 0.5;
	r.phases[1].resident = 1000000;
	r.phases[1].growth = -4096;
	r.phases[1].has_counts = true;
	r.phases[1].counts.bytes[BUCKET_FRAMING] = 42;
	r.phases[1].counts.requests = 7;
}

START_TEST(what_is_missing_is_what_did_not_arrive)
{
	make_result();
	ck_assert_uint_eq(phase_expected(&r, &r.phases[0]), 20);
	ck_assert_uint_eq(phase_missing(&r, &r.phases[0]), 1);
	ck_assert(!phase_is_clean(&r, &r.phases[0]));
	ck_assert(phase_is_clean(&r, &r.phases[1]));
	r.phases[1].tally.late = 1;
	ck_assert(!phase_is_clean(&r, &r.phases[1]));
	ck_assert_double_eq(phase_per_event(&r.phases[0],
				(double)phase_total_bytes(&r.phases[0])),
	    21);
	r.phases[1].tally.received = 0;
	ck_assert_double_nan(phase_per_event(&r.phases[1], 5));
}
END_TEST

static bool
has(const struct buf *b, const char *text)
{
	return memmem(buf_head(b), buf_len(b), text, strlen(text)) != NULL;
}

START_TEST(the_json_is_json)
{
	struct buf out;

	make_result();
	buf_init(&out, 1 << 20);
	result_put_json(&out, &r);
	ck_assert_int_eq(buf_error(&out), SW_OK);
	ck_assert(json_valid(buf_str(&out)));
	ck_assert(has(&out, "\"began\":\"2025-11-20T10:24:05Z\""));
	ck_assert(has(&out, "\"expected\":20,\"received\":19,\"missing\":1"));
	ck_assert(has(&out, "\"noGateway\":\"<script>\\\"'&\""));
	ck_assert(has(&out, "\"cpuSeconds\":null"));
	ck_assert(has(&out, "\"cpuSeconds\":0.500"));
	ck_assert(has(&out, "\"memoryGrowthBytes\":-4096"));
	buf_fini(&out);
}
END_TEST

START_TEST(what_was_not_measured_is_told_and_has_no_row)
{
	void (*const puts[])(
	    struct buf * out, const struct result *r) = { result_put_table,
		result_put_json, result_put_html, result_put_csv };
	struct buf out;

	make_result();
	snprintf(r.phases[1].why, sizeof(r.phases[1].why), "no \"x\" & <y>");
	ck_assert(!phase_is_measured(&r.phases[1]));
	buf_init(&out, 1 << 20);
	for (size_t i = 0; i < COUNT(puts); i++) {
		buf_clear(&out);
		puts[i](&out, &r);
		ck_assert(!has(&out, "\nws "));
		ck_assert(!has(&out, "\nws,"));
		ck_assert(!has(&out, ">ws<"));
		ck_assert(i == 3 || has(&out, "no "));
		ck_assert(i != 1 || json_valid(buf_str(&out)));
		ck_assert(
		    i != 2 || has(&out, "no &quot;x&quot; &amp; &lt;y&gt;"));
	}
	buf_fini(&out);
}
END_TEST

START_TEST(every_row_of_the_csv_has_all_columns)
{
	struct str rest, line, cell;
	size_t rows = 0;
	struct buf out;

	make_result();
	buf_init(&out, 1 << 20);
	result_put_csv(&out, &r);
	rest = buf_str(&out);
	while (str_cut(&rest, '\n', &line)) {
		size_t commas = 0;

		if (rest.len == 0 && line.len == 0)
			break;
		ck_assert_int_eq(line.p[line.len - 1], '\r');
		for (size_t i = 0; i < line.len; i++)
			commas += line.p[i] == ',';
		ck_assert_uint_eq(commas, 25);
		str_cut(&line, ',', &cell);
		rows++;
	}
	ck_assert_uint_eq(rows, 3);
	ck_assert(has(&out, "\r\nlong,10,19,1,1,0,0,0,22,0,19,38,57,"));
	ck_assert(has(&out, ",,,,,\r\nws,"));
	ck_assert(has(&out, ",0.500,1000000,-4096,42,7\r\n"));
	buf_fini(&out);
}
END_TEST

START_TEST(nothing_in_the_page_is_markup_that_is_not_ours)
{
	struct buf out;

	make_result();
	r.cut_short = true;
	r.phases[0].tally.gaps = 7;
	buf_init(&out, 1 << 20);
	result_put_html(&out, &r);
	ck_assert_int_eq(buf_error(&out), SW_OK);
	ck_assert(!has(&out, "<script"));
	ck_assert(has(&out, "&lt;script&gt;&quot;&#39;&amp;"));
	ck_assert(has(&out, "/a&amp;b=&#39;x&#39;"));
	ck_assert(has(&out, "<td>-</td>"));
	ck_assert(has(&out, "<pre>long: 7 losses were told by the gateway\n"));
	ck_assert(has(&out, "\nInterrupted: "));
	ck_assert(has(&out, "<p>-: &lt;script&gt;"));
	ck_assert(!has(&out, "src="));
	ck_assert(!has(&out, "href="));
	buf_fini(&out);
}
END_TEST

START_TEST(less_than_was_asked_for_is_told)
{
	make_result();
	ck_assert(phase_fell_short(&r, &r.phases[0]));
	r.phases[0].refused = 39;
	ck_assert(phase_fell_short(&r, &r.phases[0]));
	r.phases[0].refused = 40;
	ck_assert(!phase_fell_short(&r, &r.phases[0]));
	r.phases[1].cut_short = true;
	ck_assert(!phase_fell_short(&r, &r.phases[1]));
}
END_TEST

START_TEST(the_chart_has_all_that_took_long)
{
	struct buf out;

	make_result();
	for (int i = 0; i < 777; i++)
		latencies_add(
		    &r.phases[0].tally.latency, UINT64_C(300000000000));
	buf_init(&out, 1 << 20);
	result_put_html(&out, &r);
	ck_assert(has(&out, "<title>777</title>"));
	buf_fini(&out);
}
END_TEST

START_TEST(the_table_says_what_is_not_known)
{
	struct buf out;

	make_result();
	r.cut_short = true;
	buf_init(&out, 1 << 20);
	result_put_table(&out, &r);
	ck_assert_int_eq(buf_error(&out), SW_OK);
	ck_assert(has(&out, "\n-: <script>\"'&\n"));
	ck_assert(has(&out, "Interrupted"));
	ck_assert(!has(&out, "Broken off"));
	ck_assert(has(&out, "Published by this program."));
	ck_assert(has(&out, "\nlong: 10 of 50 events were published when"));
	r.phases[0].cut_short = r.by_demo = true;
	r.broken_off = "it's gone";
	buf_clear(&out);
	result_put_table(&out, &r);
	ck_assert(has(&out, "\nBroken off: it's gone. What was on its way"));
	ck_assert(has(&out, "by the demo: latencies go by its clock and"));
	ck_assert(!has(&out, " of 50 "));
	ck_assert(has(&out, "\nlong          10        19       1       1"));
	buf_fini(&out);
}
END_TEST

START_TEST(the_table_has_the_gateways_counts_beside_ours)
{
	struct phase *ws = &r.phases[1];
	struct buf out;

	make_result();
	buf_init(&out, 1 << 20);
	result_put_table(&out, &r);
	ck_assert(has(
	    &out, "     10.22     18.35     19.00     19.00     19.00\nws "));
	ck_assert(has(&out, "       -         -  -\n"));
	ck_assert(has(&out, "       2.1         7  +42 bytes in all\n"));
	ws->tally.bytes[BUCKET_PAYLOAD] = 42;
	buf_clear(&out);
	result_put_table(&out, &r);
	ck_assert(has(&out, "       2.1         7  the same\n"));
	ws->counts_others = true;
	buf_clear(&out);
	result_put_table(&out, &r);
	ck_assert(has(&out, "       2.1         7  others were there\n"));
	buf_fini(&out);
}
END_TEST

START_TEST(whatever_went_wrong_once_has_a_line)
{
	static const char *const lines[] = {
		" losses were told by the gateway\n",
		" connections ended early\n",
		" events were of somebody else\n",
		" events were not taken: the gateway was busy\n",
		" events were due before the gateway took them;",
	};
	struct phase *p = &r.phases[0];
	char line[80];
	struct buf out;

	make_result();
	p->seconds = 1;
	p->own_cpu_seconds = 0.5;
	buf_init(&out, 1 << 20);
	result_put_table(&out, &r);
	ck_assert(!has(&out, "this program was busy"));
	for (size_t i = 0; i < COUNT(lines); i++)
		ck_assert_msg(!has(&out, lines[i]), "%s", lines[i]);
	p->own_cpu_seconds = 0.6;
	p->tally.gaps = p->tally.reconnects = p->tally.foreign = 1;
	p->refused = p->delayed = 1;
	buf_clear(&out);
	result_put_table(&out, &r);
	ck_assert(has(&out, "\nlong: this program was busy for 60 % of the"));
	ck_assert(has(&out, "\nlong: 11 of 50 events were published when"));
	for (size_t i = 0; i < COUNT(lines); i++) {
		snprintf(line, sizeof(line), "\nlong: 1%s", lines[i]);
		ck_assert_msg(has(&out, line), "%s", line);
	}
	buf_fini(&out);
}
END_TEST

START_TEST(of_nothing_that_arrived_nothing_is_said)
{
	struct buf out;

	make_result();
	r.phases[1].tally.received = 0;
	r.phases[1].tally.bytes[BUCKET_HANDSHAKE] = 500;
	buf_init(&out, 1 << 20);
	result_put_table(&out, &r);
	ck_assert(
	    has(&out, "0         -         -         -         -         -\n"));
	ck_assert(has(&out, "\nws             -         -         -"));
	ck_assert(has(&out, "\nws            500            -       1.0"));
	ck_assert(!has(&out, "nan"));
	buf_clear(&out);
	result_put_html(&out, &r);
	ck_assert(
	    has(&out, "<td>0</td><td>-</td><td>-</td><td>-</td><td>-</td>"));
	ck_assert(has(&out, "<td>500</td><td>-</td><td>1.0</td>"));
	buf_clear(&out);
	result_put_json(&out, &r);
	ck_assert(json_valid(buf_str(&out)));
	ck_assert(
	    has(&out, "\"bytesPerEvent\":null,\"latencyMs\":{\"count\":0}"));
	ck_assert(has(&out, "\"cpuMicrosecondsPerEvent\":null"));
	buf_fini(&out);
}
END_TEST

SUITE("compare/result", TEST(defaults_are_small), TEST(every_option_is_taken),
    LOOP(a_fault_is_told_and_nothing_is_done, COUNT(faults)),
    TEST(values_that_do_not_go_together_are_faults),
    TEST(a_token_comes_from_a_file_without_its_line_end),
    TEST(what_is_missing_is_what_did_not_arrive), TEST(the_json_is_json),
    TEST(what_was_not_measured_is_told_and_has_no_row),
    TEST(every_row_of_the_csv_has_all_columns),
    TEST(nothing_in_the_page_is_markup_that_is_not_ours),
    TEST(of_nothing_that_arrived_nothing_is_said),
    TEST(less_than_was_asked_for_is_told),
    TEST(the_chart_has_all_that_took_long),
    TEST(the_table_says_what_is_not_known),
    TEST(the_table_has_the_gateways_counts_beside_ours),
    TEST(whatever_went_wrong_once_has_a_line))
