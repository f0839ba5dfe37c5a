#ifndef SPILLWAY_CONF_LEXER_H
#define SPILLWAY_CONF_LEXER_H

#include <stdbool.h>

#include "conf/faults.h"
#include "conf/source.h"
#include "proxy/base/str.h"

/*
 * Words and signs of a configuration file, as libconfuse's scanner would find
 * them, each with its line.
 *
 * Comments become blanks in the text on the way: libconfuse counts lines wrong
 * behind them, takes none inside of a list, and takes an open one for the end
 * of the file. What it would drop in silence or stop at (a `*` outside of
 * quotes, an open string) is a fault here.
 */
enum token_kind {
	TOKEN_END,
	TOKEN_WORD,
	TOKEN_STRING, /* in quotes */
	TOKEN_ASSIGN = '=',
	TOKEN_ADD = '+', /* += */
	TOKEN_COMMA = ',',
	TOKEN_OPEN = '{',
	TOKEN_CLOSE = '}',
	TOKEN_CALL = '(',
	TOKEN_RETURN = ')',
};

struct token {
	enum token_kind kind;
	bool bad; /* its fault was reported */
	char *start, *end;
	unsigned line;
};

struct lexer {
	struct source *source;
	struct faults *faults;
	char *p, *end;
	unsigned line;
	struct token ahead; /* given back; TOKEN_END if there is none */
};

void lexer_init(struct lexer *l, struct source *s, struct faults *faults);
struct token lexer_next(struct lexer *l);

/* Give one token back: lexer_next returns it again. */
void lexer_back(struct lexer *l, struct token t);

/* Make blanks of the text, but for the ends of lines. */
void lexer_blank(char *from, char *to);

static inline struct str
token_text(struct token t)
{
	return (struct str){ t.start, (size_t)(t.end - t.start) };
}

static inline bool
token_is_value(struct token t)
{
	return t.kind == TOKEN_WORD || t.kind == TOKEN_STRING;
}

#endif
