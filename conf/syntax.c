#include "conf/syntax.h"

#include "conf/directives.h"
#include "conf/lexer.h"
#include "proxy/base/log.h"

/* How a statement begins: "name sign", or "name title {". */
struct statement {
	struct token name;
	struct token title; /* TOKEN_END if there is none */
	struct token sign;
	enum block_kind scope; /* the block that it stands in */
};

static void
fault(struct lexer *l, unsigned line, const char *text)
{
	faults_add(l->faults, source_place(l->source, line), "%s", text);
}

/* Nothing behind this can be understood. */
static void
give_up(struct lexer *l, char *from)
{
	lexer_blank(from, l->end);
	lexer_blank(l->p, l->end);
	l->p = l->end;
	l->ahead.kind = TOKEN_END;
}

/* Blank the words and commas that follow on the line. */
static void
drop_line(struct lexer *l, unsigned line)
{
	struct token t = lexer_next(l);

	while (t.line == line && (token_is_value(t) || t.kind == TOKEN_COMMA)) {
		lexer_blank(t.start, t.end);
		t = lexer_next(l);
	}
	lexer_back(l, t);
}

static void
fault_unknown(struct lexer *l, const struct statement *st)
{
	struct place at = source_place(l->source, st->name.line);
	struct str text = token_text(st->name);
	const char *nearest = directive_nearest(text, st->scope);
	char quoted[LOG_QUOTED];

	if (st->name.bad)
		return;
	if (st->scope == BLOCK_ROUTE && directive_find(text) != NULL &&
	    directive_find(text)->channel)
		faults_add(l->faults, at,
		    "write %.*s outside of the route block: it is about "
		    "channels",
		    STR_ARG(text));
	else if (directive_find(text) != NULL)
		faults_add(l->faults, at,
		    "write %.*s outside of the %s block: it holds for "
		    "all %ss",
		    STR_ARG(text), block_names[st->scope],
		    block_names[st->scope]);
	else if (nearest != NULL)
		faults_add(l->faults, at,
		    "unknown directive %s: did you mean %s?",
		    log_quote(quoted, text), nearest);
	else
		faults_add(l->faults, at,
		    "unknown directive %s: spillway.conf(5) lists them all",
		    log_quote(quoted, text));
}

/* The kind of block that the word begins; BLOCK_NONE: none. */
static enum block_kind
block_of(struct str word)
{
	for (size_t i = BLOCK_CHANNEL; i < BLOCK_KINDS; i++)
		if (str_is(word, block_names[i]))
			return (enum block_kind)i;
	return BLOCK_NONE;
}

/*
 * The directive of that name, if it may stand there. Otherwise NULL, and a
 * fault says why.
 */
static const struct directive *
find_directive(struct lexer *l, const struct statement *st)
{
	struct str text = token_text(st->name);
	const struct directive *d = directive_find(text);

	if (block_of(text) != BLOCK_NONE)
		faults_add(l->faults, source_place(l->source, st->name.line),
		    "write %.*s \"PATTERN\" { ... }", STR_ARG(text));
	else if (str_is(text, "include"))
		fault(l, st->name.line, "write include(\"FILE\")");
	else if (d == NULL || !directive_stands_in(d, st->scope))
		fault_unknown(l, st);
	else
		return d;
	return NULL;
}

/* What a list consists of, and its end. */
struct list_scan {
	size_t count;
	bool bad; /* a fault was reported */
	bool closed;
	char *end;
	unsigned no_comma; /* the first line without one between values */
};

static void
scan_list(struct lexer *l, struct list_scan *list)
{
	bool comma = true;
	struct token t = lexer_next(l);

	while (token_is_value(t) || t.kind == TOKEN_COMMA) {
		if (token_is_value(t)) {
			if (!comma && list->no_comma == 0)
				list->no_comma = t.line;
			list->count++;
			list->bad = list->bad || t.bad;
		} else if (comma && list->no_comma == 0) {
			list->no_comma = t.line;
		}
		comma = t.kind == TOKEN_COMMA;
		t = lexer_next(l);
	}
	list->closed = t.kind == TOKEN_CLOSE;
	list->end = t.end;
}

