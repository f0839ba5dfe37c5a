#include "storage/past.h"

#include <inttypes.h>
#include <stdlib.h>

#include "proxy/base/err.h"
#include "proxy/base/pattern.h"

struct span {
	struct past_span ids;
	struct str rules; /* its lines */
};

/* Cut the next span off; false if there is none, or no sense in it. */
static bool
next_span(struct str *text, struct span *out)
{
	struct str line, number;

	if (!str_cut(text, '\n', &line) || !str_cut(&line, ' ', &number) ||
	    str_to_u64(&out->ids.from, number, INT64_MAX) != SW_OK ||
	    str_to_u64(&out->ids.upto, line, INT64_MAX) != SW_OK)
		return false;
	out->rules = (struct str){ text->p == NULL ? "" : text->p, 0 };
	/* A line that is cut off is none. */
	while (str_cut(text, '\n', &line) && line.len > 0 && text->p != NULL)
		out->rules.len += line.len + 1;
	return true;
}

/* The rules of a span, behind those that are there; `p` has room for them. */
static void
take_rules(struct past *p, const struct span *s)
{
	struct str rest = s->rules, line, kind;

	while (str_cut(&rest, '\n', &line)) {
		if (!str_cut(&line, ' ', &kind) || line.p == NULL)
			continue;
		p->rules[p->count++] = (struct past_rule){
			.pattern = line.p,
			.memory = str_is(kind, "memory"),
			.ids = s->ids,
		};
		/* It ends there. */
		p->text[line.p + line.len - p->text] = '\0';
	}
}

static size_t
count_lines(struct str text)
{
	struct str line;
	size_t n = 0;

	while (str_cut(&text, '\n', &line))
		n++;
	return n;
}

int
past_read(struct past *p, struct str text, uint64_t head)
{
	struct span spans[PAST_SPANS + 1];
	size_t n = 0;

	*p = (struct past){ .count = 0 };
	p->text = strndup(text.len == 0 ? "" : text.p, text.len);
	p->rules = calloc(count_lines(text) + 1, sizeof(*p->rules));
	if (p->text == NULL || p->rules == NULL) {
		past_fini(p);
		return SW_ENOMEM;
	}
	text.p = p->text;
	while (n < PAST_SPANS + 1 && next_span(&text, &spans[n]))
		n++;
	while (n > 0) {
		struct span *s = &spans[--n];

		if (s->ids.upto == 0)
			s->ids.upto = head;
		take_rules(p, s);
	}
	return SW_OK;
}

void
past_fini(struct past *p)
{
	free(p->rules);
	free(p->text);
	*p = (struct past){ .count = 0 };
}

struct past_span
past_find(const struct past *p, struct str channel)
{
	const struct past_span none = { 0, 0 };
	size_t i = 0;

	while (i < p->count) {
		const struct past_rule *r = &p->rules[i];

		if (!pattern_matches(r->pattern, channel)) {
			i++;
			continue;
		}
		if (r->memory)
			return r->ids;
		/* On to the span before. */
		while (i < p->count && p->rules[i].ids.from == r->ids.from)
			i++;
	}
	return none;
}

int
past_put_rules(struct buf *out, const struct policy *policies, size_t count)
{
	/* Behind the last one in memory all are stored. */
	while (count > 0 && policies[count - 1].durability != DURABILITY_MEMORY)
		count--;
	for (size_t i = 0; i < count; i++)
		buf_printf(out, "%s %s\n",
		    policies[i].durability == DURABILITY_MEMORY ? "memory" :
								  "stored",
		    policies[i].pattern);
	return buf_error(out);
}

struct str
past_rules(struct str text)
{
	struct str rules = STR("");
	struct span s;

	while (next_span(&text, &s))
		rules = s.ids.upto == 0 ? s.rules : STR("");
	return rules;
}

static void
put_span(struct buf *out, const struct span *s)
{
	buf_printf(out, "%" PRIu64 " %" PRIu64 "\n", s->ids.from, s->ids.upto);
	buf_put_str(out, s->rules);
	buf_puts(out, "\n");
}

/* A later span with the same rules says all that this one does. */
static bool
is_repeated(struct str later, struct str rules)
{
	struct span s;

	while (next_span(&later, &s))
		if (str_equals(s.rules, rules))
			return true;
	return false;
}

/* Cut off the next span that is worth keeping, as one that ends with `head`. */
static bool
next_ended(struct str *text, uint64_t head, struct span *out)
{
	while (next_span(text, out)) {
		if (out->ids.upto == 0)
			out->ids.upto = head;
		/* No id was given out in it? */
		if (out->ids.upto > out->ids.from &&
		    !is_repeated(*text, out->rules))
			return true;
	}
	return false;
}

bool
past_is_plain(struct str text)
{
	struct span s;

	return !next_span(&text, &s) ||
	    (s.ids.from == 0 && s.ids.upto == 0 && !next_span(&text, &s));
}

int
past_turn(struct buf *out, struct str text, struct str rules, uint64_t head,
    uint64_t *dropped)
{
	struct span now = { { head, 0 }, rules };
	struct str rest = text;
	struct span s;
	size_t left = 0;

	while (next_ended(&rest, head, &s))
		left++;
	*dropped = 0;
	while (next_ended(&text, head, &s))
		if (left-- <= PAST_SPANS)
			put_span(out, &s);
		else
			*dropped = s.ids.upto;
	if (rules.len > 0)
		put_span(out, &now);
	return buf_error(out);
}
