#ifndef SPILLWAY_PROXY_COMPARE_RESULT_H
#define SPILLWAY_PROXY_COMPARE_RESULT_H

#include "proxy/compare/gauge.h"
#include "proxy/compare/options.h"
#include "proxy/compare/tally.h"

/* What a run has found out, for the table and for what is taken away. */

/* One transport's part of a run. */
struct phase {
	enum transport_id transport;
	/* Why it was not measured, in plain ASCII; empty if it was. */
	char why[400];
	bool cut_short;         /* so what was on its way may be missing */
	double opening_seconds; /* until all subscribers were there */
	double seconds;         /* of publishing, and until all had arrived */
	uint64_t published;     /* events that the gateway acknowledged */
	uint64_t refused;       /* that it was too busy for */
	uint64_t delayed;       /* that it took later than they were due */
	double own_cpu_seconds; /* of this program meanwhile */
	struct tally tally;
	/* What the gateway says: differences over the phase. */
	bool has_counts;
	struct gauge counts;
	bool counts_others; /* it has counted more than us */
	bool has_process;
	double cpu_seconds;         /* from the first event to the last */
	double opening_cpu_seconds; /* for them to come */
	uint64_t resident;          /* while they were there */
	int64_t growth;             /* since before they came */
};

struct result {
	const struct compare_options *options;
	uint64_t began_unix_ms;
	bool by_demo;           /* it was the demo that published */
	bool demo_counts;       /* and who says what the gateway has counted */
	bool cut_short;         /* by the user */
	const char *broken_off; /* why it ended before its time; or NULL */
	const char *no_gauge; /* why the gateway's columns are empty; or NULL */
	struct phase phases[TRANSPORT_COUNT];
	size_t count;
};

bool phase_is_measured(const struct phase *p);
uint64_t phase_expected(const struct result *r, const struct phase *p);
uint64_t phase_missing(const struct result *r, const struct phase *p);
/* Nothing missing, twice, late, or told to be lost. */
bool phase_is_clean(const struct result *r, const struct phase *p);
/* Less was published than was asked for, and not since somebody ended it. */
bool phase_fell_short(const struct result *r, const struct phase *p);
uint64_t phase_total_bytes(const struct phase *p);
uint64_t phase_counted_bytes(const struct phase *p); /* by the gateway */
/* Per event that arrived; NAN if none did. */
double phase_per_event(const struct phase *p, double n);
/* In a column, or none: 0; "-" is what is not known. */
void result_put_number(struct buf *out, int width, int places, double value);
/* How they were measured: a part of a sentence. */
const char *result_manner(const struct result *r);
/* Who has published, and what follows from it: the end of a sentence. */
const char *result_publisher(const struct result *r);
/* Of the buckets in the tables. */
const char *bucket_title(enum bucket b);

/* The table for people. */
void result_put_table(struct buf *out, const struct result *r);

/* The end of it: what one has to know of the numbers, a line each, or none. */
void result_put_remarks(struct buf *out, const struct result *r);

void result_put_json(struct buf *out, const struct result *r);
void result_put_csv(struct buf *out, const struct result *r);
/* A page that needs nothing else, and has no scripts. */
void result_put_html(struct buf *out, const struct result *r);

#endif