/* The braces of a list were found; false if it is not one for `d`. */
static bool
check_list(struct lexer *l, struct token open, const struct directive *d,
    struct list_scan *list)
{
	struct place at = source_place(l->source, open.line);

	scan_list(l, list);
	if (!list->closed) {
		fault(l, open.line, "close the list that begins here with }");
		return false;
	}
	if (list->no_comma != 0) {
		fault(l, list->no_comma,
		    "write one comma between two values of a list");
		return false;
	}
	if (d == NULL || list->bad)
		return false;
	if (!directive_is_list(d)) {
		faults_add(l->faults, at,
		    "write %s without braces: it takes one value", d->name);
		return false;
	}
	if (list->count == 0 && d->fallback != NULL) {
		faults_add(l->faults, at,
		    "write a value for %s between the braces, or leave it out "
		    "for the default",
		    d->name);
		return false;
	}
	return true;
}

/* "name = value" or "name += value". */
static void
check_assignment(struct lexer *l, const struct statement *st)
{
	const struct directive *d = find_directive(l, st);
	struct place at = source_place(l->source, st->name.line);
	struct list_scan list = { .closed = true };
	struct token t = lexer_next(l);
	bool good = d != NULL && !t.bad;
	char *end = t.end;

	if (t.kind == TOKEN_OPEN) {
		good = check_list(l, t, d, &list) && good;
		end = list.end;
	} else if (!token_is_value(t) || t.line != st->sign.line) {
		lexer_back(l, t);
		good = false;
		end = st->sign.end;
		if (d != NULL)
			faults_add(l->faults, at,
			    "write a value for %s on this line", d->name);
	}
	if (good && st->sign.kind == TOKEN_ADD && !directive_is_list(d)) {
		faults_add(l->faults, at, "write %s = VALUE: only lists grow",
		    d->name);
		good = false;
	}
	if (!list.closed)
		give_up(l, st->name.start);
	else if (!good)
		lexer_blank(st->name.start, end);
}

/* "name value" or a name alone. */
static void
check_no_sign(struct lexer *l, const struct statement *st)
{
	const struct directive *d = find_directive(l, st);
	char *end = st->name.end;

	if (d != NULL)
		faults_add(l->faults, source_place(l->source, st->name.line),
		    "write %s = VALUE", d->name);
	if (token_is_value(st->sign))
		end = st->sign.end;
	else
		lexer_back(l, st->sign);
	lexer_blank(st->name.start, end);
	drop_line(l, st->name.line);
}

/* "include(file)"; there are no other calls. */
static void
check_call(struct lexer *l, const struct statement *st)
{
	bool include = str_is(token_text(st->name), "include");
	struct token argument = lexer_next(l), close = argument;
	const struct directive *d;

	if (token_is_value(argument))
		close = lexer_next(l);
	if (include && st->scope == BLOCK_NONE && token_is_value(argument) &&
	    !argument.bad && close.kind == TOKEN_RETURN)
		return;
	if (include && st->scope != BLOCK_NONE)
		fault(l, st->name.line, "write include outside of blocks");
	else if (!argument.bad && (d = find_directive(l, st)) != NULL)
		faults_add(l->faults, source_place(l->source, st->name.line),
		    "write %s = VALUE", d->name);
	lexer_blank(st->name.start, st->sign.end);
	if (token_is_value(argument))
		lexer_blank(argument.start, argument.end);
	if (close.kind != TOKEN_RETURN) {
		lexer_back(l, close);
		drop_line(l, st->name.line);
		close = lexer_next(l);
	}
	if (close.kind == TOKEN_RETURN)
		lexer_blank(close.start, close.end);
	else
		lexer_back(l, close);
}

