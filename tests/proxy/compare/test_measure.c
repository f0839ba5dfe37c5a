/* Numbers: times, what was seen, what events and the gateway say. */
#include <stdio.h>
#include <string.h>

#include "proxy/base/err.h"
#include "proxy/base/json.h"
#include "proxy/compare/envelope.h"
#include "proxy/compare/gauge.h"
#include "proxy/compare/latencies.h"
#include "proxy/compare/seen.h"
#include "tests/suite.h"

static struct latencies times;

/* Where a quantile is known, it is told to 3.2 %, and never below. */
START_TEST(a_quantile_is_close_to_what_was_seen)
{
	static const double quantiles[] = { 0.01, 0.5, 0.9, 0.95, 0.99, 1 };
	uint64_t unit = UINT64_C(1) << _i;

	memset(&times, 0, sizeof(times));
	for (uint64_t i = 1000; i > 0; i--)
		latencies_add(&times, i * unit);
	for (size_t i = 0; i < COUNT(quantiles); i++) {
		double exact = quantiles[i] * 1000 * (double)unit;
		double told = (double)latencies_at(&times, quantiles[i]);

		ck_assert_double_ge(told, exact);
		ck_assert_double_le(told, exact * 1.032);
	}
	ck_assert_uint_eq(times.min_ns, unit);
	ck_assert_uint_eq(latencies_at(&times, 1), 1000 * unit);
	ck_assert_double_eq_tol(
	    latencies_mean(&times) / (double)unit, 500.5, 0.001);
	ck_assert_uint_eq(latencies_between(&times, 0, UINT64_MAX), 1000);
}
END_TEST

START_TEST(nothing_has_no_quantiles)
{
	memset(&times, 0, sizeof(times));
	ck_assert_uint_eq(latencies_at(&times, 0.5), 0);
	ck_assert_double_eq(latencies_mean(&times), 0);
}
END_TEST

START_TEST(those_of_several_are_joined)
{
	static struct latencies all, one, none;

	memset(&all, 0, sizeof(all));
	memset(&one, 0, sizeof(one));
	latencies_add(&one, 1000);
	latencies_add(&one, 3000000);
	latencies_join(&all, &one);
	latencies_join(&all, &none);
	ck_assert_uint_eq(all.min_ns, 1000);
	memset(&one, 0, sizeof(one));
	latencies_add(&one, 500);
	latencies_add(&one, 2000000);
	latencies_join(&all, &one);
	ck_assert_uint_eq(all.count, 4);
	ck_assert_uint_eq(all.min_ns, 500);
	ck_assert_uint_eq(all.max_ns, 3000000);
	ck_assert_uint_eq(latencies_at(&all, 1), 3000000);
	ck_assert_uint_lt(latencies_at(&all, 0.5), 1100);
	ck_assert_double_eq(latencies_mean(&all), 5001500.0 / 4);
}
END_TEST

START_TEST(every_time_has_a_place)
{
	static const uint64_t odd[] = { 0, 1, 63, 64, 65, UINT64_MAX - 1,
		UINT64_MAX };

	for (size_t i = 0; i < COUNT(odd); i++) {
		memset(&times, 0, sizeof(times));
		latencies_add(&times, odd[i]);
		ck_assert_uint_eq(latencies_at(&times, 0.5), odd[i]);
	}
}
END_TEST

START_TEST(late_ones_and_duplicates_are_told_apart)
{
	struct seen s;

	seen_init(&s, 100);
	ck_assert_int_eq(seen_take(&s, 101), SEEN_NEXT);
	ck_assert_int_eq(seen_take(&s, 104), SEEN_NEXT);
	ck_assert_int_eq(seen_take(&s, 102), SEEN_LATE);
	ck_assert_int_eq(seen_take(&s, 102), SEEN_AGAIN);
	ck_assert_int_eq(seen_take(&s, 104), SEEN_AGAIN);
	ck_assert_int_eq(seen_take(&s, 103), SEEN_LATE);
	/* Before the first one nothing was expected. */
	ck_assert_int_eq(seen_take(&s, 100), SEEN_AGAIN);
	ck_assert_int_eq(seen_take(&s, 1), SEEN_AGAIN);
}
END_TEST

START_TEST(a_long_way_back_is_known_and_no_further)
{
	struct seen s;

	seen_init(&s, 0);
	ck_assert_int_eq(seen_take(&s, SEEN_BACK * 10), SEEN_NEXT);
	ck_assert_int_eq(seen_take(&s, SEEN_BACK * 9 + 1), SEEN_LATE);
	ck_assert_int_eq(seen_take(&s, SEEN_BACK * 9 + 1), SEEN_AGAIN);
	ck_assert_int_eq(seen_take(&s, SEEN_BACK * 9), SEEN_AGAIN);
	for (uint64_t n = SEEN_BACK * 10 + 1; n < SEEN_BACK * 12; n++)
		ck_assert_int_eq(seen_take(&s, n), SEEN_NEXT);
	for (uint64_t n = SEEN_BACK * 11; n < SEEN_BACK * 12; n++)
		ck_assert_int_eq(seen_take(&s, n), SEEN_AGAIN);
}
END_TEST

