#include "conf/lexer.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "proxy/base/log.h"

void
lexer_blank(char *from, char *to)
{
	for (; from < to; from++)
		if (*from != '\n')
			*from = ' ';
}

/* The text is terminated, so one character ahead may always be read. */
static bool
at(const struct lexer *l, const char *text)
{
	return strncmp(l->p, text, strlen(text)) == 0;
}

void
lexer_init(struct lexer *l, struct source *s, struct faults *faults)
{
	*l = (struct lexer){
		.source = s,
		.faults = faults,
		.p = s->text,
		.end = s->text + s->len,
		.line = 1,
		.ahead.kind = TOKEN_END,
	};
	/* Some editors begin a file with a mark of its order of bytes. */
	if (at(l, "\xef\xbb\xbf"))
		lexer_blank(l->p, l->p + 3);
}

static void
skip_line_comment(struct lexer *l)
{
	char *end = memchr(l->p, '\n', (size_t)(l->end - l->p));

	lexer_blank(l->p, end);
	l->p = end;
}

static void
skip_comment(struct lexer *l)
{
	char *end = strstr(l->p + 2, "*/");

	if (end == NULL) {
		faults_add(l->faults, source_place(l->source, l->line),
		    "close the comment that begins here with */");
		end = l->end;
	} else {
		end += 2;
	}
	for (char *p = l->p; p < end; p++)
		l->line += *p == '\n';
	lexer_blank(l->p, end);
	l->p = end;
}

static void
skip_blanks(struct lexer *l)
{
	while (l->p < l->end) {
		if (*l->p == '#' || at(l, "//"))
			skip_line_comment(l);
		else if (at(l, "/*"))
			skip_comment(l);
		else if (strchr(" \t\r\n", *l->p) != NULL)
			l->line += *l->p++ == '\n';
		else
			break;
	}
}

/* One fault is enough for a token. */
static void
complain(struct lexer *l, struct token *t, const char *text)
{
	if (!t->bad)
		faults_add(
		    l->faults, source_place(l->source, t->line), "%s", text);
	t->bad = true;
}

/*
 * Go behind ${NAME}, which may have any signs in it; false if there is none.
 * libconfuse would look for its end on other lines as well.
 */
static bool
scan_variable(struct lexer *l, struct token *t)
{
	char *end;

	if (!at(l, "${"))
		return false;
	end = l->p + strcspn(l->p, "}\n");
	if (*end == '}') {
		l->p = end + 1;
	} else {
		complain(l, t,
		    "close the variable on this line with }, or write \\$ in "
		    "double quotes");
		l->p += 2;
	}
	return true;
}

/* Is it \x0 or \x00? To libconfuse the string would end there. */
static bool
is_end_of_text(const char *escape)
{
	return escape[1] == 'x' && escape[2] == '0' &&
	    (escape[3] == '0' || isxdigit((unsigned char)escape[3]) == 0);
}

static void
scan_escape(struct lexer *l, struct token *t)
{
	if (*t->start == '"' && is_end_of_text(l->p))
		complain(l, t, "leave \\x00 out: no text has such a character");
	if (*t->start == '"' && l->p[1] >= '0' && l->p[1] <= '9')
		complain(l, t,
		    "write \\\\ for a backslash, or \\xHH for a character by "
		    "its "
		    "number");
	l->p += l->p[1] == '\n' ? 1 : 2;
}

static void
scan_string(struct lexer *l, struct token *t)
{
	char quote = *l->p++;

	t->kind = TOKEN_STRING;
	while (*l->p != quote && *l->p != '\n') {
		if (quote == '"' && scan_variable(l, t))
			continue;
		if (*l->p == '\\')
			scan_escape(l, t);
		else
			l->p++;
	}
	if (*l->p == quote)
		l->p++;
	else
		complain(l, t, "close the quotes on this line");
}

/* A blank, or a sign that cannot be part of a word. */
static bool
ends_word(const struct lexer *l)
{
	return strchr(" \t\r\n#\"'={}(),", *l->p) != NULL || at(l, "+=");
}

static void
scan_word(struct lexer *l, struct token *t)
{
	char text[LOG_QUOTED + 64], quoted[LOG_QUOTED];
	bool dropped = false; /* signs that libconfuse would leave out */

	t->kind = TOKEN_WORD;
	if (scan_variable(l, t) && !t->bad)
		return;
	while (!ends_word(l)) {
		dropped = dropped || *l->p == '*' || *l->p == '+';
		l->p++;
	}
	if (!dropped && *l->p != '#')
		return;
	log_quote(quoted, (struct str){ t->start, (size_t)(l->p - t->start) });
	snprintf(text, sizeof(text), "write %s in double quotes%s", quoted,
	    *l->p == '#' ? ", or a blank before the comment" : "");
	complain(l, t, text);
}

/* People bring semicolons from other files; to libconfuse it is a letter. */
static void
drop_semicolon(struct lexer *l, struct token *t)
{
	if (t->end[-1] != ';')
		return;
	faults_add(l->faults, source_place(l->source, t->line),
	    "leave the semicolon out: lines end without one");
	while (t->end > t->start && t->end[-1] == ';')
		*--t->end = ' ';
}

static struct token
scan(struct lexer *l)
{
	struct token t = { .line = l->line, .start = l->p };

	if (l->p == l->end) {
		t.kind = TOKEN_END;
	} else if (*l->p == '"' || *l->p == '\'') {
		scan_string(l, &t);
	} else if (at(l, "+=")) {
		t.kind = TOKEN_ADD;
		l->p += 2;
	} else if (strchr("={}(),", *l->p) != NULL) {
		t.kind = (enum token_kind) * l->p++;
	} else {
		scan_word(l, &t);
	}
	t.end = l->p;
	return t;
}

struct token
lexer_next(struct lexer *l)
{
	struct token t = l->ahead;

	l->ahead.kind = TOKEN_END;
	while (t.kind == TOKEN_END) {
		skip_blanks(l);
		t = scan(l);
		if (t.kind == TOKEN_WORD)
			drop_semicolon(l, &t);
		if (t.kind == TOKEN_END || t.end > t.start)
			break;
		t.kind = TOKEN_END; /* a lone semicolon */
	}
	return t;
}

void
lexer_back(struct lexer *l, struct token t)
{
	l->ahead = t;
}