static void
check_plain(struct lexer *l, const struct statement *st)
{
	if (st->sign.kind == TOKEN_ASSIGN || st->sign.kind == TOKEN_ADD)
		check_assignment(l, st);
	else if (st->sign.kind == TOKEN_CALL)
		check_call(l, st);
	else
		check_no_sign(l, st);
}

/* What stands where a name should, and the rest of its line. */
static void
drop_stray(struct lexer *l, struct token t)
{
	if (t.kind == TOKEN_CLOSE)
		fault(l, t.line, "leave out this }: it closes no block");
	else if (t.kind == TOKEN_COMMA)
		fault(l, t.line, "write a list in braces, such as { a, b }");
	else if (!t.bad)
		fault(l, t.line, "write the name of a directive here");
	lexer_blank(t.start, t.end);
	drop_line(l, t.line);
}

/*
 * Read how the next statement begins. False at the end of the file or of the
 * block, whose token is then the name.
 */
static bool
next_statement(struct lexer *l, struct statement *st, enum block_kind scope)
{
	struct token t;

	*st = (struct statement){ .scope = scope, .title.kind = TOKEN_END };
	for (;;) {
		st->name = lexer_next(l);
		if (st->name.kind == TOKEN_WORD)
			break;
		if (st->name.kind == TOKEN_END ||
		    (st->name.kind == TOKEN_CLOSE && scope != BLOCK_NONE))
			return false;
		drop_stray(l, st->name);
	}
	st->sign = lexer_next(l);
	if (!token_is_value(st->sign))
		return true;
	t = lexer_next(l);
	if (t.kind == TOKEN_OPEN) {
		st->title = st->sign;
		st->sign = t;
	} else {
		lexer_back(l, t);
	}
	return true;
}

/* Go behind the brace that closes a block; false if there is none. */
static bool
skip_block(struct lexer *l, char **end)
{
	size_t depth = 1;

	while (depth > 0) {
		struct token t = lexer_next(l);

		if (t.kind == TOKEN_END)
			return false;
		depth += t.kind == TOKEN_OPEN;
		depth -= t.kind == TOKEN_CLOSE;
		*end = t.end;
	}
	return true;
}

static void
end_block(struct lexer *l, const struct statement *st, bool closed, bool good,
    char *end)
{
	if (!closed) {
		fault(l, st->sign.line,
		    "close the block that begins here with }");
		give_up(l, st->name.start);
	} else if (!good) {
		lexer_blank(st->name.start, end);
	}
}

/* A block that is none of ours. */
static void
check_other_block(struct lexer *l, const struct statement *st)
{
	const struct directive *d = NULL;
	char *end = NULL;
	bool closed;

	if (st->scope != BLOCK_NONE)
		fault(l, st->name.line,
		    "close the block above with } first: blocks do not nest");
	else if ((d = find_directive(l, st)) != NULL)
		faults_add(l->faults, source_place(l->source, st->name.line),
		    "write %s = VALUE", d->name);
	closed = skip_block(l, &end);
	end_block(l, st, closed, false, end);
}

static void
check_block(
    struct lexer *l, const struct statement *block, enum block_kind kind)
{
	struct statement st;

	while (next_statement(l, &st, kind)) {
		if (st.sign.kind == TOKEN_OPEN)
			check_other_block(l, &st);
		else
			check_plain(l, &st);
	}
	end_block(l, block, st.name.kind == TOKEN_CLOSE, !block->title.bad,
	    st.name.end);
}

void
syntax_check(struct source *s, struct faults *faults)
{
	struct statement st;
	struct lexer l;

	lexer_init(&l, s, faults);
	while (next_statement(&l, &st, BLOCK_NONE)) {
		enum block_kind kind = block_of(token_text(st.name));

		if (st.sign.kind != TOKEN_OPEN)
			check_plain(&l, &st);
		else if (token_is_value(st.title) && kind != BLOCK_NONE)
			check_block(&l, &st, kind);
		else
			check_other_block(&l, &st);
	}
}