START_TEST(a_payload_has_its_size_and_reads_back)
{
	static const size_t sizes[] = { ENVELOPE_SIZE_MIN, 128, 1000, 65536 };
	struct stamp s = { .n = INT64_MAX,
		.sent_ns = 1763634245123456789,
		.run = STR("0badcafe") },
		     read;
	struct buf out;

	buf_init(&out, 1 << 20);
	ck_assert_int_eq(stamp_put(&out, &s, sizes[_i]), SW_OK);
	ck_assert_uint_eq(
	    buf_len(&out), sizes[_i] > 90 ? sizes[_i] : buf_len(&out));
	ck_assert(json_valid(buf_str(&out)));
	ck_assert(stamp_read(&read, buf_str(&out)));
	ck_assert_uint_eq(read.n, s.n);
	ck_assert_uint_eq(read.sent_ns, s.sent_ns);
	ck_assert(str_is(read.run, "0badcafe"));
	buf_clear(&out);
	s.n = 9999999;
	s.sent_ns = 99999999999999;
	ck_assert_int_eq(stamp_put(&out, &s, sizes[_i]), SW_OK);
	ck_assert_uint_eq(buf_len(&out), sizes[_i]);
	buf_fini(&out);
}
END_TEST

START_TEST(the_demos_payload_is_understood)
{
	struct stamp s;

	ck_assert(stamp_read(
	    &s, STR("{\"n\":17,\"t\":1763634245123.456,\"pad\":\"..\"}")));
	ck_assert_uint_eq(s.n, 17);
	ck_assert_uint_eq(s.sent_ns, 1763634245123456000);
	ck_assert_ptr_null(s.run.p);
}
END_TEST

START_TEST(a_payload_of_somebody_else_is_none_of_ours)
{
	static const char *const others[] = { "17", "[]", "\"n\"", "{}",
		"{\"n\":17}", "{\"t\":1.5}", "{\"n\":\"17\",\"t\":1}",
		"{\"n\":0,\"t\":1}", "{\"n\":-1,\"t\":1}",
		"{\"n\":1.5,\"t\":1}", "{\"n\":1,\"t\":\"x\"}",
		"{\"n\":1,\"t\":-1}", "{\"n\":1,\"t\":1e3}",
		"{\"n\":1,\"t\":1.1234567}",
		"{\"n\":1,\"t\":18446744073709551615}", "null" };
	struct stamp s;

	for (size_t i = 0; i < COUNT(others); i++)
		ck_assert_msg(
		    !stamp_read(&s, str_of(others[i])), "%s", others[i]);
}
END_TEST

START_TEST(only_cursors_become_parts_of_requests)
{
	struct envelope e;

	ck_assert(envelope_read(&e,
	    STR("{\"id\":\"k3x9-1042\",\"type\":\"message\",\"data\":[1]}")));
	ck_assert(str_is(e.id, "k3x9-1042"));
	ck_assert(str_is(e.data, "[1]"));
	ck_assert(!envelope_is_notice(&e, NULL));
	ck_assert(envelope_read(
	    &e, STR("{\"id\":\"k3x9-1 HTTP/1.1\",\"cursor\":\"a\\nb-1\"}")));
	ck_assert_ptr_null(e.id.p);
	ck_assert_ptr_null(e.cursor.p);
	ck_assert(envelope_read(
	    &e, STR("{\"type\":\"spillway.gap\",\"cursor\":\"abc-1\"}")));
	ck_assert(envelope_is_notice(&e, "gap"));
	ck_assert(!envelope_is_notice(&e, "hello"));
	ck_assert(str_is(e.cursor, "abc-1"));
	ck_assert(!envelope_read(&e, STR("[1]")));
}
END_TEST

#define BYTES(t, n)                                                          \
	"spillway_bytes_total{transport=\"" t "\",bucket=\"handshake\"} " n  \
	"\nspillway_bytes_total{transport=\"" t                              \
	"\",bucket=\"request_headers\"} 2\n"                                 \
	"spillway_bytes_total{transport=\"" t                                \
	"\",bucket=\"response_headers\"} 3\n"                                \
	"spillway_bytes_total{transport=\"" t "\",bucket=\"framing\"} 4\n"   \
	"spillway_bytes_total{transport=\"" t "\",bucket=\"heartbeat\"} 5\n" \
	"spillway_bytes_total{transport=\"" t "\",bucket=\"payload\"} 6\n"

START_TEST(metrics_are_read_by_transport)
{
	static const char text[] =
	    "# HELP spillway_bytes_total x\n" BYTES("sse", "7") BYTES("ws",
		"1") "spillway_requests_total{transport=\"ws\"} 10\n"
		     "spillway_requests_total{transport=\"sse\"} 11\n"
		     "spillway_events_delivered_total{transport=\"ws\"} 12\n"
		     "process_cpu_seconds_total 1.250\n"
		     "process_start_time_seconds 1763634245.5\n"
		     "process_resident_memory_bytes 4096\n";
	struct gauge g;

	gauge_read_metrics(&g, str_of(text), "ws");
	ck_assert(g.there);
	ck_assert_uint_eq(g.requests, 10);
	ck_assert_uint_eq(g.events, 12);
	ck_assert_uint_eq(g.bytes[BUCKET_HANDSHAKE], 1);
	ck_assert_uint_eq(g.bytes[BUCKET_PAYLOAD], 6);
	ck_assert(g.has_process);
	ck_assert_double_eq(g.cpu_seconds, 1.25);
	ck_assert_double_eq(g.started, 1763634245.5);
	ck_assert_uint_eq(g.resident, 4096);
	/* Its events are not there: then nothing is. */
	gauge_read_metrics(&g, str_of(text), "sse");
	ck_assert(!g.there);
}
END_TEST

START_TEST(metrics_that_are_no_numbers_are_not_there)
{
	static const char *const texts[] = { "", "\n\n",
		"process_cpu_seconds_total x\nprocess_resident_memory_bytes "
		"1\n",
		"process_cpu_seconds_total 1 2\nprocess_resident_memory_bytes "
		"1",
		"process_cpu_seconds_total nan\nprocess_resident_memory_bytes "
		"1",
		"process_cpu_seconds_total -1\nprocess_resident_memory_bytes 1",
		"process_cpu_seconds_total 1\nprocess_resident_memory_bytes "
		"1e99",
		"process_cpu_seconds_total\nprocess_resident_memory_bytes" };
	static const char started[] = "process_start_time_seconds 1";
	char text[200];
	struct gauge g;

	/* As they should be, they are there. */
	snprintf(text, sizeof(text),
	    "%s\nprocess_cpu_seconds_total 1\n"
	    "process_resident_memory_bytes 1",
	    started);
	gauge_read_metrics(&g, str_of(text), "ws");
	ck_assert(g.has_process);
	for (size_t i = 0; i < COUNT(texts); i++) {
		snprintf(text, sizeof(text), "%s\n%s\n", started, texts[i]);
		gauge_read_metrics(&g, str_of(text), "ws");
		ck_assert(!g.there);
		ck_assert_msg(!g.has_process, "%s", texts[i]);
	}
}
END_TEST

START_TEST(panes_of_all_workers_are_added_up)
{
	struct gauge g;

	gauge_read_panes(&g,
	    STR("{\"panes\":[{\"name\":\"a-ws\",\"worker\":0,\"requests\":2,"
		"\"bytes\":{\"handshake\":5,\"payload\":7}},"
		"{\"name\":\"a-ws-2\",\"requests\":9,\"bytes\":{}},"
		"{\"name\":\"a-ws\",\"worker\":1,\"requests\":3,"
		"\"bytes\":{\"payload\":1}}]}"),
	    "a-ws");
	ck_assert(g.there);
	ck_assert_uint_eq(g.requests, 5);
	ck_assert_uint_eq(g.bytes[BUCKET_HANDSHAKE], 5);
	ck_assert_uint_eq(g.bytes[BUCKET_PAYLOAD], 8);
	gauge_read_panes(&g, STR("{\"panes\":[]}"), "a-ws");
	ck_assert(!g.there);
	gauge_read_panes(&g, STR("{\"panes\":[{\"name\":1}]"), "a-ws");
	ck_assert(!g.there);
}
END_TEST

SUITE("compare/measure", LOOP(a_quantile_is_close_to_what_was_seen, 40),
    TEST(nothing_has_no_quantiles), TEST(those_of_several_are_joined),
    TEST(every_time_has_a_place), TEST(late_ones_and_duplicates_are_told_apart),
    TEST(a_long_way_back_is_known_and_no_further),
    LOOP(a_payload_has_its_size_and_reads_back, 4),
    TEST(the_demos_payload_is_understood),
    TEST(a_payload_of_somebody_else_is_none_of_ours),
    TEST(only_cursors_become_parts_of_requests),
    TEST(metrics_are_read_by_transport),
    TEST(metrics_that_are_no_numbers_are_not_there),
    TEST(panes_of_all_workers_are_added_up))
